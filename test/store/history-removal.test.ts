/** What goes from history is what a rule names, and no answer about a kept time is another one for it: of both engines, against brute force. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { createOldHistory } from '../../src/app/old-history.ts'
import { formatTime } from '../../src/definition/time.ts'
import { FabraError } from '../../src/errors.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbHistoryRemoval } from '../../src/store/duckdb/history/history-removal.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createDuckdbFigures } from '../../src/store/duckdb/storage-figures.ts'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import type { HistoryRemoval, RemovalRule } from '../../src/store/ports/history-removal.ts'
import type { HistoryRow, OfflineStore, Origin } from '../../src/store/ports/offline-store.ts'
import type { OfflineFigures } from '../../src/store/ports/storage-figures.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { createPostgresHistoryRemoval } from '../../src/store/postgres/history/history-removal.ts'
import { createPostgresOfflineStore } from '../../src/store/postgres/history/offline-store.ts'
import { createPostgresFigures } from '../../src/store/postgres/inspect/storage-figures.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { movableClock } from '../support/clock.ts'
import { plainAndPacked } from '../support/history-layouts.ts'
import { order, removable } from '../support/removable.ts'
import { startPostgres } from '../support/servers.ts'
import { openPostgresTrainingBench, pushedRegistry, type TrainingBench, trainingBenchOver } from '../support/training-bench.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(120_000)

interface Engine {
  readonly offline: OfflineStore
  readonly removal: HistoryRemoval
  readonly training: TrainingBench
  readonly figures: OfflineFigures
  close(): Promise<void>
}

/** Under load everything takes ten times as long. */
function patient(offline: OfflineStore): OfflineStore {
  return { ...offline, append: (some) => offline.append(some, { timeoutMs: 100_000 }) }
}

async function duckdb(): Promise<Engine> {
  const database = await openDatabase({ file: ':memory:' })
  const offline = patient(createDuckdbOfflineStore(database))
  const training = trainingBenchOver(database)
  return {
    offline,
    removal: createDuckdbHistoryRemoval(database, 1_000),
    training,
    figures: createDuckdbFigures(database),
    close: () => offline.close(),
  }
}

