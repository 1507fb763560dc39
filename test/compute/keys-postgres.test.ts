/** Keys and names on PostgreSQL: columns of other types than the key's, quoted names, schemas and the search path. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createDb } from '../../src/compute/sql/user-queries.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { createPostgresSourceEngine } from '../../src/store/postgres/sources/source-engine.ts'
import { registryOf } from '../support/compute-bench.ts'
import { openPostgresBench, type PostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { source } from '../support/stored-definitions.ts'

const AT = '2026-02-01T00:00:00Z'
const UUID = '6f1e1a5e-0000-4000-8000-000000000001'

let server: TestServer
let bench: PostgresBench
beforeAll(async () => {
  server = await startPostgres()
  bench = await openPostgresBench(server, 'keys')
  await bench.execute(`
    CREATE EXTENSION citext; CREATE TYPE colour AS ENUM ('red', 'blue');
    CREATE TABLE events AS SELECT ('6f1e1a5e-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid AS u, i::bigint AS big, i::int AS small, i::numeric AS num,
      ('User' || i)::citext AS ci, ('User' || i)::varchar(40) AS vc, ('u' || i)::char(12) AS bp, i::text AS digits,
      CASE WHEN i % 2 = 0 THEN 'red' ELSE 'blue' END::colour AS colour, TIMESTAMPTZ '2026-01-01' + i * INTERVAL '1 second' AS at
      FROM generate_series(0, 19999) i;
    CREATE INDEX ON events (u, at); CREATE INDEX ON events (big, at); CREATE INDEX ON events (small, at); CREATE INDEX ON events (num, at);
    CREATE INDEX ON events (ci, at); CREATE INDEX ON events (vc, at); CREATE INDEX ON events (digits, at);
    ANALYZE events;
    CREATE SCHEMA shop; CREATE TABLE shop.orders (user_id text, at timestamptz); INSERT INTO shop.orders VALUES ('a', '2026-01-01'), ('a', '2026-03-01');
    CREATE TABLE orders (user_id text, at timestamptz);
    CREATE TABLE "Mixed Case" ("User Id" text, "At" timestamptz, "select" int); INSERT INTO "Mixed Case" VALUES ('a', '2026-01-01', 7), ('a', '2026-03-01', 8)`)
}, 180_000)
afterAll(async () => {
  await bench.close()
  await server[Symbol.asyncDispose]()
})

const sources = { events: { timestamp: 'at' } }

/** How the server would run the statement over many rows. */
async function planOf(set: string, type: string, value: string): Promise<string> {
  const list = `SELECT i AS __fabra_ord, CAST('${value}' AS ${type}) AS __fabra_k0, TIMESTAMPTZ '${AT}' AS __fabra_as_of FROM generate_series(0, 99) i`
  const rows = await bench.rows(`EXPLAIN WITH __fabra_row AS MATERIALIZED (${list})\n${set}`)
  return rows.map((row) => row['QUERY PLAN']).join('\n')
}

