/** The corpus on PostgreSQL: set-based, row by row and over truncated copies, with the answers that DuckDB gives. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import { ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { type BenchRow, type ComputeBench, type Defined, defined, openComputeBench } from '../support/compute-bench.ts'
import { openPostgresBench, type PostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { corpus, corpusKeys, corpusQuestions, corpusSources, corpusTables, corpusTimes, type Shape } from './corpus.ts'
import { comparable, keepDigits, normalise } from './corpus-answers.ts'
import {
  otherThanDuckdb,
  postgresCondition,
  postgresOnly,
  postgresPlain,
  postgresSources,
  postgresTables,
  postgresTexts,
} from './corpus-postgres.ts'

type KeyName = keyof typeof corpusKeys
interface Case {
  readonly name: string
  readonly id: string
  readonly shape: Shape
  /** Null: DuckDB has nothing like it. */
  readonly duckdb: Shape | null
}

const common = Object.entries(corpus).flatMap(([name, written]): Omit<Case, 'id'>[] => {
  const duckdb = typeof written === 'string' ? { sql: written } : written
  const text = Object.hasOwn(postgresTexts, name) ? postgresTexts[name] : duckdb.sql
  if (text === null || text === undefined) return []
  const plain = postgresPlain[name] ?? (Object.hasOwn(postgresTexts, name) ? undefined : duckdb.plain)
  return [{ name, shape: { ...duckdb, sql: text, plain }, duckdb: otherThanDuckdb.has(name) ? null : duckdb }]
})
const own = Object.entries(postgresOnly).map(([name, shape]) => ({ name, shape, duckdb: null }))
const cases: readonly Case[] = [...common, ...own].map((one, i) => ({ ...one, id: `f${i}` }))

let server: TestServer
let postgres: PostgresBench
let duckdb: ComputeBench
let truncated: readonly PostgresBench[]
const sets = new Map<string, Defined>()

beforeAll(async () => {
  server = await startPostgres()
  duckdb = await openComputeBench(1)
  for (const { create } of corpusTables) await duckdb.execute(create)
  postgres = await openPostgresBench(server, 'corpus')
  await postgres.execute(postgresTables)
  for (const { name } of corpusTables) await copyTable(name)
  truncated = await Promise.all(corpusTimes.map(truncatedCopy))
  for (const [keyName, { key }] of Object.entries(corpusKeys)) {
    const mine = cases.filter(({ shape }) => (shape.key ?? 'user') === keyName)
    const onPostgres = Object.fromEntries(mine.map(({ id, shape: { sql, type, columns } }) => [id, { sql, type, columns }]))
    const { registry, definitions } = await postgres.define({
      key,
      sources: { ...corpusSources, ...postgresSources },
      features: onPostgres,
    })
    for (const strategy of ['set', 'rows'] as const) {
      sets.set(
        `${keyName} ${strategy}`,
        defined(registry, definitions, createSqlExecutor({ sourceEngine: postgres.store, definitions, strategy })),
      )
    }
    const onDuckdb = mine.flatMap(({ id, duckdb: shape }) =>
      shape ? [[id, { sql: shape.sql, type: shape.type, columns: shape.columns }] as const] : [],
    )
    sets.set(`${keyName} duckdb`, await duckdb.define({ key, sources: corpusSources, features: Object.fromEntries(onDuckdb) }, 'set'))
  }
}, 120_000)

afterAll(async () => {
  for (const bench of [postgres, ...truncated]) await bench.close()
  await duckdb.store.close()
  await server[Symbol.asyncDispose]()
})

test('every shape is accepted', () => {
  const problems = [...sets].filter(([name]) => name.endsWith(' set')).flatMap(([, set]) => set.definitions.problems)
  const nameOf = (subject: string) => cases.find(({ id }) => subject === `feature "${id}"`)?.name ?? subject
  expect(problems.map(({ subject, message }) => `${nameOf(subject)}: ${message}`)).toEqual([])
  expect(cases.filter((one) => one.duckdb).length).toBeGreaterThanOrEqual(150)
})

