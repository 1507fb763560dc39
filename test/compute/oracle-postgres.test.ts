/**
 * Random worlds on PostgreSQL against the brute-force oracle, as on DuckDB in `oracle.test.ts`. FABRA_TEST_RUNS sets the number of cases, FABRA_TEST_SEED
 * repeats a run.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { createSqlDefinitions, type SqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { Source } from '../../src/definition/model.ts'
import { formatTime } from '../../src/definition/time.ts'
import { defined, registryOf, type WrittenFeature } from '../support/compute-bench.ts'
import { disagreement, type Expected, type OracleRow, type OracleSource } from '../support/oracle.ts'
import { type Case, cases, largeCases } from '../support/oracle-cases.ts'
import { type ShapeName, written } from '../support/oracle-shapes.ts'
import { expectedOf, KEY_COLUMNS, settingsOf, shortOf } from '../support/oracle-world.ts'
import { openPostgresBench, type PostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { inPostgres } from '../support/statement-engines.ts'

const RUNS = Math.ceil(Number(process.env['FABRA_TEST_RUNS'] ?? 120) / 3)
const LIMIT_MS = 180_000 + RUNS * 2000
const seed = process.env['FABRA_TEST_SEED']
const RUN = { ...(seed === undefined ? {} : { seed: Number(seed) }), endOnFailure: process.env['FABRA_TEST_SHRINK'] === '0' }

let server: TestServer
let bench: PostgresBench
beforeAll(async () => {
  server = await startPostgres()
  bench = await openPostgresBench(server, 'oracle')
}, 180_000)
afterAll(async () => {
  await bench.close()
  await server[Symbol.asyncDispose]()
})

test(
  'set-based, joined and row by row agree with the oracle',
  async () => {
    await fc.assert(
      fc.asyncProperty(cases, (world) => check(world, ['set', 'rows', 'joined'])),
      { ...RUN, numRuns: RUNS },
    )
  },
  LIMIT_MS,
)

test(
  'so does what the executor chooses by itself for many rows',
  async () => {
    await fc.assert(
      fc.asyncProperty(largeCases, (world) => check(world, [undefined])),
      { ...RUN, numRuns: Math.ceil(RUNS / 10) },
    )
  },
  LIMIT_MS,
)

test('a name that only the list of rows could have is refused', async () => {
  const [world] = fc.sample(cases, { numRuns: 1, seed: 2 })
  if (!world) throw new Error('No sample.')
  await fill({ ...world, keyKind: 'string' })
  const outer = ['user_id', '__fabra_k0', '__fabra_as_of', '"__fabra_row".__fabra_k0', '__fabra_row']
  const sqls = outer.map((column) => `SELECT COUNT(*) FROM events WHERE ${column} = $user_id`)
  const features = Object.fromEntries(sqls.map((sql, i) => [`f${i}`, sql]))
  const { problems } = await createSqlDefinitions(registryOf({ sources: sourcesOf(world), features }), bench.store)
  const refused = new Set(problems.map(({ subject }) => subject))
  expect(sqls.filter((_, i) => !refused.has(`feature "f${i}"`))).toEqual([])
})

/** `undefined`: what the executor chooses by itself. */
type Strategy = 'set' | 'rows' | 'joined' | undefined

async function check(world: Case, strategies: readonly Strategy[]): Promise<void> {
  await fill(world)
  const features = Object.fromEntries(world.shapes.map((_, i): [string, WrittenFeature] => [`f${i}`, featureOf(world, i)]))
  const registry = registryOf({ key: KEY_COLUMNS[world.keyKind], sources: sourcesOf(world), features })
  const definitions = await createSqlDefinitions(registry, bench.store)
  if (definitions.problems.length > 0) throw new Error(JSON.stringify(definitions.problems))
  for (const strategy of strategies) await Promise.all(world.shapes.map((_, i) => checkFeature(world, i, definitions, strategy)))
}

