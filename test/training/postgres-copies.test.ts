/**
 * Features of PostgreSQL over copies of their rows in DuckDB: random rows and random texts, each answered by PostgreSQL row by row and by every plan
 * over the copies. The cases are the same in each run; FABRA_TEST_RUNS sets their number, and another FABRA_TEST_SEED draws others.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { copiedDefinitions, overCopies } from '../../src/compute/sql/portable/over-copies.ts'
import { createSqlDefinitions, type SqlDefinition, type SqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { Strategy } from '../../src/compute/sql/strategies.ts'
import { entityKey } from '../../src/definition/entity-key.ts'
import type { Entity, Feature } from '../../src/definition/model.ts'
import { type Database, openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { copyInto } from '../../src/store/duckdb/training/copied-sources.ts'
import { typedValues } from '../../src/store/duckdb/training/typed-values.ts'
import { type SourceEngine, SqlError, type TakeRows } from '../../src/store/ports/source-engine.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { createCopyRows } from '../../src/store/postgres/copied-rows.ts'
import type { TrainingDependencies } from '../../src/training/job.ts'
import { HERE, wantedRows } from '../../src/training/set-ways.ts'
import { defined, registryOf } from '../support/compute-bench.ts'
import { type CopiedCase, copiedCases, KEYS, rowsOf, TABLE, THINGS } from '../support/copied-cases.ts'
import { shortOf } from '../support/oracle-world.ts'
import { openPostgresBench, type PostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { openPostgresTrainingBench } from '../support/training-bench.ts'

const RUNS = Math.ceil(Number(process.env['FABRA_TEST_RUNS'] ?? 10))
const LIMIT_MS = 180_000 + RUNS * 2000
const RUN = { seed: Number(process.env['FABRA_TEST_SEED'] ?? 8), endOnFailure: process.env['FABRA_TEST_SHRINK'] === '0' }
const OPTIONS = { signal: new AbortController().signal, timeoutMs: 60_000 }

let server: TestServer
let bench: PostgresBench
let postgres: Postgres
let database: Database
beforeAll(async () => {
  server = await startPostgres()
  bench = await openPostgresBench(server, 'copies')
  postgres = openPostgres({ url: bench.url, maxConnections: 1 })
  database = await openDatabase({ file: ':memory:', threads: 1 })
  await bench.execute(`CREATE TABLE events (${TABLE}); CREATE TABLE things (${THINGS})`)
}, 180_000)
afterAll(async () => {
  await database.close()
  await postgres.close()
  await bench.close()
  await server[Symbol.asyncDispose]()
})

test(
  'every plan over copies answers as PostgreSQL does',
  async () => {
    const tally = { features: 0, answers: 0, over: 0 }
    await fc.assert(
      fc.asyncProperty(copiedCases, (world) => check(world, tally)),
      { ...RUN, numRuns: RUNS },
    )
    // What the allow-list lets through is what is looked at here.
    expect(tally.over).toBeGreaterThan(tally.features * 0.5)
    expect(tally.answers).toBeGreaterThan(RUNS * 5)
  },
  LIMIT_MS,
)

const STRATEGIES: readonly Strategy[] = ['set', 'grouped', 'joined', 'sorted']

function isPossible(strategy: Strategy, definition: SqlDefinition | undefined): boolean {
  if (strategy === 'grouped') return definition?.grouped !== null
  if (strategy === 'sorted') return definition?.plain !== null
  return strategy === 'set' || definition?.plain !== null || definition?.latest !== null
}

/**
 * Whether an engine may find a value without computing all that is written: in which order conditions are tried is not said, and what need not be
 * computed may fail in one engine alone.
 */
