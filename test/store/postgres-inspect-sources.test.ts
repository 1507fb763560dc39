import { afterAll, beforeAll, expect, test } from 'bun:test'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { inspectSources } from '../../src/store/postgres/inspect/inspect-sources.ts'
import { openPostgresBench, type PostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { source } from '../support/stored-definitions.ts'

let server: TestServer
let bench: PostgresBench
let postgres: Postgres
beforeAll(async () => {
  server = await startPostgres()
  bench = await openPostgresBench(server, 'inspected')
  await bench.execute(`
    CREATE TABLE orders (user_id text, shop_id int, at timestamptz, local timestamp);
    INSERT INTO orders VALUES ('a', 1, now(), now()), ('a', 1, NULL, NULL), ('b', 1, now() + INTERVAL '1 hour', now() + INTERVAL '1 hour'), ('b', 1, 'infinity', NULL);
    CREATE VIEW spent AS SELECT * FROM orders;
    CREATE ROLE reader LOGIN; GRANT SELECT ON orders TO reader; CREATE TABLE hidden (user_id text, at timestamptz)`)
  postgres = openPostgres({ url: bench.url })
}, 180_000)
afterAll(async () => {
  await postgres.close()
  await bench.close()
  await server[Symbol.asyncDispose]()
})

const KEYS = [['user_id'], ['shop_id', 'user_id'], ['user_id'], ['elsewhere']]
const look = async (timestamp: string | null, name = 'orders') => (await inspectSources(postgres, [source(name, { timestamp })], KEYS))[0]

test('a missing index is told once for each way of asking, with the statement that makes it', async () => {
  expect(await look('at')).toEqual({
    source: 'orders',
    kind: 'table',
    mayRead: true,
    unindexed: [
      { columns: ['user_id', 'at'], create: 'CREATE INDEX CONCURRENTLY ON "public"."orders" ("user_id", "at")' },
      { columns: ['shop_id', 'user_id', 'at'], create: 'CREATE INDEX CONCURRENTLY ON "public"."orders" ("shop_id", "user_id", "at")' },
    ],
    untimed: 1,
    future: 2,
  })
  for (const { create } of (await look('at'))?.unindexed ?? []) await bench.execute(create)
  expect((await look('at'))?.unindexed).toEqual([])
})

test('an index that holds some rows, an expression, or the columns the other way round does not help', async () => {
  await bench.execute(`CREATE INDEX ON orders (user_id, local) WHERE shop_id = 1; CREATE INDEX ON orders (lower(user_id), local); CREATE INDEX ON orders (local, user_id);
    CREATE INDEX ON orders (user_id) INCLUDE (local)`)
  expect((await look('local'))?.unindexed.map(({ columns }) => columns)).toEqual([
    ['user_id', 'local'],
    ['shop_id', 'user_id', 'local'],
  ])
  expect((await look(null))?.unindexed.map(({ columns }) => columns)).toEqual([])
  await bench.execute('CREATE INDEX ON orders (user_id, local DESC, shop_id); CREATE INDEX ON orders (user_id, shop_id, local)')
  expect((await look('local'))?.unindexed).toEqual([])
})

test('events with an id need an index on it', async () => {
  const unindexed = async () =>
    (await inspectSources(postgres, [source('orders', { id: 'shop_id' })], []))[0]?.unindexed.map(({ columns }) => columns)
  expect(await unindexed()).toEqual([])
  await bench.execute('DROP INDEX orders_shop_id_user_id_at_idx')
  expect(await unindexed()).toEqual([['shop_id']])
})

test('naive times are read in the zone of their source', async () => {
  const [here] = await inspectSources(postgres, [source('orders', { timestamp: 'local', timezone: 'America/New_York' })], [])
  expect(here).toMatchObject({ untimed: 2, future: 2 })
  expect(await look('local')).toMatchObject({ untimed: 2, future: 1 })
})

test('views, tables that are not there, and what the role may not read are told as such', async () => {
  expect(await look('at', 'spent')).toMatchObject({ kind: 'view', mayRead: true, unindexed: [], untimed: 1, future: 2 })
  expect(await look('at', 'nowhere')).toMatchObject({ kind: 'missing', mayRead: false, untimed: null })
  const reader = openPostgres({ url: bench.url.replace('fabra@', 'reader@') })
  const [orders, hidden] = await inspectSources(
    reader,
    [source('orders', { timestamp: 'at' }), source('hidden', { timestamp: 'at' })],
    KEYS,
  )
  expect([orders?.mayRead, hidden?.mayRead, hidden?.untimed]).toEqual([true, false, null])
  await reader.close()
})
