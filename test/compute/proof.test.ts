/**
 * The proof alone: nothing is bound and nothing runs here. What the rewrite makes of the corpus passes it, and what somebody has tampered with
 * does not. (scripts/mutations/gate.ts puts mistakes into the rewrite; this file must notice each.)
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { writeSql } from '../../src/compute/sql/gate.ts'
import { prove, UnprovenSql } from '../../src/compute/sql/proof.ts'
import { type AnalysedSql, analyseSql, readWorld, type SqlWorld } from '../../src/compute/sql/rewrite/analysis.ts'
import { lateralRow, rowSqlOf } from '../../src/compute/sql/rewrite/parameters.ts'
import { bodyFor, setStatement } from '../../src/compute/sql/rewrite/statement.ts'
import type { Entity, Feature, KeyType, Registry } from '../../src/definition/model.ts'
import { openComputeBench, registryOf } from '../support/compute-bench.ts'
import { openPostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { corpus, corpusKeys, corpusSources, corpusTables, type Shape } from './corpus.ts'
import { postgresOnly, postgresTexts } from './corpus-postgres.ts'

const POSTGRES_TABLES = `CREATE SCHEMA app;
  CREATE TABLE transactions (user_id text, n bigint, amount numeric(18, 2), weight float8, category text, merchant_id bigint, created_at timestamptz, tags text[], meta jsonb, doc jsonb, device uuid);
  CREATE TABLE logins (user_id text, ok boolean, ip text, "at" timestamp); CREATE TABLE profiles (user_id text, plan text, valid_from timestamptz, valid_to timestamptz);
  CREATE TABLE scores (user_id text, v bigint, ts timestamptz, ingested_at timestamptz); CREATE TABLE clicks (event_id bigint, user_id text, v bigint, ts timestamptz);
  CREATE TABLE berlin (user_id text, v bigint, local_time timestamp); CREATE TABLE days (user_id text, v bigint, day date);
  CREATE TABLE merchants (merchant_id bigint, country text, name text); CREATE TABLE "order" (user_id text, "select" bigint, "from" text, "at" timestamptz);
  CREATE TABLE app.events (user_id text, v bigint, ts timestamptz); CREATE TABLE strangers (user_id text); CREATE TABLE accounts (email varchar, balance bigint, at timestamptz)`

interface Ground {
  readonly store: Awaited<ReturnType<typeof openComputeBench>>['store']
  readonly world: SqlWorld
  close(): Promise<void>
}

let server: TestServer
const grounds = new Map<string, Ground>()
beforeAll(async () => {
  server = await startPostgres()
  const duckdb = await openComputeBench(1)
  for (const { create } of corpusTables) await duckdb.execute(create)
  await duckdb.execute('CREATE TABLE strangers (user_id VARCHAR)')
  const postgres = await openPostgresBench(server, 'proof')
  await postgres.execute(POSTGRES_TABLES)
  const { sources } = registryOf({ sources: corpusSources, features: {} })
  grounds.set('duckdb', { store: duckdb.store, world: await readWorld(duckdb.store, sources), close: () => duckdb.store.close() })
  grounds.set('postgres', { store: postgres.store, world: await readWorld(postgres.store, sources), close: () => postgres.close() })
}, 180_000)
afterAll(async () => {
  for (const ground of grounds.values()) await ground.close()
  await server[Symbol.asyncDispose]()
})

function groundOf(engine: string): Ground {
  const ground = grounds.get(engine)
  if (!ground) throw new Error(`No ${engine}.`)
  return ground
}

function ownerOf(key: Readonly<Record<string, KeyType>>, sql: string) {
  const registry: Registry = registryOf({ key, features: { f: sql } })
  return {
    entity: registry.entities.get('User') as Entity,
    feature: registry.features.get('f') as Feature,
    keyTypes: Object.keys(key).map(() => 'VARCHAR'),
  }
}

/** Characters of several bytes, and blanks and comments that mislead, before what is rewritten. */
const ODD: [string, Shape][] = [
  "SELECT 'é😀' || COUNT(*) /* ü */ FROM transactions é WHERE é.user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'",
  "SELECT COUNT(*)\u3000/* 取引\u3000件数 */FROM\u00a0transactions -- it's\rWHERE\u200buser_id = $user_id AND '\u3000' <> NOW()::VARCHAR",
  "SELECT COUNT(*) FROM transactions WHERE E'a\\'b' <> $q$ FROM transactions $q$ AND user_id = $user_id /* a /* NOW() */ ' */ AND created_at < NOW()",
].map((sql, i) => [`odd text ${i}`, { sql }])

function textsOf(engine: string): [string, Shape][] {
  const shapes = Object.entries(corpus).map(([name, shape]): [string, Shape] => [name, typeof shape === 'string' ? { sql: shape } : shape])
  if (engine === 'duckdb') return [...shapes, ...ODD]
  const written = shapes.flatMap(([name, shape]): [string, Shape][] => {
    const text = postgresTexts[name]
    return text === null ? [] : [[name, text === undefined ? shape : { ...shape, sql: text }]]
  })
  return [...written, ...Object.entries(postgresOnly), ...ODD]
}

