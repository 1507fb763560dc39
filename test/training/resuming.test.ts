/** Training sets that are interrupted and asked for again. What is killed here is killed by an error; `test/e2e/resuming.test.ts` does it with SIGKILL. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ComputeRow, listOf } from '../../src/compute/executor.ts'
import type { Registry } from '../../src/definition/model.ts'
import { type Database, openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { forgettingKeptFiles } from '../../src/store/duckdb/training/resume/forgetting-parts.ts'
import { createDuckdbTrainingStore, createLocalKeptFiles } from '../../src/store/duckdb/training/training-store.ts'
import type { OfflineStore } from '../../src/store/ports/offline-store.ts'
import type { TrainingStore } from '../../src/store/ports/training-store.ts'
import type { TrainingDependencies } from '../../src/training/job.ts'
import { temporaryFolder } from '../support/binary.ts'
import { type BenchRequest, executorOf, pushedRegistry, recorded, type Trained, trainingBenchOf } from '../support/training-bench.ts'

const ROWS = 1_000
const START = Date.parse('2026-01-01T00:00:00Z')
const LABELS = Array.from({ length: ROWS }, (_, i) => ({
  user_id: `u${i % 50}`,
  event_timestamp: new Date(START + i * 60_000).toISOString(),
  amount: i,
}))
const FUNCTION = { computation: { kind: 'function' }, refresh: { kind: 'realtime' }, inputs: { amount: 'int' }, type: 'int' } as const
const SQL = { computation: { kind: 'sql', sql: '' }, refresh: { kind: 'interval', every: 1 }, type: 'int' } as const
/** More than a realtime function would find in history: another feature that it might ask for. */
const WORLD = pushedRegistry({ velocity: FUNCTION, events_seen: SQL, score: { type: 'int' } })
const REGISTRY: Registry = { ...WORLD, sources: new Map([['events', { name: 'events', timestamp: 'at' } as never]]) }

let folder: string
let database: Database
let offline: OfflineStore
let store: TrainingStore
beforeEach(async () => {
  folder = temporaryFolder()
  await open()
  await execute(
    `CREATE TABLE events AS SELECT 'u' || (i % 50) AS user_id, TIMESTAMPTZ '2026-01-01 00:00:00Z' + INTERVAL (i) MINUTE AS at FROM range(2000) r(i)`,
  )
  await offline.append(Array.from({ length: 100 }, (_, i) => score(`u${i % 50}`, i)))
})
afterEach(async () => {
  await database.close()
  await rm(folder, { recursive: true, force: true })
})

/** As after the start of a process. */
async function open(): Promise<void> {
  database = await openDatabase({ file: join(folder, 'fabra.duckdb') })
  const parts = createLocalKeptFiles(database)
  offline = forgettingKeptFiles(createDuckdbOfflineStore(database), parts)
  store = createDuckdbTrainingStore(database, { parts, keepAfterMs: 0 })
}

async function restart(): Promise<void> {
  await database.close()
  await open()
}

function execute(sql: string): Promise<void> {
  return database.loader.use(ownDeadline(), (session, left) => session.execute(sql, left))
}

function score(entityKey: string, minute: number) {
  return recorded({ feature: 'score', entityKey, value: String(minute), eventAt: (START + minute * 60_000) * 1000 })
}

const kept = () => {
  const sets = readdirSync(folder).includes('training') ? readdirSync(join(folder, 'training')) : []
  return sets.flatMap((set) => readdirSync(join(folder, 'training', set)).map((name) => join(folder, 'training', set, name)))
}

interface Run extends Trained {
  /** Rows that the function was called for. */
  readonly called: readonly number[]
}

/** @param dies From which call on nothing is answered any more. */
async function train(
  asked: Partial<BenchRequest> = {},
  { dies = Number.POSITIVE_INFINITY, labels = LABELS as readonly Record<string, unknown>[], from = store } = {},
): Promise<Run> {
  const called: number[] = []
  const executor = executorOf((row: ComputeRow) => {
    if (called.length >= dies) throw new Error('killed')
    called.push(Number(row.inputs?.['amount']))
    return { kind: 'value', texts: [String(Number(row.inputs?.['amount']) * 2)], oldestInputAt: null }
  })
  const bench = trainingBenchOf(from, offline, async () => undefined)
  const trained = await bench.train(REGISTRY, labels, { features: ['velocity'], parts: { executor, ...SQL_PARTS }, ...asked })
  return { ...trained, called }
}

/** A statement for the SQL feature; it is not tried any other way. */
const SQL_PARTS: Partial<TrainingDependencies> = {
  sourcesOf: () => ['events'],
  pastStatement: async () => ({
    text: 'SELECT __fabra_ord, 1, (SELECT COUNT(*) FROM main.events AS e WHERE e.user_id = __fabra_k0 AND e.at < __fabra_as_of) FROM __fabra_row',
    columns: [{ index: 0, type: 'int', sqlType: 'BIGINT' }],
    alwaysOneRow: true,
    how: 'set-based',
  }),
}

