/** Files whose times have no zone: read in the zone of their source, through the ends of summer time. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type PastBench, pastBench } from '../support/past-bench.ts'

let bench: PastBench
beforeAll(async () => {
  bench = await pastBench({
    'features.ts': `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const stays = source('stays', { timestamp: 'at', until: 'valid_to', available: 'seen', timezone: 'Europe/Berlin', file: './stays.csv' })
export const days = source('days', { timestamp: 'day', timezone: 'Europe/Berlin', file: './days.csv' })
export const visible = feature({ entity: User, refresh: 0, type: 'list', sql: 'SELECT LIST(n ORDER BY n) FROM stays WHERE user_id = $user_id' })
export const recent = feature({ entity: User, refresh: 0, type: 'int', sql: \`SELECT COUNT(*) FROM stays WHERE user_id = $user_id AND "at" >= NOW() - INTERVAL '1 microsecond'\` })
export const last = feature({ entity: User, refresh: 0, type: 'timestamp', sql: 'SELECT MAX("at") FROM stays WHERE user_id = $user_id' })
export const by_day = feature({ entity: User, refresh: 0, type: 'list', sql: 'SELECT LIST(n ORDER BY n) FROM days WHERE user_id = $user_id' })
`,
    'stays.csv': `user_id,n,at,seen,valid_to
u,1,2026-10-25 01:59:59.999999,2026-10-25 01:00:00,infinity
u,2,2026-10-25 02:30:00,2026-10-25 02:30:00,
u,3,2026-03-29 02:30:00,2026-03-29 02:30:00,2026-03-29 04:00:00
u,4,2026-01-10 12:00:00,2026-01-10 12:00:00,2026-01-10 12:00:00.000001
`,
    'days.csv': 'user_id,n,day\nu,1,2026-07-01\nu,2,2026-07-02\n',
  })
})
afterAll(() => bench[Symbol.asyncDispose]())

async function answers(feature: string, times: readonly string[]): Promise<unknown[]> {
  const together = await bench.ask(
    feature,
    times.map((time) => ['u', time]),
  )
  const alone = await Promise.all(times.map(async (time) => (await bench.ask(feature, [['u', time]]))[0]))
  expect(alone).toEqual([...together])
  return together.map((answer) => (answer.kind === 'value' ? JSON.parse(answer.texts[0] ?? '') : answer.kind))
}

test('a row is visible from its instant on: in winter, in the hour left out, in the hour that comes twice', async () => {
  const wanted: Readonly<Record<string, readonly number[] | null>> = {
    '2026-01-10T11:00:00Z': null,
    '2026-01-10T11:00:00.000001Z': [4],
    '2026-01-10T11:00:00.000002Z': null,
    '2026-03-29T01:30:00Z': null,
    '2026-03-29T01:30:00.000001Z': [3],
    '2026-03-29T02:00:00Z': [3],
    '2026-03-29T02:00:00.000001Z': null,
    '2026-10-24T23:59:59.999999Z': null,
    '2026-10-25T00:00:00Z': [1],
    '2026-10-25T01:30:00Z': [1],
    '2026-10-25T01:30:00.000001Z': [1, 2],
  }
  expect(await answers('visible', Object.keys(wanted))).toEqual(Object.values(wanted))
})

test("a query compares the source's times with the present, and gives them in UTC", async () => {
  expect(await answers('recent', ['2026-10-25T00:00:00Z', '2026-10-25T00:00:00.000001Z', '2026-10-25T01:30:00.000001Z'])).toEqual([1, 0, 1])
  expect(await answers('last', ['2026-10-25T01:30:00Z', '2026-10-25T01:30:00.000001Z'])).toEqual([
    '2026-10-24T23:59:59.999999Z',
    '2026-10-25T01:30:00Z',
  ])
})

test("a date begins at midnight of its source's zone", async () => {
  const times = ['2026-06-30T22:00:00Z', '2026-06-30T22:00:00.000001Z', '2026-07-01T22:00:00Z', '2026-07-01T22:00:00.000001Z']
  expect(await answers('by_day', times)).toEqual([null, [1], [1], [1, 2]])
})
