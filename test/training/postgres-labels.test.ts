import { afterAll, beforeAll, expect, test } from 'bun:test'
import { formatTime } from '../../src/definition/time.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { openPostgresTrainingBench, pushedRegistry, recorded, type TrainingBench } from '../support/training-bench.ts'

let server: TestServer
let bench: TrainingBench
beforeAll(async () => {
  server = await startPostgres()
  bench = await openPostgresTrainingBench(server, 0)
}, 180_000)
afterAll(async () => {
  await bench.close()
  await server[Symbol.asyncDispose]()
})

const registry = pushedRegistry({ score: { type: 'int' } }, { user_id: 'int' })

test('labels of a query keep the types that its columns have in PostgreSQL', async () => {
  await bench.offline.append([recorded({ feature: 'score', entityKey: '9007199254740993', value: '12345678901234567', eventAt: 1 })])
  const sql = `SELECT 9007199254740993::int8 AS user_id, timestamptz '2026-01-02 03:04:05.000006+00' AS event_timestamp, true AS flag,
    1.50::numeric AS price, NULL::numeric AS nothing, 'NaN'::numeric AS odd, 0.1::float8 AS float, 'é;"' AS words, date '2026-01-02' AS day,
    'c32f785d-bb01-4b02-af07-97bb66c34472'::uuid AS id, '{"a": [1]}'::jsonb AS json, ARRAY[1, 2] AS items, 7::int2 AS small -- all of them
    ;`
  const { rows } = await bench.train(registry, { sql }, { features: ['score'], format: 'jsonl' })
  expect(rows).toEqual([
    {
      user_id: 9007199254740993n,
      event_timestamp: '2026-01-02T03:04:05.000006Z',
      flag: true,
      price: 1.5,
      nothing: null,
      odd: null,
      float: 0.1,
      words: 'é;"',
      day: '2026-01-02',
      id: 'c32f785d-bb01-4b02-af07-97bb66c34472',
      json: { a: [1] },
      items: '{1,2}',
      small: 7,
      score: 12345678901234567n,
    },
  ])
})

test('labels of a query keep its order, however many they are', async () => {
  const sql =
    "SELECT (12000 - i)::int8 AS user_id, timestamptz 'epoch' + i * interval '1 second' AS event_timestamp FROM generate_series(1, 12000) i ORDER BY i % 7, i"
  const { rows } = await bench.train(registry, { sql }, { features: ['score'], format: 'jsonl' })
  const expected = Array.from({ length: 12_000 }, (_, i) => i + 1).sort((a, b) => (a % 7) - (b % 7) || a - b)
  expect(rows.map((row) => row['event_timestamp'])).toEqual(expected.map((i) => formatTime(i * 1e6)))
}, 30_000)

test.each([
  ['that is wrong', 'SELEC 1', /SQL of the labels/],
  ['that writes', 'DELETE FROM transactions', /SQL of the labels/],
  ['of several statements', 'SELECT 1; SELECT 2', /SQL of the labels/],
  ['with two columns of one name', 'SELECT 1 AS a, 2 AS a', /two columns/],
  ['of a table that is not there', 'SELECT * FROM nowhere', /SQL of the labels/],
])('a query %s is refused', async (_what, sql, message) => {
  await expect(bench.train(registry, { sql }, { features: ['score'] })).rejects.toThrow(message)
})