async function interrupted(asked: Partial<BenchRequest> = {}, dies = 700): Promise<void> {
  await expect(train(asked, { dies })).rejects.toThrow('killed')
  await restart()
}

test('a function is not called again for the rows that an interrupted run had finished, and the set is the same', async () => {
  const whole = await train()
  expect({ calls: whole.called.length, resumed: whole.report.resumed }).toEqual({ calls: ROWS, resumed: 0 })
  await interrupted()
  const resumed = await train()
  // Of the parts before it died the last may not have been written to its end.
  expect(resumed.report.resumed).toBeGreaterThan(0)
  expect(resumed.called).toEqual(LABELS.slice(resumed.report.resumed).map(({ amount }) => amount))
  expect({ hash: resumed.report.datasetHash, rows: resumed.rows }).toEqual({ hash: whole.report.datasetHash, rows: whole.rows })
})

test('what was kept goes with the delivered set, and the next time all of it is computed', async () => {
  await interrupted()
  expect(kept().length).toBeGreaterThan(0)
  await train()
  expect(kept()).toEqual([])
  expect((await train()).called.length).toBe(ROWS)
})

test('recomputed and recorded values are taken over as well', async () => {
  const features = ['events_seen', 'score', 'velocity']
  const whole = await train({ features })
  await interrupted({ features }, 500)
  const resumed = await train({ features })
  expect(resumed.report.resumed).toBeGreaterThanOrEqual(2 * ROWS)
  expect(resumed.report.datasetHash).toBe(whole.report.datasetHash as string)
  expect(resumed.rows).toEqual(whole.rows)
})

test('--fresh computes everything', async () => {
  await interrupted()
  const run = await train({ fresh: true })
  expect({ calls: run.called.length, resumed: run.report.resumed }).toEqual({ calls: ROWS, resumed: 0 })
})

test('the format and the columns beside the values do not matter', async () => {
  await interrupted()
  expect((await train({ withStatus: true })).report.resumed).toBeGreaterThan(0)
})

const changes: Readonly<Record<string, () => Promise<unknown>>> = {
  'an event was appended to a source': () => execute("INSERT INTO events VALUES ('u1', '2026-01-01T00:00:30Z')"),
  'an event was changed by another program': () => execute("UPDATE events SET user_id = 'u2' WHERE user_id = 'u3'"),
  'events have another order': () => execute('CREATE OR REPLACE TABLE events AS SELECT * FROM events ORDER BY "at" DESC'),
  'a value was recorded that the function may ask for': () => offline.append([score('u1', 3)]),
}
for (const [what, change] of Object.entries(changes)) {
  test(`nothing is taken over when ${what}`, async () => {
    await interrupted()
    await change()
    const run = await train()
    expect({ calls: run.called.length, resumed: run.report.resumed }).toEqual({ calls: ROWS, resumed: 0 })
  })
}

test('recomputed values are taken over though something was recorded meanwhile, recorded ones are not', async () => {
  const features = ['events_seen', 'score', 'velocity']
  await interrupted({ features }, 0)
  await offline.append([score('u1', 3)])
  const run = await train({ features })
  expect(run.report.resumed).toBe(ROWS)
  expect(run.report.datasetHash).toBe((await train({ features })).report.datasetHash as string)
})

const others: Readonly<Record<string, readonly Record<string, unknown>[]>> = {
  'another time': LABELS.map((row, i) => (i === 0 ? { ...row, event_timestamp: '2026-01-01T00:00:00.000001Z' } : row)),
  'another key': LABELS.map((row, i) => (i === 0 ? { ...row, user_id: 'u1' } : row)),
  'another input': LABELS.map((row, i) => (i === 0 ? { ...row, amount: 77 } : row)),
  'another order': [...LABELS].reverse(),
  'one row less': LABELS.slice(1),
}
for (const [what, labels] of Object.entries(others)) {
  test(`nothing is taken over for labels with ${what}`, async () => {
    await interrupted()
    const run = await train({}, { labels })
    expect({ calls: run.called.length, resumed: run.report.resumed }).toEqual({ calls: labels.length, resumed: 0 })
  })
}

test('nothing is taken over for another version of the feature', async () => {
  await interrupted()
  const features = new Map([...REGISTRY.features].map(([name, feature]) => [name, { ...feature, fingerprint: 'fedcba9876543210' }]))
  const { called, executor } = counting()
  const bench = trainingBenchOf(store, offline, async () => undefined)
  const { report } = await bench.train({ ...REGISTRY, features }, LABELS, { features: ['velocity'], parts: { executor } })
  expect({ calls: called.length, resumed: report.resumed }).toEqual({ calls: ROWS, resumed: 0 })
})