async function admitted(engine: string, text: string): Promise<AnalysedSql> {
  const { store, world } = groundOf(engine)
  return analyseSql(text, store, world)
}

/** Why it is not proved; null when it is. */
async function refusal(proving: Promise<unknown>): Promise<string | null> {
  try {
    await proving
    return null
  } catch (error) {
    if (error instanceof UnprovenSql) return error.message
    throw error
  }
}

describe.each(['duckdb', 'postgres'])('%s', (engine) => {
  test('every shape of the corpus is proved, over a list of rows and for one', async () => {
    const gate = groundOf(engine)
    const reasons: string[] = []
    for (const [name, shape] of textsOf(engine)) {
      const owner = ownerOf(corpusKeys[shape.key ?? 'user'].key, shape.sql)
      const sql = await admitted(engine, shape.sql)
      reasons.push(...sql.faults.map(({ message }) => `${name}: ${message}`))
      if (sql.faults.length > 0) continue
      const why =
        (await refusal(writeSql(sql, { row: lateralRow(owner), frame: setStatement }, gate))) ?? (await refusal(rowSqlOf(sql, owner, gate)))
      if (why !== null) reasons.push(`${name}: ${why}`)
    }
    expect(reasons).toEqual([])
  })

  const T = 'transactions'
  const schema = engine === 'duckdb' ? 'main' : 'public'
  const physical = `"${schema}"."transactions"`
  const shadow = `(SELECT * FROM ${physical} WHERE "created_at" < __fabra_row.__fabra_as_of)`
  const text = `SELECT COUNT(*) AS value FROM ${T} WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour' AND category <> 'food'`

  async function tampered(change: (statement: string) => string, written = text): Promise<string | null> {
    const { store, world } = groundOf(engine)
    const sql = await admitted(engine, written)
    const row = lateralRow(ownerOf({ user_id: 'string', merchant_id: 'string' }, written))
    const statement = setStatement(bodyFor(sql, sql.shadows, row).text)
    const changed = change(statement)
    if (changed === statement && change !== same) throw new Error(`Nothing to change in ${statement}`)
    return refusal(
      prove(sql, { text: changed, frame: setStatement, asOf: row.asOf, parameter: (name) => row.parameter(name, 0) }, store, world),
    )
  }
  const same = (statement: string) => statement
  const replaced = (from: string, to: string) => (statement: string) => statement.replace(from, () => to)

  test('a statement as it is made is proved', async () => {
    expect(await tampered(same)).toBeNull()
  })

  test.each<[string, (statement: string) => string]>([
    ['the table itself', replaced(`${shadow} AS "transactions"`, T)],
    ['the table itself, with its schema', replaced(shadow, physical)],
    ['a shadow without its condition', replaced(' WHERE "created_at" < __fabra_row.__fabra_as_of', '')],
    ['a shadow that shows the very time', replaced('"created_at" <', '"created_at" <=')],
    ['a shadow that shows what is later', replaced('"created_at" <', '"created_at" >')],
    ['a shadow of another column', replaced('"created_at" <', '"n" <')],
    ['a shadow of another time', replaced('< __fabra_row.__fabra_as_of)', '< __fabra_row.__fabra_k0)')],
    ['a shadow of the present', replaced('< __fabra_row.__fabra_as_of)', '< NOW())')],
    ['a shadow with a way around', replaced('< __fabra_row.__fabra_as_of)', '< __fabra_row.__fabra_as_of OR TRUE)')],
    ['a shadow of another table', replaced(physical, `"${schema}"."logins"`)],
    ['a shadow of a table that nobody declared', replaced(physical, `"${schema}"."strangers"`)],
    ['a shadow with more in it', replaced(`${physical} WHERE`, `${physical} CROSS JOIN ${T} AS other WHERE`)],
    ['the table beside its shadow', replaced('AS "transactions"', `AS "transactions", ${physical} AS other`)],
    ['the table in a subquery', replaced('COUNT(*)', `(SELECT COUNT(*) FROM ${T})`)],
    [
      'the table under the name of a WITH that is not around it',
      replaced(
        'SELECT COUNT(*)',
        `WITH x AS (WITH ${T} AS (SELECT 1 AS a) SELECT * FROM ${T}) SELECT (SELECT COUNT(*) FROM ${T}) + COUNT(*)`,
      ),
    ],
    ['the table in the WITH that has its name', replaced('SELECT COUNT(*)', `WITH ${T} AS (SELECT * FROM ${T}) SELECT COUNT(*)`)],
    ['a table of ours', replaced('COUNT(*)', '(SELECT COUNT(*) FROM fabra.api_keys)')],
    ['a table of the engine', replaced('COUNT(*)', '(SELECT COUNT(*) FROM information_schema.tables)')],
    ['a present that was left', replaced('__fabra_row.__fabra_as_of - INTERVAL', 'NOW() - INTERVAL')],
    ['a word of the present', replaced('__fabra_row.__fabra_as_of - INTERVAL', 'CURRENT_TIMESTAMP - INTERVAL')],
    ['a text that is the present', replaced('__fabra_row.__fabra_as_of - INTERVAL', "CAST('now' AS TIMESTAMPTZ) - INTERVAL")],
    ['a text beside a time that is the present', replaced("__fabra_row.__fabra_as_of - INTERVAL '1 hour'", "'now'")],
    ['a key in place of the present', replaced('__fabra_row.__fabra_as_of - INTERVAL', '__fabra_row.__fabra_k0 - INTERVAL')],
    ['another function', replaced('COUNT(*)', 'random()')],
    ['a function that reads', replaced('COUNT(*)', "pg_read_file('/etc/passwd')")],
    ['a function in FROM', replaced('AS "transactions"', 'AS "transactions", pg_ls_dir(\'/\')')],
    ['another key', replaced('__fabra_k0', '__fabra_k1')],
    ['a parameter that was left', replaced('__fabra_row.__fabra_k0', '$1')],
    ['another column', replaced('user_id =', 'category =')],
    ['another constant', replaced("'food'", "'fuel'")],
    ['a condition that is gone', replaced(" AND category <> 'food'", '')],
    ['a comment where a condition was', replaced(" AND category <> 'food'", " /* AND category <> 'food' */")],
    ['a sample', replaced('AS "transactions"', 'AS "transactions" TABLESAMPLE BERNOULLI (50)')],
    ['a row list of its own', replaced('SELECT COUNT(*)', 'WITH __fabra_row AS (SELECT 1 AS __fabra_as_of) SELECT COUNT(*)')],
    ['a list of rows under another name', replaced('FROM __fabra_row JOIN', 'FROM transactions AS __fabra_row JOIN')],
    ['a second list of rows', replaced('FROM __fabra_row JOIN', 'FROM __fabra_row CROSS JOIN transactions JOIN')],
    ['something after it', (statement) => `${statement} UNION ALL SELECT 1, 2, COUNT(*) FROM transactions`],
    ['something before it', (statement) => `WITH x AS (SELECT * FROM transactions) ${statement}`],
    ['a condition of the frame', (statement) => `${statement} WHERE EXISTS (SELECT 1 FROM transactions)`],
  ])('%s is not', async (_, change) => {
    const why = await tampered(change).catch((error: Error) => error.name)
    expect(why).not.toBeNull()
  })

  test.each([
    ['until', 'SELECT COUNT(*) FROM profiles', '>=', '>'],
    ['until of rows that are not replaced', 'SELECT COUNT(*) FROM profiles', '"valid_to" IS NULL OR', '"valid_to" IS NOT NULL OR'],
    ['available', 'SELECT COUNT(*) FROM scores', '"ingested_at" <=', '"ingested_at" >='],
    ['delay', 'SELECT COUNT(*) FROM logins', '600000000 microseconds', '600000 microseconds'],
    ['the zone', 'SELECT COUNT(*) FROM berlin', 'Europe/Berlin', 'UTC'],
    ['repeats', 'SELECT COUNT(*) FROM clicks', '"__fabra_other"."event_id" =', '"__fabra_other"."event_id" <>'],
    ['the day', 'SELECT COUNT(*) FROM days', '"day" <', '"day" <='],
  ])('%s otherwise is not', async (_, written, from, to) => {
    expect(await tampered(same, written)).toBeNull()
    expect(await tampered(replaced(from, to), written)).toMatch(/^It is not certain/)
  })

  test('tables that nobody declares are for definitions alone', async () => {
    const { store, world } = groundOf(engine)
    const statement = { row: { asOf: 'CAST($1 AS TIMESTAMPTZ)', parameter: (name: string) => name }, frame: (body: string) => body }
    const sql = await analyseSql('SELECT COUNT(*) FROM strangers', store, world)
    expect(await refusal(writeSql(sql, statement, { store, world }))).toBeNull()
    expect(await refusal(writeSql({ ...sql, owner: 'client' }, statement, { store, world }))).toMatch(/it would read "strangers" itself/)
    expect(await refusal(writeSql({ ...sql, undeclared: [] }, statement, { store, world }))).toMatch(/it reads tables that were not seen/)
    const missed = await analyseSql(`SELECT COUNT(*) FROM ${T}`, store, world)
    const asStranger = { ...missed, shadows: [], undeclared: missed.shadows.map(({ ref, table }) => ({ ref, table })) }
    expect(await refusal(writeSql(asStranger, statement, { store, world }))).toMatch(/it would read "transactions" itself/)
  })
})

test('a text that becomes a time unguarded is not proved on PostgreSQL', async () => {
  const { store, world } = groundOf('postgres')
  const written = "SELECT COUNT(*) FROM transactions WHERE created_at > CAST('no' || 'w' AS timestamptz)"
  const sql = await analyseSql(written, store, world)
  const row = { asOf: 'CAST($1 AS TIMESTAMPTZ)', parameter: (name: string) => name }
  const statement = { row, frame: (body: string) => body }
  expect(await refusal(writeSql(sql, statement, { store, world }))).toBeNull()
  expect(await refusal(writeSql({ ...sql, bridges: [] }, statement, { store, world }))).toMatch(/a text would become a time/)
})