async function postgres(isMixed = false): Promise<Engine> {
  const server = await startPostgres()
  const connection = openPostgres({ url: server.url })
  await migrate(connection)
  const training = await openPostgresTrainingBench(server, 0)
  const onProblem = () => undefined
  const packed = () => createPostgresOfflineStore({ postgres: connection, random: Math.random, onProblem })
  const offline = patient(isMixed ? plainAndPacked(connection, onProblem) : packed())
  // Some plain row is there from the first look on: where none is, none ever comes again.
  if (isMixed) await offline.append([row({ feature: 'undefined_and_plain' })])
  return {
    offline,
    removal: createPostgresHistoryRemoval(connection),
    training,
    figures: createPostgresFigures(connection),
    async close() {
      await training.close()
      await connection.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** Tiny domains, so that ties, late arrivals and values of all origins on one key are the rule. */
const rows = fc.array(
  fc.record({
    entityKey: fc.constantFrom('u1', 'u2'),
    fingerprint: fc.constantFrom('f1', 'f1', 'f2'),
    eventAt: fc.integer({ min: 0, max: 6 }),
    lag: fc.integer({ min: 0, max: 3 }),
    createdLag: fc.integer({ min: 0, max: 3 }),
    value: fc.constantFrom('1', '2', 'null', null),
    origin: fc.constantFrom<Origin>('computed', 'computed', 'pushed', 'backfill'),
  }),
  { maxLength: 14 },
)
const world = fc.record({
  rows,
  before: fc.integer({ min: 0, max: 9 }),
  origins: fc.constantFrom<readonly Origin[]>(['computed'], ['computed', 'pushed', 'backfill']),
})

const HOUR = 3_600_000_000
const DAY = 24 * HOUR
const BASE = Date.UTC(2026, 0, 1) * 1000

/** The point-in-time rule, without SQL: what each kind of question about a time is answered with. */
function answers(all: readonly HistoryRow[], from: number): unknown[] {
  const found: unknown[] = []
  for (const entityKey of ['u1', 'u2'])
    for (const fingerprint of ['f1', 'f2'])
      for (const knowledge of ['serving', 'latest', 'served'])
        for (const snapshot of [null, from, from + HOUR])
          for (let t = from; t < from + 8 * HOUR; t += HOUR / 2) {
            const seen = all.filter((one) => {
              const mustHaveArrived = knowledge === 'serving' || (knowledge === 'served' && one.origin !== 'computed')
              return (
                one.entityKey === entityKey &&
                one.fingerprint === fingerprint &&
                one.eventAt <= t &&
                (!mustHaveArrived || one.availableAt <= t) &&
                (snapshot === null || one.createdAt <= snapshot) &&
                (knowledge !== 'served' || one.origin !== 'backfill')
              )
            })
            // With its event time: whatever the look-back is, it sees the same.
            found.push(seen.sort(order).at(-1) ?? null)
          }
  return found
}

async function all(offline: OfflineStore, feature: string): Promise<readonly HistoryRow[]> {
  const asked = ['u1', 'u2'].flatMap((entityKey) => ['f1', 'f2'].map((fingerprint) => ({ entityKey, fingerprint })))
  const histories = await Promise.all(asked.map((one) => offline.history({ ...one, feature, from: null, to: null, limit: 1_000 })))
  return histories.flat().sort((a, b) => a.seq - b.seq)
}

async function remove(removal: HistoryRemoval, rule: RemovalRule): Promise<number> {
  let removed = 0
  let place: Parameters<HistoryRemoval['removeLot']>[1] | null = { after: null }
  while (place) {
    const lot = await removal.removeLot(rule, place)
    removed += lot.removed
    place = lot.next
  }
  return removed
}

describe.each([
  ['DuckDB', duckdb],
  ['PostgreSQL', () => postgres()],
  ['PostgreSQL, plain and packed', () => postgres(true)],
])('removal of recorded values from %s', (_name, open) => {
  let engine: Engine
  beforeAll(async () => {
    engine = await open()
  })
  afterAll(() => engine?.close())

  test('takes what the rule names and nothing else, and what is asked about a kept time has the answer that it had', async () => {
    const { offline, removal } = engine
    let run = 0
    await fc.assert(
      fc.asyncProperty(world, async (given) => {
        const feature = `f${run++}`
        const recorded = given.rows.map(({ lag, createdLag, ...one }, i) => {
          const eventAt = BASE + one.eventAt * HOUR
          const availableAt = eventAt + lag * HOUR
          return row({ ...one, feature, eventAt, availableAt, createdAt: availableAt + createdLag * HOUR, seq: i + 1 })
        })
        const rule = { feature, before: BASE + given.before * HOUR, origins: given.origins }
        await offline.append(recorded)
        const gone = recorded.filter((one) => removable(recorded, one, rule))
        expect(await remove(removal, rule)).toBe(gone.length)
        const left = await all(offline, feature)
        expect(left).toEqual(recorded.filter((one) => !gone.includes(one)))
        expect(answers(left, rule.before)).toEqual(answers(recorded, rule.before))
        expect([...(await removal.keptSince([feature, 'other']))]).toEqual(gone.length === 0 ? [] : [[feature, rule.before]])
        // Once more there is nothing to do, and an earlier time takes nothing back.
        expect(await remove(removal, { ...rule, before: rule.before - HOUR })).toBe(0)
        expect(await remove(removal, rule)).toBe(0)
      }),
      { numRuns: 30 },
    )
  })

  test('goes through more keys and rows than a lot has, and leaves the newest of each key and every erasure', async () => {
    const { offline, removal } = engine
    const keys = Array.from({ length: 450 }, (_, i) => `k${i}`)
    await offline.append(
      keys.flatMap((entityKey, k) =>
        Array.from({ length: 12 }, (_, i) => {
          const at = BASE + i * HOUR
          return row({
            feature: 'many',
            entityKey,
            value: i === 11 && k % 2 === 0 ? null : `${i}`,
            eventAt: at,
            availableAt: at,
            createdAt: at,
            seq: i + 1,
          })
        }),
      ),
    )
    await offline.forget(['many'], { entity: 'User', entityKey: 'k7', at: BASE })
    expect(await remove(removal, { feature: 'many', before: BASE + 1_000 * HOUR, origins: ['computed'] })).toBe(449 * 11)
    const left = await offline.latestOf('many', 'f1', keys)
    expect(left.flatMap((one, k) => (one?.eventAt === BASE + 11 * HOUR && (one.value === null) === (k % 2 === 0) ? [] : [k]))).toEqual([7])
    expect(await offline.erasures()).toContainEqual({ entity: 'User', entityKey: 'k7', at: BASE })
  })

  test('happens as features and the server say, under a lease, and a training set of what is gone is refused', async () => {
    const { offline, removal, training } = engine
    const clock = movableClock(BASE + 100 * DAY)
    const refresh = { kind: 'interval', every: HOUR } as const
    const computed = { type: 'int', computation: { kind: 'function' }, refresh } as const
    const registry = pushedRegistry({
      plain: computed,
      slow: { ...computed, lookBack: 60 * DAY },
      limited: { ...computed, keep: 50 * DAY },
      pushed: { type: 'int' },
      kept: { type: 'int', keep: 10 * DAY },
    })
    const names = [...registry.features.keys()]
    // Every ten days from the first on.
    await offline.append(
      [...registry.features.values(), { name: 'undefined_by_now', fingerprint: 'f1', refresh }].flatMap(({ name, fingerprint, refresh }) =>
        Array.from({ length: 10 }, (_, i) => {
          const at = BASE + i * 10 * DAY
          const origin = refresh === null ? 'pushed' : 'computed'
          return row({ feature: name, fingerprint, value: `${i}`, eventAt: at, availableAt: at, createdAt: at, seq: i + 1, origin })
        }),
      ),
    )
    const features = () => registry.features.values()
    const leases = createMemoryLeaseStore(() => 0)
    const log = silentLogger
    const open = (keep: number | null) => createOldHistory({ removal, leases, features, keep, clock, log })
    const left = async () => {
      const all = await Promise.all(
        [...names, 'undefined_by_now'].map((feature) => {
          const fingerprint = registry.features.get(feature)?.fingerprint ?? 'f1'
          return offline.history({ feature, fingerprint, entityKey: 'u1', from: null, to: null, limit: 100 })
        }),
      )
      return all.map((some) => some.length)
    }
    const train = (t: number, asked = {}, some = names) =>
      training
        .train(registry, [{ user_id: 'u1', event_timestamp: formatTime(t) }], {
          features: some,
          parts: { keptSince: removal.keptSince },
          ...asked,
        })
        .then(
          ({ rows: [only] }) => some.map((name) => only?.[name]),
          (error: unknown) => (error instanceof FabraError ? [error.code, error.message, error.hint].join(' ') : error),
        )
    const kept = BASE + 95 * DAY
    const before = [await train(kept), await train(BASE + 71 * DAY, {}, ['plain'])]

    const first = open(null)
    expect(await first.sweep()).toBe(5 + 9)
    const second = open(30 * DAY)
    expect(await second.sweep()).toBe(0)
    await first.close()
    expect(await second.sweep()).toBe(7 + 4)
    expect(await left()).toEqual([3, 6, 5, 10, 1, 10])
    await second.close()

    expect([await train(kept), await train(BASE + 71 * DAY, {}, ['plain'])]).toEqual(before)
    for (const asked of [{}, { asServed: true }, { latestKnowledge: true }]) {
      const refused = await train(BASE + 69 * DAY, asked, ['plain'])
      expect(refused).toStartWith('history_removed One label row asks about "plain"')
      expect(refused).toContain(formatTime(BASE + 70 * DAY))
    }
    expect(await train(kept, { snapshot: BASE + 69 * DAY }, ['plain'])).toStartWith('history_removed The snapshot of')
    expect(await train(BASE + 69 * DAY, {}, ['pushed'])).toEqual([6])
  })

  test('is foretold: rows and bytes of each feature, new ones of the last day, and those older than asked', async () => {
    const { offline, figures } = engine
    const now = BASE + 500 * DAY
    const rowsOf = (feature: string, count: number, daysAgo: number, origin: Origin) =>
      Array.from({ length: count }, (_, i) => {
        const at = now - daysAgo * DAY + HOUR
        return row({
          feature,
          entityKey: `${daysAgo}/${i}`,
          value: `"${'x'.repeat(200)}"`,
          eventAt: at,
          availableAt: at,
          createdAt: at,
          seq: i + 1,
          origin,
        })
      })
    await offline.append([
      ...rowsOf('sized', 3_000, 1, 'computed'),
      ...rowsOf('sized', 1_000, 100, 'computed'),
      ...rowsOf('sized', 500, 2, 'pushed'),
      ...rowsOf('small', 10, 1, 'computed'),
    ])
    const question = { now, ages: [DAY, 50 * DAY, 200 * DAY], sources: ['nothing_there'] }
    const { features, bytes, isEstimate } = await figures.recorded(question)
    expect(isEstimate).toBe(false)
    const [computed, pushed] = features.filter(({ feature }) => feature === 'sized')
    expect([computed?.rows, computed?.rowsLastDay, pushed?.rows, pushed?.rowsLastDay]).toEqual([4_000, 3_000, 500, 0])
    const whole = computed?.bytes ?? 0
    expect(whole).toBeGreaterThan(4_000 * 50)
    expect(features.reduce((sum, one) => sum + one.bytes, 0)).toBeLessThanOrEqual(bytes + features.length)
    const shares = [computed?.bytesLastDay, ...(computed?.bytesOlder ?? [])].map((part) => Math.round((100 * (part ?? 0)) / whole))
    expect(shares).toEqual([75, 25, 25, 0])
    const tables = await figures.tables(question)
    expect(tables.filter(({ kind }) => kind === 'history')).toHaveLength(1)
    expect(tables.map(({ name }) => name)).toContain('fabra.feature_history')
  })
})
