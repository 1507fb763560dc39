/** Every way we know to look past the as-of time. Each is refused, or sees of a table full of later rows what it sees of an empty one. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createDb } from '../../src/compute/sql/user-queries.ts'
import { parseTime } from '../../src/definition/time.ts'
import { FabraError } from '../../src/errors.ts'
import { type Defined, openComputeBench, registryOf, type SqlBench, type WrittenRegistry } from '../support/compute-bench.ts'
import { openPostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { duckdbRoutes } from './leak-routes-duckdb.ts'
import { postgresRoutes } from './leak-routes-postgres.ts'

const AS_OF = '2026-01-10T12:00:00Z'
const sources: WrittenRegistry['sources'] = {
  transactions: { timestamp: 'created_at' },
  merchants: { timestamp: 'since', until: 'till' },
  'app.events': { timestamp: 'ts' },
  declared_view: { timestamp: 'created_at' },
}
const PAST = { asOf: parseTime(AS_OF), mode: 'past', timeoutMs: 10_000 } as const

let server: TestServer
beforeAll(async () => {
  server = await startPostgres()
}, 180_000)
afterAll(() => server[Symbol.asyncDispose]())

describe.each([
  { engine: 'DuckDB', routes: duckdbRoutes, open: () => openComputeBench(1) },
  { engine: 'PostgreSQL', routes: postgresRoutes, open: (name: string) => openPostgresBench(server, name) },
])('on $engine', ({ routes, open }) => {
  let full: SqlBench
  let empty: SqlBench
  beforeAll(async () => {
    full = await open('leaks_full')
    empty = await open('leaks_empty')
    for (const bench of [full, empty]) await bench.execute(routes.tables)
    await full.execute(routes.later)
  }, 180_000)
  afterAll(async () => {
    await full.close()
    await empty.close()
  })
  const dbOf = () => createDb({ sourceEngine: full.store, registry: registryOf({ sources, features: {} }) })
  const at = () => ({ ...PAST, signal: new AbortController().signal })
  const idOf = (sqls: readonly string[], sql: string) => `f${sqls.indexOf(sql)}`
  /** As features of one file: what a definition costs is mostly the look at the engine before it. */
  const defineAll = (bench: SqlBench, sqls: readonly string[]) =>
    bench.define({ sources, features: Object.fromEntries(sqls.map((sql) => [idOf(sqls, sql), sql])) })
  const problemsOf = ({ definitions }: Defined, id: string) => definitions.problems.filter(({ subject }) => subject === `feature "${id}"`)

  describe('refused when definitions are loaded', () => {
    let all: Defined
    beforeAll(async () => {
      all = await defineAll(full, routes.refused)
    }, 180_000)
    test.each(routes.refused)('%s', (sql) => {
      const problems = problemsOf(all, idOf(routes.refused, sql))
      expect(problems.length).toBeGreaterThan(0)
      for (const { message, hint } of problems)
        expect({ message: message.length > 10, hint: hint.length > 5 }).toEqual({ message: true, hint: true })
    })

    test('by db as well', async () => {
      const answered: string[] = []
      for (const sql of routes.refused) {
        const answer = await dbOf()
          .query(sql, [], at())
          .catch((error: unknown) => error)
        if (!(answer instanceof FabraError) || answer.code !== 'feature_failed') answered.push(sql)
      }
      expect(answered).toEqual([])
    })
  })

  describe('served, but refused for the past', () => {
    let all: Defined
    beforeAll(async () => {
      all = await defineAll(full, routes.servedAlone)
    }, 180_000)
    test.each(routes.servedAlone)('%s', async (sql) => {
      const id = idOf(routes.servedAlone, sql)
      expect(problemsOf(all, id)).toEqual([])
      expect(await all.ask(id, [['a', AS_OF]])).toEqual(['feature_failed'])
      const both = await all.ask(id, [
        ['a', AS_OF],
        ['b', AS_OF],
      ])
      expect(both).toEqual(['feature_failed', 'feature_failed'])
    })
  })

  describe('later rows are not there', () => {
    let seen: Defined
    let nothing: Defined
    beforeAll(async () => {
      seen = await defineAll(full, routes.laterHidden)
      const ofEmpty = routes.laterHidden.map((sql, i) => [`f${i}`, sql.replace('leaks_full', 'leaks_empty')])
      nothing = await empty.define({ sources, features: Object.fromEntries(ofEmpty) })
    }, 180_000)
    test.each(routes.laterHidden)('%s', async (sql) => {
      const id = idOf(routes.laterHidden, sql)
      expect([problemsOf(seen, id), problemsOf(nothing, id)]).toEqual([[], []])
      const rows = [
        ['a', AS_OF],
        ['b', AS_OF],
      ] as const
      const wanted = await nothing.ask(id, rows)
      expect(wanted[0]).toMatch(/^=|^missing$/)
      expect(await seen.ask(id, rows)).toEqual(wanted)
      expect(await seen.ask(id, rows.slice(0, 1))).toEqual(wanted.slice(0, 1))
      expect(seen.definitions.get(id)?.past).toBeNull()
    })
  })

  describe('the present is the time asked for', () => {
    const texts = [...routes.present.map(([expression]) => expression), ...routes.putTogether].map((expression) => `SELECT ${expression}`)
    let all: Defined
    beforeAll(async () => {
      all = await defineAll(full, texts)
    }, 180_000)
    test.each(routes.present)('%s', async (expression, wanted) => {
      const id = idOf(texts, `SELECT ${expression}`)
      expect(problemsOf(all, id)).toEqual([])
      const answers = await all.ask(id, [
        ['a', AS_OF],
        ['a', '2001-02-03T04:05:06Z'],
      ])
      expect(answers).toEqual([`=${JSON.stringify(wanted)}`, expect.not.stringContaining('2026')])
      expect(await all.ask(id, [['a', AS_OF]])).toEqual([`=${JSON.stringify(wanted)}`])
    })

    test.each(routes.putTogether)('a text put together is not the present: %s', async (expression) => {
      const id = idOf(texts, `SELECT ${expression}`)
      if (problemsOf(all, id).length > 0) return
      expect(await all.ask(id, [['now', AS_OF]])).toEqual(['feature_failed'])
      const both = await all.ask(id, [
        ['now', AS_OF],
        ['today', AS_OF],
      ])
      expect(both).toEqual(['feature_failed', 'feature_failed'])
    })

    test('texts that are times stay times', async () => {
      const features = {
        text: "SELECT ('2026-01-02' || ' 03:04:05+00')::timestamptz",
        json: `SELECT CAST('{"at": "2026-01-02T03:04:05Z"}'::json ->> 'at' AS timestamptz)`,
        key: 'SELECT $user_id::timestamptz',
        both: "SELECT ((NOW() - INTERVAL '1 hour')::date + ('12:30' || ':00')::time)::text",
      }
      const { definitions, ask } = await full.define({ sources, features })
      expect(definitions.problems).toEqual([])
      for (const name of ['text', 'json', 'key']) {
        expect(await ask(name, [['2026-01-02 03:04:05', AS_OF]])).toEqual(['="2026-01-02T03:04:05Z"'])
      }
      expect(await ask('both', [['a', AS_OF]])).toEqual(['="2026-01-10 12:30:00"'])
    })

    test('nor by a parameter of db', async () => {
      // Where no row is, DuckDB compares nothing.
      const leaking = [
        "SELECT COUNT(*) FROM (VALUES (TIMESTAMPTZ '2026-01-01')) v(at) WHERE at < $1",
        'SELECT $1::timestamptz',
        'SELECT CAST($1 AS date)',
      ]
      for (const sql of leaking) {
        for (const word of ['now', ' Today ', 'tomorrow 10:00']) {
          const code = await dbOf()
            .query(sql, [word], at())
            .catch((error: FabraError) => error.code)
          expect({ sql, word, code }).toEqual({ sql, word, code: 'feature_failed' })
        }
      }
      expect((await dbOf().query('SELECT $1::text', ['now'], at())).rows).toEqual([['now']])
    })
  })
})