test.each(cases)('$name', async ({ id, shape, duckdb: other }) => {
  const keyName: KeyName = shape.key ?? 'user'
  const { key, values } = corpusKeys[keyName]
  const answersOf = async (way: string, questions: readonly BenchRow[]) => ({
    way,
    answers: (await (sets.get(`${keyName} ${way}`) as Defined).compute(id, questions)).map(comparable),
  })
  const questions: BenchRow[] = corpusQuestions(
    cases.findIndex((one) => one.id === id),
    values,
  )
  const columns = sets.get(`${keyName} set`)?.definitions.get(id)?.columns ?? []
  const plain = await Promise.all(
    questions.map(([value, time]) => {
      const copy = truncated[corpusTimes.indexOf(String(time))] as PostgresBench
      return plainAnswer(copy, shape, Object.keys(key), value as readonly string[], String(time), columns)
    }),
  )
  expect(await answersOf('set', questions)).toEqual({ way: 'set', answers: plain })
  // A statement for each question: every third one.
  const isAsked = (_: unknown, i: number) => i % 3 === 0
  expect(await answersOf('rows', questions.filter(isAsked))).toEqual({ way: 'rows', answers: plain.filter(isAsked) })
  if (other) expect(await answersOf('duckdb', questions)).toEqual({ way: 'duckdb', answers: plain })
})

/** The rows of a table as DuckDB has them. */
async function copyTable(name: string): Promise<void> {
  const { rows } = await duckdb.database.loader.use(ownDeadline(), (session, left) =>
    session.read(`SELECT CAST(to_json(list(t)) AS VARCHAR) FROM ${name} t`, [], left),
  )
  const json = String(rows[0]?.[0]).replaceAll("'", "''")
  await postgres.execute(`INSERT INTO ${name} SELECT * FROM jsonb_populate_recordset(NULL::${name}, '${json}')`)
}

/** Holds only the rows that were there. Shares nothing with the rewrite. */
async function truncatedCopy(time: string, i: number): Promise<PostgresBench> {
  const copy = await openPostgresBench(server, `t${i}`)
  await copy.execute(postgresTables)
  for (const { name, visible } of [...corpusTables, { name: 'accounts', visible: 'made < :t' }]) {
    const condition = postgresCondition(visible).replaceAll(':t', `TIMESTAMPTZ '${time}'`).replaceAll('main_copy.', '')
    const rows = await postgres.rows(`SELECT COALESCE(json_agg(t), '[]')::text AS json FROM ${name} t`)
    const json = String(rows[0]?.['json']).replaceAll("'", "''")
    const fill = `DELETE FROM ${name}; INSERT INTO ${name} SELECT * FROM jsonb_populate_recordset(NULL::${name}, '${json}')`
    await copy.execute(`${fill}; DELETE FROM ${name} WHERE (${condition}) IS NOT TRUE`)
  }
  return copy
}

async function plainAnswer(
  copy: PostgresBench,
  { sql, plain = sql }: Shape,
  keyNames: readonly string[],
  key: readonly string[],
  time: string,
  columns: readonly { readonly name: string | null; readonly type: string; readonly index: number }[],
): Promise<unknown> {
  let text = plain.replace(/now\(\)/gi, `TIMESTAMPTZ '${time}'`).replace(/;\s*(--.*)?$/, '')
  for (const [i, name] of keyNames.entries()) {
    // A literal takes the type of what it stands beside, as a parameter does.
    const literal = `'${(key[i] ?? '').replaceAll("'", "''")}'`
    text = text.replaceAll(`$${name}`, name === 'merchant_id' ? `CAST(${literal} AS BIGINT)` : literal)
  }
  text = text.replace(/FROM \((SELECT(?:[^()]|\([^()]*(?:\([^()]*\)[^()]*)*\))*)\)(?=$| WHERE)/g, 'FROM ($1) AS unnamed')
  const rows = await copy.rows(`SELECT to_json(__row)::text AS json FROM (\n${text}\n) __row`)
  if (rows.length === 0) return 'missing'
  if (rows.length > 1) return 'not_one_row'
  const answer = Object.values(JSON.parse(String(rows[0]?.['json']), keepDigits) as Record<string, unknown>)
  return columns.map(({ index, type }) => normalise(answer[index], type))
}
