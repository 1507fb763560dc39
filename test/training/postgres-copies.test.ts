/**
 * Features of PostgreSQL over copies of their rows in DuckDB: random rows and random texts, each answered by PostgreSQL row by row and by every plan
 * over the copies. FABRA_TEST_RUNS sets the number of cases, FABRA_TEST_SEED repeats a run.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { copiedDefinitions } from '../../src/compute/sql/portable/over-copies.ts'
import { createSqlDefinitions, type SqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { Strategy } from '../../src/compute/sql/strategies.ts'
import { type Database, openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { copyInto } from '../../src/store/duckdb/training/copied-sources.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { createCopyRows } from '../../src/store/postgres/copied-rows.ts'
import { wantedRows } from '../../src/training/set-ways.ts'
import { defined, registryOf } from '../support/compute-bench.ts'
import { type CopiedCase, copiedCases, KEYS, rowsOf, TABLE } from '../support/copied-cases.ts'
import { shortOf } from '../support/oracle-world.ts'
import { openPostgresBench, type PostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

const RUNS = Math.ceil(Number(process.env['FABRA_TEST_RUNS'] ?? 40))
const LIMIT_MS = 180_000 + RUNS * 2000
const seed = process.env['FABRA_TEST_SEED']
const RUN = { ...(seed === undefined ? {} : { seed: Number(seed) }), endOnFailure: process.env['FABRA_TEST_SHRINK'] === '0' }
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
  await bench.execute(`CREATE TABLE events (${TABLE})`)
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
    const told = { features: 0, answers: 0, over: 0 }
    await fc.assert(
      fc.asyncProperty(copiedCases, (world) => check(world, told)),
      { ...RUN, numRuns: RUNS },
    )
    // What the allow-list lets through is what is looked at here.
    expect(told.over).toBeGreaterThan(told.features * 0.9)
    expect(told.answers).toBeGreaterThan(RUNS * 10)
  },
  LIMIT_MS,
)

const STRATEGIES: readonly Strategy[] = ['set', 'grouped', 'joined', 'sorted']

async function check(world: CopiedCase, told: { features: number; answers: number; over: number }): Promise<void> {
  await bench.execute(`TRUNCATE events; ${rowsOf(world)}`)
  const names = world.sqls.map((_, i) => `f${i}`)
  const sources = { events: { timestamp: 'ts', delay: world.delay } }
  const features = Object.fromEntries(world.sqls.map((sql, i) => [names[i] ?? '', sql]))
  const definitions = await createSqlDefinitions(registryOf({ key: { user_id: 'string' }, sources, features }), bench.store)
  if (definitions.problems.length > 0) throw new Error(JSON.stringify([definitions.problems, world.sqls]))
  const engine = createDuckdbSourceEngine(database)
  try {
    await copied(world, definitions, names)
    const over = await copiedDefinitions(definitions, names, engine)
    const wanted = createSqlExecutor({ sourceEngine: bench.store, definitions, strategy: 'set' })
    for (const [i, name] of names.entries()) {
      told.features++
      if (over.get(name) === undefined) continue
      told.over++
      const expected = await answersOf(definitions, wanted, name, world)
      for (const strategy of STRATEGIES) {
        const executor = createSqlExecutor({ sourceEngine: engine, definitions: over, strategy })
        const found = await answersOf(definitions, executor, name, world)
        for (const [q, answer] of found.entries()) {
          told.answers++
          // What fails is computed in PostgreSQL.
          if (answer === 'error' || Bun.deepEquals(answer, expected[q])) continue
          const text = definitions.get(name)?.portability?.portable?.text
          throw new Error(
            `${strategy}: ${world.sqls[i]}\n${text}\n${JSON.stringify(world.questions[q])}: ${JSON.stringify(answer)}, not ${JSON.stringify(expected[q])}`,
          )
        }
      }
    }
  } finally {
    await database.loader.use(OPTIONS, (session, left) => session.execute('DROP TABLE IF EXISTS events', left))
  }
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
    return portable ? [{ read: portable.read, entity: 0 }] : []
  })
  const rows = `'${join(database.loadDir, 'labels.parquet')}'`
  const values = world.questions.map(({ key, at }) => `('${(KEYS[key] ?? '').replaceAll("'", "''")}', make_timestamptz(${at}))`)
  await database.loader.use(OPTIONS, async (session, left) => {
    await session.execute(
      `COPY (SELECT * FROM (VALUES ${values.join(', ')}) AS t(__fabra_e0_k0, __fabra_as_of)) TO ${rows} (FORMAT parquet)`,
      left,
    )
    const state = { folder: '', session, rows, rowCount: values.length, keyCount: () => 1, file: () => '' }
    const work = { state: state as never, copyRows: createCopyRows(postgres), memory: 1024 ** 3, values: 10_000 }
    // The loader's session is in use: tables are made on the one of history.
    expect(
      await copyInto({ ...database, loader: database.history }, reads.length === 0 ? [] : [wantedRows(reads, entity)], work, left),
    ).toBeNull()
  })
}