describe('a key compares as the column does, with its index', () => {
  test.each<[column: string, key: string, type: 'string' | 'int' | 'uuid', answer: string, sqlType: string]>([
    ['u', UUID, 'string', '=1', 'uuid'],
    ['u', UUID.toUpperCase(), 'string', '=1', 'uuid'],
    ['u', UUID, 'uuid', '=1', 'UUID'],
    ['big', '7', 'string', '=1', 'BIGINT'],
    ['big', '7', 'int', '=1', 'BIGINT'],
    ['small', '7', 'int', '=1', 'BIGINT'],
    ['small', '9007199254740993', 'int', '=0', 'BIGINT'],
    ['num', '7', 'int', '=1', 'BIGINT'],
    ['ci', 'uSER7', 'string', '=1', 'citext'],
    ['vc', 'User7', 'string', '=1', 'VARCHAR'],
    ['vc', 'uSER7', 'string', '=0', 'VARCHAR'],
    ['digits', '7', 'int', '=1', 'VARCHAR'],
  ])('%s asked for %p as %s', async (column, key, type, answer, sqlType) => {
    const sql = `SELECT COUNT(*) FROM events WHERE ${column} = $id AND at > NOW() - INTERVAL '60 days'`
    const { definitions, ask } = await bench.define({ key: { id: type }, sources, features: { f: sql } })
    expect(definitions.problems).toEqual([])
    expect(definitions.get('f')?.keyTypes).toEqual([sqlType])
    expect(await ask('f', [[key, AT]])).toEqual([answer])
    const both = await ask('f', [
      [key, AT],
      [key, '2020-01-01T00:00:00Z'],
    ])
    expect(both).toEqual([answer, '=0'])
    const plan = await planOf(definitions.get('f')?.set.text ?? '', sqlType, key)
    expect(plan).toMatch(/Index (Only )?Scan/)
    expect(plan).not.toContain('Seq Scan on events')
  })

  test('a key that is none to the column is told so, alone and among others', async () => {
    const features = { u: 'SELECT COUNT(*) FROM events WHERE u = $id', big: 'SELECT COUNT(*) FROM events WHERE big = $id' }
    const { ask } = await bench.define({ key: { id: 'string' }, sources, features })
    const rows = [
      ['nobody', AT],
      ['7', AT],
      [UUID, AT],
    ] as const
    expect(await ask('u', rows)).toEqual(['invalid_key', 'invalid_key', '=1'])
    expect(await ask('big', rows)).toEqual(['invalid_key', '=1', 'invalid_key'])
    expect(await ask('u', rows.slice(0, 1))).toEqual(['invalid_key'])
  })

  test.each<[column: string, ids: readonly string[], answers: readonly string[]]>([
    ['colour', ['red', 'green', 'blue'], ['=10000', 'invalid_key', '=10000']],
    ['num', ['7', 'seven', '7.0', '1e400000'], ['=1', 'invalid_key', '=1', 'invalid_key']],
    ['at', ['nobody'], ['feature_failed']],
  ])('an id that the type of %s does not know is told so, for its own row', async (column, ids, answers) => {
    const { ask } = await bench.define({
      key: { id: 'string' },
      sources,
      features: { f: `SELECT COUNT(*) FROM events WHERE ${column} = $id${column === 'at' ? '::timestamptz' : ''}` },
    })
    const asked = ids.map((id) => [id, AT] as const)
    expect(await ask('f', asked)).toEqual([...answers])
    expect(await Promise.all(asked.map(async (one) => (await ask('f', [one]))[0]))).toEqual([...answers])
  })

  test('a query that fails by itself is not blamed on the key', async () => {
    const { ask } = await bench.define({
      key: { id: 'string' },
      sources,
      features: { f: 'SELECT COUNT(*) / 0 FROM events WHERE colour = $id' },
    })
    expect(await ask('f', [['red', AT]])).toEqual(['feature_failed'])
    expect(await ask('f', [['green', AT]])).toEqual(['invalid_key'])
  })
})

describe('a table that no index finds a key in', () => {
  const K = 'k = $user_id'
  const read = {
    counts: `SELECT COUNT(*) FROM plain WHERE ${K} AND at > NOW() - INTERVAL '10 days'`,
    columns: {
      sql: `SELECT COALESCE(SUM(n), 0) AS a, MIN(at) AS b, COUNT(*) FILTER (WHERE n > 5) AS c, MAX(DATE_TRUNC('day', at)) AS d FROM plain AS p WHERE p.${K}`,
      columns: { a: null, b: null, c: null, d: null },
    },
    odd: `SELECT /* FROM plain WHERE */ COUNT(DISTINCT "from where") + EXTRACT(year FROM NOW()) || '; LIMIT 1' FROM public.plain "order by"
      WHERE n IS DISTINCT FROM 7 AND ($user_id) = "order by".k -- GROUP BY`,
    branches: `SELECT CASE WHEN COUNT(*) = 0 THEN $user_id ELSE 'some' END FROM plain WHERE n > 3 AND (${K} AND (at > NOW() OR n < 9))`,
    last: `SELECT n FROM plain WHERE ${K} ORDER BY at DESC, n LIMIT 1`,
    lastOf: {
      sql: `SELECT p.n AS a, UPPER(p.k) AS b FROM plain p WHERE p.${K} ORDER BY p.n + 1 DESC NULLS LAST LIMIT 1`,
      columns: { a: null, b: null },
    },
  }
  /** Which of a key's rows come first, or what else is read, is another matter. */
  const apart = {
    listed: `SELECT STRING_AGG(n::text, ',') FROM plain WHERE ${K}`,
    windowed: `SELECT MAX(n) OVER () FROM plain WHERE ${K} ORDER BY n LIMIT 1`,
    placed: `SELECT n FROM plain WHERE ${K} ORDER BY 1 LIMIT 1`,
    twice: `SELECT COUNT(*) FROM plain WHERE ${K} AND n > (SELECT AVG(n) FROM plain)`,
    grouped: `SELECT COUNT(*) FROM plain WHERE ${K} GROUP BY k`,
    otherwise: `SELECT COUNT(*) FROM plain WHERE ${K} OR n = 1`,
    failing: `SELECT SUM(10 / (n - 39)) FROM plain WHERE ${K}`,
    indexed: `SELECT COUNT(*) FROM events WHERE vc = $user_id`,
  }

  test('is read once for all keys, and each is answered as alone', async () => {
    await bench.execute(`CREATE TABLE plain AS SELECT 'u' || i % 20 AS k, i AS n, 'x' || i % 3 AS "from where",
      TIMESTAMPTZ '2026-01-01' + i * INTERVAL '1 day' AS at FROM generate_series(0, 59) i`)
    const written = { sources: { ...sources, plain: { timestamp: 'at' } }, features: { ...read, ...apart } }
    const { definitions, ask } = await bench.define(written)
    expect(definitions.problems).toEqual([])
    // Keys with rows, without, and a row of every key that fails.
    const asked = ['u1', 'nobody', 'u19', 'u2', 'u1', "o'k", 'u7', 'u11', 'u3', 'u15', ' '].map(
      (key, i) => [key, `2026-02-${10 + i}T00:00:00Z`] as const,
    )
    for (const name of Object.keys(written.features)) {
      const alone = await Promise.all(asked.map(async (one) => (await ask(name, [one]))[0] ?? ''))
      expect(await ask(name, asked), name).toEqual(alone)
      expect(alone.filter((answer) => answer.startsWith('=')).length, name).toBeGreaterThan(name === 'indexed' ? 0 : 5)
      const text = definitions.get(name)?.grouped ?? null
      expect(text !== null, name).toBe(name in read || name === 'failing')
      if (text === null) continue
      const list = `SELECT i AS __fabra_ord, 'u' || i AS __fabra_k0, TIMESTAMPTZ '${AT}' AS __fabra_as_of FROM generate_series(0, 99) i`
      const rows = await bench.rows(`EXPLAIN (ANALYZE, TIMING OFF) WITH __fabra_row AS MATERIALIZED (${list})\n${text}`).catch(() => [])
      const scans = rows
        .map((row) => String(row['QUERY PLAN']))
        .filter((line) => line.includes('Scan on plain') && !line.includes('never executed'))
      if (name !== 'failing') expect(scans, name).toEqual([expect.stringContaining('loops=1)')])
    }
  })
})