function mayLeaveOut(sql: string): boolean {
  const [, conditions = ''] = sql.replaceAll(/NOW\(\) - INTERVAL '[^']*'/g, '').split(' WHERE ')
  return /\b(?:OR|CASE|COALESCE|BETWEEN|NULLIF|LIMIT)\b/.test(sql) || /[-+*/%] ?[\w(]/.test(conditions)
}

/** Sums of doubles differ in their last digits, as the order of rows is another one: by a 1e-9 of them at most. */
function areNear(sql: string, answer: unknown, expected: unknown): boolean {
  if (!/^SELECT (?:COALESCE\()?(?:SUM|AVG)\((?:e\.)?score\)/.test(sql)) return false
  const [a, b] = [answer, expected].map((texts) => (Array.isArray(texts) ? Number(texts[0]) : Number.NaN)) as [number, number]
  return Math.abs(a - b) <= 1e-9 * Math.abs(b)
}

async function check(world: CopiedCase, tally: { features: number; answers: number; over: number }): Promise<void> {
  await bench.execute(`TRUNCATE events, things; ${rowsOf(world)}`)
  const names = world.sqls.map((_, i) => `f${i}`)
  const sources = { events: world.source, things: world.isStatic ? { static: true } : { timestamp: 'made' } }
  const features = Object.fromEntries(world.sqls.map((sql, i) => [names[i] ?? '', sql]))
  const definitions = await createSqlDefinitions(registryOf({ key: { user_id: 'string' }, sources, features }), bench.store)
  if (definitions.problems.length > 0) throw new Error(JSON.stringify([definitions.problems, world.sqls]))
  const engine = createDuckdbSourceEngine(database)
  try {
    await copied(world, definitions, names)
    const over = await copiedDefinitions(definitions, names, engine)
    const wanted = createSqlExecutor({ sourceEngine: bench.store, definitions, strategy: 'set' })
    for (const [i, name] of names.entries()) {
      tally.features++
      if (over.get(name) === undefined) continue
      tally.over++
      const expected = await answersOf(definitions, wanted, name, world)
      if (definitions.get(name)?.portability?.portable?.kinds.includes('quotient')) {
        tally.answers += await checkQuotient(world, { definitions, engine, name }, expected)
        continue
      }
      for (const strategy of STRATEGIES.filter((one) => isPossible(one, over.get(name)))) {
        const executor = createSqlExecutor({ sourceEngine: engine, definitions: over, strategy })
        const found = await answersOf(definitions, executor, name, world)
        for (const [q, answer] of found.entries()) {
          tally.answers++
          // What fails is computed in PostgreSQL.
          if (answer === 'error' || Bun.deepEquals(answer, expected[q]) || areNear(world.sqls[i] ?? '', answer, expected[q])) continue
          if (expected[q] === 'error' && mayLeaveOut(world.sqls[i] ?? '')) continue
          const text = definitions.get(name)?.portability?.portable?.text
          throw new Error(
            `${strategy}: ${world.sqls[i]}\n${text}\n${JSON.stringify(world.questions[q])}: ${JSON.stringify(answer)}, not ${JSON.stringify(expected[q])}`,
          )
        }
      }
    }
  } finally {
    await database.loader.use(OPTIONS, (session, left) => session.execute('DROP TABLE IF EXISTS events; DROP TABLE IF EXISTS things', left))
  }
}

/** Quotients come to an end where the values of a set get their types. @returns how many were told. */
async function checkQuotient(
  world: CopiedCase,
  { definitions, engine, name }: { readonly definitions: SqlDefinitions; readonly engine: SourceEngine; readonly name: string },
  expected: readonly unknown[],
): Promise<number> {
  const over = await overCopies(definitions, [name], engine)
  const feature = definitions.registry.features.get(name) as Feature
  const entity = definitions.registry.entities.get(feature.entity) as Entity
  const sample = async () =>
    Array.from({ length: 256 }, (_, i) => {
      const { key, at } = world.questions[i % world.questions.length] ?? { key: 0, at: 0 }
      return { key: entityKey(entity, [KEYS[key] ?? '']), asOf: at }
    })
  let answers = 0
  for (const count of [2, 5_000]) {
    const statement = await over.pastStatement(name, count, sample)
    if (!statement) throw new Error(`No statement: ${name}`)
    for (const [q, { key, at }] of world.questions.entries()) {
      const rows = { types: ['VARCHAR'], keys: [[KEYS[key] ?? '']], asOf: [at] }
      const found: unknown[] = []
      const take: TakeRows = (some) => void found.push(...some.map(([, , value]) => (value === null ? null : String(value))))
      try {
        await engine.queryOver(take, typedValues(statement.text, statement.columns), rows, OPTIONS)
      } catch (error) {
        if (error instanceof SqlError && error.kind === 'runtime') continue
        throw error
      }
      answers++
      const wanted = expected[q]
      if (wanted === 'error' && mayLeaveOut(world.sqls[Number(name.slice(1))] ?? '')) continue
      const same = Array.isArray(wanted) ? (wanted[0] === 'null' ? null : String(Number(wanted[0]))) : wanted
      if (Bun.deepEquals(found, same === 'missing' ? [] : [same])) continue
      throw new Error(
        `${feature.computation.kind === 'sql' && JSON.stringify(feature.computation.sql)}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`,
      )
    }
  }
  return answers
}

async function answersOf(
  definitions: SqlDefinitions,
  executor: ReturnType<typeof createSqlExecutor>,
  name: string,
  { questions }: CopiedCase,
): Promise<readonly unknown[]> {
  const asked = questions.map(({ key, at }): [string[], number] => [[KEYS[key] ?? ''], at])
  const answers = await defined(definitions.registry, definitions, executor).compute(name, asked)
  return answers.map((answer) => (answer?.kind === 'error' ? 'error' : shortOf(answer)))
}

/** As a training set does it. */
async function copied(world: CopiedCase, definitions: SqlDefinitions, names: readonly string[]): Promise<void> {
  const entity = [...definitions.registry.entities.values()]
  const reads = names.flatMap((name) => {
    const portable = definitions.get(name)?.portability?.portable
    return portable?.reads.map((read) => ({ read, entity: 0 })) ?? []
  })
  const rows = `'${join(database.loadDir, 'labels.parquet')}'`
  const values = world.questions.map(({ key, at }) => `('${(KEYS[key] ?? '').replaceAll("'", "''")}', make_timestamptz(${at}))`)
  await database.loader.use(OPTIONS, async (session, left) => {
    await session.execute(
      `COPY (SELECT * FROM (VALUES ${values.join(', ')}) AS t(__fabra_e0_k0, __fabra_as_of)) TO ${rows} (FORMAT parquet)`,
      left,
    )
    const wanted = [...Map.groupBy(reads, ({ read }) => read.source.name).values()].map((some) => wantedRows(some, entity))
    const state = { folder: '', session, rows, rowCount: values.length, keyCount: () => 1, file: () => '' }
    const work = { state: state as never, copyRows: createCopyRows(postgres), memory: 1024 ** 3, values: 10_000 }
    // The loader's session is in use: tables are made on the one of history.
    expect(await copyInto({ ...database, loader: database.history }, wanted, work, left)).toBeNull()
  })
}

/** Sums of doubles to ten digits. */
function digits(csv: string): string {
  return csv.replaceAll(/\d+\.\d{9,}/g, (text) => Number(text).toPrecision(10))
}

test('a training set over copies is the set without them, and says which features were computed where they are', async () => {
  const training = await openPostgresTrainingBench({ ...server, url: bench.url }, 0)
  try {
    await bench.execute(`CREATE TABLE public.sales AS SELECT 'u' || i % 60 AS buyer, timestamptz '2026-01-01' + i * interval '1 hour' AS sold_at,
      ((i % 997) / 100.0)::numeric(18, 2) AS price, i AS n, CASE WHEN i % 3 = 0 THEN 'a' || chr(10) END AS kind, (i / 7.0)::float8 AS weight FROM generate_series(1, 900) i;
      CREATE TYPE public.mood AS ENUM ('sad', 'glad');
      CREATE TABLE public.visits AS SELECT i % 500 AS id, 'u' || i % 60 AS buyer, timestamp '2026-01-01' + i * interval '1 hour' AS seen_at,
        (ARRAY['sad', 'glad'])[i % 2 + 1]::public.mood AS mood FROM generate_series(1, 900) i;
      CREATE INDEX ON public.visits (id); CREATE INDEX ON public.visits (buyer); CREATE INDEX ON public.sales (buyer); ANALYZE`)
    const where = 'FROM sales WHERE buyer = $buyer'
    const sqls = [
      `SELECT COUNT(*) ${where} AND sold_at > NOW() - INTERVAL '3 days'`,
      `SELECT COALESCE(SUM(price), 0) ${where} AND sold_at > NOW() - INTERVAL '3 days'`,
      `SELECT AVG(price) ${where}`,
      `SELECT kind ${where} ORDER BY sold_at DESC, n LIMIT 1`,
      `SELECT STDDEV(weight) ${where}`,
      `SELECT SUM(weight) ${where}`,
      // Of rows with one id the first is there, and its time is that of Berlin.
      "SELECT COUNT(*) FROM visits WHERE buyer = $buyer AND mood = 'glad' AND seen_at > NOW() - INTERVAL '30 days'",
      'SELECT mood FROM visits WHERE buyer = $buyer GROUP BY mood HAVING COUNT(*) > 0 ORDER BY COUNT(*) DESC, MAX(seen_at) LIMIT 1',
      "SELECT COUNT(*) FROM sales s JOIN visits v ON v.buyer = s.buyer WHERE s.buyer = $buyer AND v.seen_at > NOW() - INTERVAL '1 day'",
    ]
    const features = Object.fromEntries(sqls.map((sql, i) => [`f${i}`, sql]))
    const definitions = await createSqlDefinitions(
      registryOf({
        key: { buyer: 'string' },
        sources: { sales: { timestamp: 'sold_at' }, visits: { timestamp: 'seen_at', timezone: 'Europe/Berlin', id: 'id' } },
        features,
      }),
      bench.store,
    )
    const executor = createSqlExecutor({ sourceEngine: bench.store, definitions })
    const parts = (copies: boolean): Partial<TrainingDependencies> => ({
      executor,
      portability: (feature) => (copies ? (definitions.get(feature.name)?.portability ?? null) : null),
      overCopies: (some, engine) =>
        overCopies(
          definitions,
          some.map(({ name }) => name),
          engine,
        ),
      explain: ({ name }) => executor.explain(name),
    })
    const labels = [
      'buyer,event_timestamp',
      ...Array.from({ length: 600 }, (_, i) => `u${i % 70},${new Date(Date.UTC(2026, 0, 2, i)).toISOString()}`),
    ].join('\n')
    const asked = { features: Object.keys(features) }
    const over = await training.train(definitions.registry, labels, { ...asked, parts: parts(true) })
    const there = await training.train(definitions.registry, labels, { ...asked, parts: parts(false) })
    expect(digits(over.text)).toBe(digits(there.text))
    expect(over.report.features.map(({ how }) => how?.includes(HERE))).toEqual([true, true, true, true, false, true, true, true, true])
    expect(over.report.features[4]?.how).toEndWith(', where the sources are: stddev() of float8')
    // Fewer values than a copy is made for.
    const few = await training.train(definitions.registry, labels, { features: ['f0'], parts: parts(true) })
    expect(few.report.features[0]?.how).toEndWith('600 values are sooner computed there than rows are copied')
  } finally {
    await training.close()
  }
}, 180_000)