async function checkFeature(world: Case, index: number, definitions: SqlDefinitions, strategy: Strategy): Promise<void> {
  const executor = createSqlExecutor({ sourceEngine: bench.store, definitions, strategy })
  const { questions: asked } = world
  const many = Array.from({ length: 300 }, (_, i) => asked[i % asked.length] ?? { key: [], t: 0 })
  const questions = strategy === 'rows' ? asked.slice(0, 3) : strategy === undefined ? many : [...asked, ...asked.slice(0, 1)]
  const answers = await defined(definitions.registry, definitions, executor).compute(
    `f${index}`,
    questions.map(({ key, t }) => [key, t]),
  )
  const expected = new Map<unknown, Expected>()
  for (const [i, question] of questions.entries()) {
    const wanted = expected.get(question) ?? expectedOf(world, index, question.key, question.t)
    expected.set(question, wanted)
    const why = disagreement(wanted, shortOf(answers[i]))
    if (!why) continue
    const place = `for ${JSON.stringify(question.key)} at ${question.t} (row ${i})`
    throw new Error(`${strategy ?? 'by itself'}: ${featureOf(world, index).sql}\n${place}: ${why}`)
  }
  const explanation = executor.explain(`f${index}`) ?? ''
  if (strategy === 'set' && explanation.startsWith('row by row')) throw new Error(`Not computed as a set: ${explanation}`)
}

/** A sum of bigint is a numeric, which has no end: where whole numbers are meant, the declared type says so. */
const SUMS: Partial<Record<ShapeName, 'scale' | 'factScale'>> = { sum: 'scale', coalesced: 'scale', leftJoin: 'factScale' }

function featureOf(world: Case, index: number): WrittenFeature {
  const draw = world.shapes[index]
  if (!draw) throw new Error('No such shape.')
  const { sql, columns } = written[draw.shape]
  const names = Object.keys(KEY_COLUMNS[world.keyKind])
  const key = (alias: string) => names.map((name, i) => `${alias}.k${i} = $${name}`).join(' AND ')
  const scale = SUMS[draw.shape] === 'factScale' ? world.facts.scale : world.events.scale
  const type = SUMS[draw.shape] && scale === 1 ? 'int' : undefined
  return { sql: inPostgres(sql(key, draw)), type, ...(columns ? { columns } : {}) }
}

function sourcesOf({ events, facts }: Case): Readonly<Record<string, Partial<Source>>> {
  return { events: settingsOf(events), facts: settingsOf(facts) }
}

const TIME_TYPES = { instant: 'timestamptz', naive: 'timestamp', date: 'date' } as const
const AMOUNT_TYPES = { 1: 'bigint', 8: 'float8', 1000: 'numeric(18, 3)' } as const
const KEY_TYPES = { string: ['varchar'], int: ['bigint'], uuid: ['uuid'], pair: ['varchar', 'bigint'] } as const

/** With the index that a table of events has. */
function fill(world: Case): Promise<void> {
  const tables = (['events', 'facts'] as const).map((name) => {
    const source = world[name]
    const keys = KEY_TYPES[world.keyKind].map((type, i) => `k${i} ${type}`)
    const [at, other] = [TIME_TYPES[source.timestampType], TIME_TYPES[source.otherType]]
    const rest = [
      `ts ${at}`,
      `seen ${other}`,
      `until ${other}`,
      'event_id int',
      'category varchar COLLATE "C"',
      `amount ${AMOUNT_TYPES[source.scale]}`,
    ]
    const columns = ['n bigint', ...keys, ...rest]
    const insert =
      source.rows.length === 0 ? '' : `INSERT INTO ${name}_rows VALUES ${source.rows.map((row) => rowSql(row, source)).join(', ')};`
    const top = source.view ? `CREATE VIEW ${name} AS SELECT * FROM ${name}_rows;` : `ALTER TABLE ${name}_rows RENAME TO ${name};`
    return `CREATE TABLE ${name}_rows (${columns.join(', ')}); ${insert} CREATE INDEX ON ${name}_rows (k0, ts); ${top}`
  })
  return bench.execute(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${tables.join(' ')}`)
}

function rowSql(row: OracleRow, source: OracleSource): string {
  const time = (micros: number | null, type: 'instant' | 'naive' | 'date') => {
    if (micros === null) return 'NULL'
    if (!Number.isFinite(micros)) return `'${micros < 0 ? '-' : ''}infinity'::${TIME_TYPES[type]}`
    return `'${formatTime(micros)}'::${TIME_TYPES[type]}`
  }
  const text = (value: string | null) => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`)
  return `(${[
    row.n,
    ...row.key.map(text),
    time(row.at, source.timestampType),
    time(row.available, source.otherType),
    time(row.until, source.otherType),
    row.id ?? 'NULL',
    text(row.category),
    row.amount === null ? 'NULL' : source.scale === 1 ? String(row.amount) : `${row.amount}::numeric / ${source.scale}`,
  ].join(', ')})`
}