describe('names', () => {
  test('the path of the connection says which table a bare name means', async () => {
    const fresh = await openPostgresBench(server, 'keys_too')
    await fresh.execute(`CREATE SCHEMA shop; CREATE TABLE shop.orders (user_id text, at timestamptz); INSERT INTO shop.orders VALUES ('a', '2026-01-01'), ('a', '2026-03-01');
      CREATE TABLE public.orders (user_id text, at timestamptz); ALTER ROLE fabra IN DATABASE keys_too SET search_path = shop, public`)
    await fresh.store.close()
    // Connections take the path when they are made.
    const postgres = openPostgres({ url: fresh.url })
    const store = createPostgresSourceEngine({ reader: postgres, owner: postgres, loadFile: null })
    const db = createDb({ sourceEngine: store, registry: registryOf({ sources: { orders: { timestamp: 'at' } }, features: {} }) })
    const at = { asOf: Date.parse(AT) * 1000, mode: 'past', signal: new AbortController().signal, timeoutMs: 10_000 } as const
    expect((await db.query('SELECT COUNT(*) FROM orders', [], at)).rows).toEqual([[1]])
    expect((await db.query('SELECT COUNT(*) FROM shop.orders', [], at)).rows).toEqual([[1]])
    expect(await db.query('SELECT COUNT(*) FROM public.orders', [], at).catch((error: { code: string }) => error.code)).toBe(
      'feature_failed',
    )
    await store.close()
    await fresh.close()
  })

  test('a table that went astray into the schema of Fabra is found there, and told how to come back', async () => {
    await bench.execute('CREATE SCHEMA IF NOT EXISTS fabra; CREATE TABLE fabra.lost (user_id text)')
    const load = (name: string) => bench.store.load([{ source: source(name), keyTypes: {} }])
    expect(await load('lost')).toEqual([
      { source: 'lost', message: expect.stringContaining('schema "fabra"'), hint: expect.stringContaining('ALTER TABLE fabra."lost"') },
    ])
    expect(await load('nowhere')).toEqual([
      { source: 'nowhere', message: 'There is no table "nowhere".', hint: expect.stringContaining('Known: ') },
    ])
  })

  test('quoted names keep their case and blanks', async () => {
    const features = {
      f: 'SELECT MAX("select") FROM "Mixed Case" WHERE "User Id" = $user_id',
      g: 'SELECT MAX(public."Mixed Case"."select") FROM "Mixed Case" WHERE "Mixed Case"."At" < NOW() AND "User Id" = $user_id',
    }
    const { definitions, ask } = await bench.define({ sources: { 'Mixed Case': { timestamp: 'At' } }, features })
    expect(definitions.problems).toEqual([])
    for (const name of ['f', 'g']) expect(await ask(name, [['a', AT]])).toEqual(['=7'])
  })

  test('a column that is named in another case is found as the server finds it', async () => {
    const { definitions } = await bench.define({
      sources,
      features: { f: 'SELECT COUNT(*) FROM EVENTS WHERE VC = $user_id', g: 'SELECT "VC" FROM events' },
    })
    expect(definitions.problems.map(({ subject, message }) => [subject, message])).toEqual([
      ['feature "g"', expect.stringContaining('column "VC" does not exist. (line 1, column 8')],
    ])
  })
})