test.each([
  ['of a function', 'velocity', ['velocity']],
  ['of a feature that the function may ask for', 'events_seen', ['velocity']],
  ['of a query', 'events_seen', ['events_seen', 'velocity']],
])('nothing is taken over for other code %s, though a version stands for it', async (_whose, changed, asked) => {
  await interrupted({ features: asked })
  const features = new Map(
    [...REGISTRY.features].map(([name, feature]) => [
      name,
      name === changed ? { ...feature, codeFingerprint: 'fedcba9876543210' } : feature,
    ]),
  )
  const { called, executor } = counting()
  const bench = trainingBenchOf(store, offline, async () => undefined)
  const { report } = await bench.train({ ...REGISTRY, features }, LABELS, { features: asked, parts: { executor, ...SQL_PARTS } })
  expect({ calls: called.length, resumed: report.resumed }).toEqual({ calls: ROWS, resumed: 0 })
})

function counting() {
  const called: number[] = []
  const executor = executorOf((row: ComputeRow) => {
    called.push(Number(row.inputs?.['amount']))
    return { kind: 'value', texts: [String(Number(row.inputs?.['amount']) * 2)], oldestInputAt: null }
  })
  return { called, executor }
}

test('a part whose bytes are not what they were is computed again', async () => {
  const whole = await train()
  await interrupted()
  const files = kept()
  for (const file of files) {
    const bytes = await Bun.file(file).bytes()
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1
    writeFileSync(file, bytes)
  }
  const run = await train()
  expect({ calls: run.called.length, resumed: run.report.resumed, hash: run.report.datasetHash }).toEqual({
    calls: ROWS,
    resumed: 0,
    hash: whole.report.datasetHash,
  })
})

test('a part of which the disk kept nothing is computed again', async () => {
  await interrupted()
  for (const file of kept()) writeFileSync(file, '')
  expect((await train()).called.length).toBe(ROWS)
})

test('a draft that a kill has left is not read', async () => {
  await interrupted()
  const [first = ''] = kept()
  writeFileSync(join(first, '..', 'draft-1'), 'half of')
  expect((await train()).report.resumed).toBeGreaterThan(0)
  expect(kept()).toEqual([])
})

test('forgetting a key removes everything that was kept', async () => {
  await interrupted()
  expect(kept().length).toBeGreaterThan(0)
  await offline.forget(['score'], { entity: 'User', entityKey: 'u1', at: START * 1000 })
  expect(kept()).toEqual([])
  expect(readdirSync(folder).filter((name) => name.startsWith('training'))).toEqual([])
  expect((await train()).called.length).toBe(ROWS)
})

test('a set that is being made while a key is forgotten keeps nothing from then on', async () => {
  let calls = 0
  const executor: TrainingDependencies['executor'] = {
    async compute(_feature, rows) {
      calls += rows.length
      if (calls > 300 && calls - rows.length <= 300) await offline.forget(['score'], { entity: 'User', entityKey: 'u1', at: START * 1000 })
      if (calls >= 900) throw new Error('killed')
      return listOf(rows).map(() => ({ kind: 'value', texts: ['1'], oldestInputAt: null }) as const)
    },
  }
  await expect(train({ parts: { executor } })).rejects.toThrow('killed')
  expect(kept()).toEqual([])
})

test('two runs of the same set at once both end with it', async () => {
  const whole = await train()
  await interrupted()
  const runs = await Promise.all([train(), train()])
  expect(runs.map((run) => run.report.datasetHash)).toEqual([whole.report.datasetHash, whole.report.datasetHash])
  expect(kept()).toEqual([])
})

test('a disk that takes no parts does not fail the set', async () => {
  await rm(join(folder, 'training'), { recursive: true, force: true })
  writeFileSync(join(folder, 'training'), 'in the way')
  expect((await train()).called.length).toBe(ROWS)
})

test('four interrupted sets are kept, for a week', async () => {
  const old = join(folder, 'training', 'old')
  mkdirSync(old, { recursive: true })
  utimesSync(old, new Date(), new Date(Date.now() - 8 * 86_400_000))
  for (let rows = 994; rows < ROWS; rows++) await expect(train({}, { dies: 700, labels: LABELS.slice(0, rows) })).rejects.toThrow('killed')
  const sets = readdirSync(join(folder, 'training'))
  expect(sets).not.toContain('old')
  expect(sets.length).toBeLessThanOrEqual(5)
  // The newest is there.
  expect((await train({}, { labels: LABELS.slice(0, ROWS - 1) })).report.resumed).toBeGreaterThan(0)
})

test('what is kept is for its owner alone', async () => {
  await interrupted()
  expect(statSync(join(folder, 'training')).mode & 0o077).toBe(0)
})
