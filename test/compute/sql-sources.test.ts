import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type BenchRow, type ComputeBench, openComputeBench, type WrittenRegistry } from '../support/compute-bench.ts'

let bench: ComputeBench
beforeAll(async () => {
  bench = await openComputeBench()
})
afterAll(() => bench.store.close())

const at = (...times: string[]): BenchRow[] => times.map((time) => ['a', `2026-01-10T${time}Z`])

/** What a feature gives at each time, and that it gives the same one row at a time. */
async function answers(source: NonNullable<WrittenRegistry['sources']>, sql: string, questions: readonly BenchRow[]) {
  const { definitions, ask } = await bench.define({ sources: source, features: { f: sql } })
  expect(definitions.problems).toEqual([])
  const together = await ask('f', questions)
  for (const [i, question] of questions.entries()) expect(await ask('f', [question])).toEqual([together[i] ?? ''])
  return together
}

test('an event is seen strictly after its time and delay', async () => {
  await bench.execute(`CREATE TABLE delayed AS SELECT 'a' AS user_id, TIMESTAMPTZ '2026-01-10 12:00:00.000005+00' AS ts`)
  const sql = 'SELECT COUNT(*) FROM delayed WHERE user_id = $user_id'
  const questions = at('12:00:00.000005', '12:00:00.000006', '12:10:00.000005', '12:10:00.000006')
  expect(await answers({ delayed: { timestamp: 'ts' } }, sql, questions)).toEqual(['=0', '=1', '=1', '=1'])
  expect(await answers({ delayed: { timestamp: 'ts', delay: 600_000_000 } }, sql, questions)).toEqual(['=0', '=0', '=0', '=1'])
})

test('a row is seen from when it was available on, and until it was replaced', async () => {
  await bench.execute(`CREATE TABLE plans AS SELECT * FROM (VALUES
    ('a', 'free', TIMESTAMPTZ '2026-01-10 10:00:00+00', TIMESTAMPTZ '2026-01-10 11:00:00+00', TIMESTAMPTZ '2026-01-10 12:00:00+00'),
    ('a', 'gold', TIMESTAMPTZ '2026-01-10 12:00:00+00', TIMESTAMPTZ '2026-01-10 12:00:00+00', NULL),
    ('a', 'never', TIMESTAMPTZ '2026-01-10 12:00:00+00', NULL, NULL)) v(user_id, plan, since, known, until)`)
  const sources = { plans: { timestamp: 'since', available: 'known', until: 'until' } }
  const questions = at('10:59:59.999999', '11:00:00', '12:00:00', '12:00:00.000001')
  expect(await answers(sources, 'SELECT plan FROM plans WHERE user_id = $user_id', questions)).toEqual([
    'missing',
    '="free"',
    '="free"',
    '="gold"',
  ])
})

const REPEATS = `SELECT * FROM (VALUES
  (1, 'a', 10, TIMESTAMPTZ '2026-01-10 10:00:00+00'), (1, 'a', 10, TIMESTAMPTZ '2026-01-10 10:00:00+00'), (1, 'a', 99, TIMESTAMPTZ '2026-01-10 11:00:00+00'),
  (2, 'a', NULL, TIMESTAMPTZ '2026-01-10 10:30:00+00'), (2, 'a', 5, TIMESTAMPTZ '2026-01-10 10:30:00+00'), (NULL, 'a', 1, TIMESTAMPTZ '2026-01-10 10:00:00+00'),
  (NULL, 'a', 1, TIMESTAMPTZ '2026-01-10 10:00:00+00'), (3, 'a', 7, NULL), (3, 'a', 8, TIMESTAMPTZ '2026-01-10 10:45:00+00')) v(event_id, user_id, amount, ts)`

test('repeats of an id count once, the first that was seen; rows without an id all count', async () => {
  await bench.execute(`CREATE TABLE repeated AS ${REPEATS}; CREATE VIEW repeated_view AS SELECT * FROM repeated`)
  for (const name of ['repeated', 'repeated_view']) {
    const sql = `SELECT COUNT(*) || '/' || COALESCE(SUM(amount), 0) FROM ${name} WHERE user_id = $user_id`
    const found = await answers({ [name]: { timestamp: 'ts', id: 'event_id' } }, sql, at('10:15:00', '10:40:00', '12:00:00'))
    expect(found).toEqual(['="3/12"', '="4/17"', '="5/25"'])
  }
})

test('the repeat that was available first stands, though its own time is later', async () => {
  await bench.execute(`CREATE TABLE late AS SELECT * FROM (VALUES
    (1, 'a', 'early time, late arrival', TIMESTAMPTZ '2026-01-10 10:00:00+00', TIMESTAMPTZ '2026-01-10 12:00:00+00'),
    (1, 'a', 'late time, early arrival', TIMESTAMPTZ '2026-01-10 10:30:00+00', TIMESTAMPTZ '2026-01-10 11:00:00+00')) v(event_id, user_id, note, ts, seen)`)
  const sources = { late: { timestamp: 'ts', available: 'seen', id: 'event_id' } }
  const found = await answers(sources, 'SELECT note FROM late WHERE user_id = $user_id', at('10:59:59', '11:00:00', '13:00:00'))
  expect(found).toEqual(['missing', '="late time, early arrival"', '="late time, early arrival"'])
})

test('naive times are read in the zone of their source, through the change of the clocks', async () => {
  await bench.execute(`CREATE TABLE local AS SELECT 'a' AS user_id, TIMESTAMP '2026-03-29 03:30:00' AS ts`)
  const sql = "SELECT COUNT(*) FROM local WHERE user_id = $user_id AND ts > NOW() - INTERVAL '1 hour'"
  const questions: BenchRow[] = [
    ['a', '2026-03-29T01:30:00Z'],
    ['a', '2026-03-29T01:30:00.000001Z'],
    ['a', '2026-03-29T02:30:00Z'],
  ]
  expect(await answers({ local: { timestamp: 'ts', timezone: 'Europe/Berlin' } }, sql, questions)).toEqual(['=0', '=1', '=0'])
})
