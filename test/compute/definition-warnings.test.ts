import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openComputeBench, type SqlBench } from '../support/compute-bench.ts'
import { openPostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

let server: TestServer
beforeAll(async () => {
  server = await startPostgres()
}, 180_000)
afterAll(() => server[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE events (user_id TEXT, shop_id TEXT, amount INT, created_at TIMESTAMPTZ)'
const OWN = 'FROM events WHERE user_id = $user_id'

for (const [engine, open] of [
  ['DuckDB', async () => openComputeBench() as Promise<SqlBench & { close?: () => Promise<void> }>],
  ['PostgreSQL', () => openPostgresBench(server, 'warnings') as Promise<SqlBench & { close?: () => Promise<void> }>],
] as const) {
  describe(`what is legal but seldom meant is said (${engine}):`, () => {
    let bench: SqlBench & { close?: () => Promise<void> }
    beforeAll(async () => {
      bench = await open()
      await bench.execute(TABLE)
    }, 180_000)
    afterAll(() => bench.close?.() ?? bench.store.close())

    async function warningsOf(sql: string, more: { defaults?: readonly string[]; key?: Parameters<SqlBench['define']>[0]['key'] } = {}) {
      const { key, defaults } = more
      const feature = { sql, type: 'int' as const, ...(defaults ? { defaults } : {}) }
      const sources = { events: { timestamp: 'created_at' } }
      const { definitions } = await bench.define({ sources, features: { f: feature }, ...(key ? { key } : {}) })
      expect(definitions.problems).toEqual([])
      return definitions.warnings.map(({ message }) => message)
    }

    test('a feature that never uses its key, or a part of it', async () => {
      expect(await warningsOf('SELECT COUNT(*) FROM events')).toEqual([
        'Its SQL never uses $user_id, so it has the same value for every User.',
      ])
      expect(await warningsOf("SELECT COUNT(*) FROM events WHERE user_id = '$user_id' -- = $user_id")).toHaveLength(1)
      const key = { user_id: 'string', shop_id: 'string' } as const
      expect(await warningsOf(`SELECT COUNT(*) ${OWN}`, { key })).toEqual([
        'Its SQL never uses $shop_id, so it has the same value for every User that differs in nothing else.',
      ])
      expect(await warningsOf(`SELECT COUNT(*) ${OWN} AND shop_id = $shop_id`, { key })).toEqual([])
      expect(await warningsOf(`SELECT COUNT(*) ${OWN}`)).toEqual([])
    })

    const never = ['SUM(amount)', 'COALESCE(SUM(amount), 0)', 'CAST(COUNT(*) AS INT) + 1', 'CASE WHEN COUNT(*) > 1 THEN 1 ELSE 0 END']
    for (const select of never) {
      test(`a default of ${select}, which is never missing`, async () => {
        expect(await warningsOf(`SELECT ${select} ${OWN}`, { defaults: ['0'] })).toEqual([
          'Its default is never used: an aggregate gives a row for every key, if only with null or 0.',
        ])
        expect(await warningsOf(`SELECT ${select} ${OWN}`)).toEqual([])
      })
    }

    const sometimes = [
      `SELECT amount ${OWN} ORDER BY created_at LIMIT 1`,
      `SELECT SUM(amount) ${OWN} GROUP BY user_id`,
      `SELECT SUM(amount) ${OWN} HAVING COUNT(*) > 1`,
      `SELECT SUM(amount) OVER () ${OWN} LIMIT 1`,
      `SELECT (SELECT MAX(amount) FROM events) ${OWN} LIMIT 1`,
    ]
    for (const sql of sometimes) {
      test(`no word of a default that may be used: ${sql}`, async () => {
        expect(await warningsOf(sql, { defaults: ['0'] })).toEqual([])
      })
    }
  })
}
