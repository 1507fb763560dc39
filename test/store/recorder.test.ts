import { afterAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { entityKey } from '../../src/definition/entity-key.ts'
import { fieldOf } from '../../src/definition/feature-version.ts'
import type { Feature } from '../../src/definition/model.ts'
import { FabraError } from '../../src/errors.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createMemoryOnlineStore } from '../../src/store/memory/online-store.ts'
import type { OfflineStore, Origin } from '../../src/store/ports/offline-store.ts'
import type { RecordedWrite } from '../../src/store/recording/recorded-write.ts'
import { createRecorder, type RecorderOptions } from '../../src/store/recording/recorder.ts'
import { movableClock } from '../support/clock.ts'
import { feature, User } from '../support/stored-definitions.ts'

const MINUTE = 60e6
const opened: OfflineStore[] = []
afterAll(() => Promise.all(opened.map((store) => store.close())))

/** Real stores; `fail(n)` makes the next n commits fail. */
async function bench(options: Partial<RecorderOptions> = {}) {
  const online = createMemoryOnlineStore()
  const duckdb = createDuckdbOfflineStore(await openDatabase({ file: ':memory:' }))
  opened.push(duckdb)
  let failing = 0
  const batches: number[] = []
  const offline: OfflineStore = {
    ...duckdb,
    async append(rows) {
      if (failing > 0) {
        failing--
        throw new FabraError('store_unavailable', 'The offline store did not answer.')
      }
      batches.push(rows.length)
      return duckdb.append(rows)
    },
  }
  const problems: string[] = []
  const clock = movableClock(1_000_000_000)
  const recorder = await createRecorder({ online, offline, clock, onProblem: (message) => problems.push(message), ...options })
  const write = (of: Feature, value: string | null, facts: { eventAt?: number; origin?: Origin; key?: string } = {}): RecordedWrite => {
    const eventAt = facts.eventAt ?? clock.now()
    const texts = value === null ? null : [value]
    return {
      feature: of,
      entity: User,
      key: entityKey(User, [facts.key ?? 'u1']),
      value: { texts, eventAt, availableAt: clock.now(), origin: facts.origin ?? 'computed', oldestInputAt: null },
    }
  }
  const record = (...args: Parameters<typeof write>) => recorder.record([write(...args)], { durable: true })
  const rows = async (of: Feature, key = 'u1') =>
    [
      ...(await duckdb.history({ feature: of.name, fingerprint: of.fingerprint, entityKey: key, from: null, to: null, limit: 10_000 })),
    ].reverse()
  const served = async (of: Feature, key = 'u1') => (await online.read('User', [key], [fieldOf(of)]))[0]?.[0]
  return { recorder, clock, online, duckdb, problems, batches, write, record, rows, served, fail: (times: number) => (failing = times) }
}

describe('what becomes history', () => {
  test('changes: an equal computed value is left out, a changed one is written, null and missing are values of their own', async () => {
    const { record, rows, clock } = await bench()
    const count = feature()
    for (const value of ['1', '1', '2', '2', '1', 'null', 'null', null, null, '1']) {
      clock.advance('1m')
      await record(count, value)
    }
    expect((await rows(count)).map((row) => row.value)).toEqual(['1', '2', '1', 'null', null, '1'])
  })

  test('changes: pushed and backfilled values are always written', async () => {
    const { record, rows, clock } = await bench()
    const count = feature()
    for (const origin of ['pushed', 'pushed', 'backfill', 'computed'] as const) {
      clock.advance('1m')
      await record(count, '1', { origin })
    }
    expect((await rows(count)).map((row) => row.origin)).toEqual(['pushed', 'pushed', 'backfill'])
  })

  test('all writes every value; off writes only what was pushed; both serve the newest', async () => {
    const { record, rows, served, clock } = await bench()
    const all = feature({ name: 'all_of', history: 'all' })
    const off = feature({ name: 'none_of', history: 'off' })
    for (const of of [all, off]) {
      for (const origin of ['computed', 'computed', 'pushed', 'computed'] as const) {
        clock.advance('1m')
        await record(of, '1', { origin })
      }
      expect((await served(of))?.eventAt).toBe(clock.now())
    }
    expect((await rows(all)).length).toBe(4)
    expect((await rows(off)).map((row) => row.origin)).toEqual(['pushed'])
  })

  test.each<[string, Partial<Feature>, number]>([
    ['a day', {}, 360],
    ['max staleness', { maxStaleness: 60 * MINUTE }, 15],
    ['look-back', { maxStaleness: 60 * MINUTE, lookBack: 40 * MINUTE }, 10],
  ])('changes: an unchanged value is confirmed at least every quarter of %s', async (_, facts, everyMinutes) => {
    const { recorder, write, rows, clock } = await bench()
    const count = feature(facts)
    for (let minute = 0; minute < 1500; minute += 7) {
      await recorder.record([write(count, '1')], { durable: false })
      clock.advance('7m')
    }
    await recorder.flush()
    const times = (await rows(count)).map((row) => row.eventAt)
    const gaps = times.slice(1).map((time, i) => (time - (times[i] ?? 0)) / MINUTE)
    expect(gaps.length).toBeGreaterThan(2)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(everyMinutes)
    expect(Math.min(...gaps)).toBeGreaterThan(everyMinutes - 7)
  })

  describe('what was left out never changes what an as-of join finds', () => {
    const step = fc.record({
      eventAt: fc.nat(30),
      value: fc.constantFrom('1', '2', null),
      origin: fc.constantFrom<Origin[]>('computed', 'computed', 'pushed', 'backfill'),
    })
    type Step = { readonly eventAt: number; readonly value: string | null }
    const asOf = (steps: readonly Step[], t: number) => {
      let found: Step | undefined
      for (const one of steps) if (one.eventAt <= t && (!found || one.eventAt >= found.eventAt)) found = one
      return found?.value
    }

    test.each(['in order', 'in any order'])('%s', async (order) => {
      const { recorder, write, rows } = await bench()
      let run = 0
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (given) => {
          const steps = order === 'in order' ? [...given].sort((a, b) => a.eventAt - b.eventAt) : given
          const key = `k${run++}`
          const count = feature()
          await recorder.record(
            steps.map((one) => write(count, one.value, { ...one, key })),
            { durable: true },
          )
          const stored = await rows(count, key)
          // A late value may hide equal ones left out before it arrived, but never the newest.
          for (let t = order === 'in order' ? 0 : 30; t <= 30; t++) expect(asOf(stored, t)).toEqual(asOf(steps, t))
        }),
        { numRuns: 100 },
      )
    })
  })
})

describe('durability', () => {
  test('a durable write is in history when it resolves; another is soon', async () => {
    const { recorder, write, rows } = await bench()
    const count = feature()
    await recorder.record([write(count, '1')], { durable: true })
    expect((await rows(count)).length).toBe(1)
    await recorder.record([write(count, '2', { origin: 'pushed' })], { durable: false })
    expect(recorder.counters().queued).toBe(1)
    await recorder.flush()
    expect((await rows(count)).length).toBe(2)
    expect(recorder.counters()).toEqual({ written: 2, suppressed: 0, failures: 0, lost: 0, queued: 0, failing: false, setAside: 0 })
  })

  test('writes that arrive together are committed together', async () => {
    const { recorder, write, batches } = await bench()
    const count = feature()
    await Promise.all(
      Array.from({ length: 500 }, (_, i) => recorder.record([write(count, String(i), { key: `u${i}` })], { durable: true })),
    )
    expect(batches.reduce((a, b) => a + b)).toBe(500)
    expect(batches.length).toBeLessThan(5)
  })

  test('a failing history keeps its rows and writes them, in order and once, when it works again', async () => {
    const { recorder, write, rows, served, fail, problems } = await bench({ commitEveryMs: 1 })
    const count = feature({ history: 'all' })
    fail(2)
    for (let i = 0; i < 10; i++) await recorder.record([write(count, String(i))], { durable: false })
    expect((await served(count))?.texts).toEqual(['9'])
    await recorder.record([write(count, '10')], { durable: true })
    expect((await rows(count)).map((row) => row.value)).toEqual(Array.from({ length: 11 }, (_, i) => String(i)))
    expect(recorder.counters()).toMatchObject({ written: 11, failures: 2, lost: 0 })
    expect(problems.length).toBe(1)
  })

  test('what is recorded while a commit runs is in the next one', async () => {
    const { recorder, write, rows } = await bench()
    const count = feature({ history: 'all' })
    const committing = recorder.record([write(count, '1')], { durable: true })
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.all([
      committing,
      recorder.record([write(count, '2')], { durable: false }),
      recorder.record([write(count, '3')], { durable: true }),
    ])
    expect((await rows(count)).map((row) => row.value)).toEqual(['1', '2', '3'])
  })

  test('whoever waits for a history that stays down is told; the value is still written later', async () => {
    const { recorder, write, rows, fail } = await bench({ commitEveryMs: 1 })
    const count = feature()
    fail(4)
    const error = await recorder.record([write(count, '1')], { durable: true }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(FabraError)
    expect((error as FabraError).code).toBe('store_unavailable')
    await recorder.flush()
    expect((await rows(count)).map((row) => row.value)).toEqual(['1'])
  })

  test('a full queue refuses before anything is written', async () => {
    const { recorder, write, served, fail } = await bench({ maxQueuedRows: 10, commitEveryMs: 1 })
    const count = feature({ history: 'all' })
    fail(1000)
    for (let i = 0; i < 10; i++) await recorder.record([write(count, String(i))], { durable: false })
    const error = await recorder.record([write(count, '"refused"')], { durable: false }).catch((reason: unknown) => reason)
    expect((error as FabraError).code).toBe('overloaded')
    expect((await served(count))?.texts).toEqual(['9'])
    fail(0)
    await recorder.flush()
    expect(recorder.counters().written).toBe(10)
  })

  test('closing writes what is queued; what cannot be written is counted and told', async () => {
    const good = await bench()
    await good.recorder.record([good.write(feature(), '1')], { durable: false })
    await good.recorder.close()
    expect((await good.rows(feature())).length).toBe(1)

    const bad = await bench()
    bad.fail(1000)
    await bad.recorder.record([bad.write(feature(), '1')], { durable: false })
    await bad.recorder.close()
    expect(bad.recorder.counters()).toMatchObject({ lost: 1, queued: 1 })
    expect(bad.problems.at(-1)).toContain('1 history rows were lost')
    const late = await bad.recorder.record([bad.write(feature(), '2')], { durable: true }).catch((reason: unknown) => reason)
    expect((late as FabraError).code).toBe('store_unavailable')
  })
})

describe('order', () => {
  test('at equal times the last accepted wins online and in history, after a restart too', async () => {
    const { recorder, online, duckdb, clock, write, served } = await bench()
    const count = feature()
    const at = { eventAt: 5, origin: 'pushed' as const }
    await recorder.record([write(count, '1', at), write(count, '2', at)], { durable: true })
    await recorder.close()
    const again = await createRecorder({ online, offline: duckdb, clock, onProblem: () => undefined })
    expect(await again.record([write(count, '3', at)], { durable: true })).toEqual([])
    expect((await served(count))?.texts).toEqual(['3'])
    expect((await duckdb.latestOf(count.name, 'f1', ['u1']))[0]?.value).toBe('3')
    await again.close()
  })

  test('an older value goes to history but does not replace what is served', async () => {
    const { record, rows, served } = await bench()
    const count = feature()
    await record(count, '2', { eventAt: 20 })
    expect(await record(count, '1', { eventAt: 10 })).toEqual([0])
    expect((await served(count))?.texts).toEqual(['2'])
    expect((await rows(count)).map((row) => row.value)).toEqual(['1', '2'])
  })
})
