/** What wants attention, over a clock that is moved: late, failing again, pushes that stopped, more nulls, slower than usual. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createChangeBook, type WritableChangeBook } from '../../src/app/change-book.ts'
import type { Registry } from '../../src/definition/model.ts'
import { healthOf } from '../../src/http/insight/feature-health.ts'
import type { Insight } from '../../src/http/insight/insight.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { FIELD, type ReadFigures } from '../../src/observability/read-figures.ts'
import { ReadStatistics } from '../../src/observability/read-statistics.ts'
import { createRunFigures } from '../../src/refresh/run-figures.ts'
import { createRuns } from '../../src/refresh/runs.ts'
import { createSchedule } from '../../src/refresh/schedule.ts'
import { planFeature } from '../../src/serving/plan.ts'
import { shapeOf } from '../../src/serving/read-observer.ts'
import { createDuckdbAdminStore } from '../../src/store/duckdb/admin-store.ts'
import { createDuckdbChangeStore } from '../../src/store/duckdb/change-store.ts'
import { type Database, openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { registryOf } from '../support/bench.ts'
import { benchInsight } from '../support/bench-insight.ts'
import { movableClock } from '../support/clock.ts'

const MINUTE = 60_000_000
const clock = movableClock(1_790_000_000_000_000)
const statistics = new ReadStatistics(() => clock.now() / 1_000)
const figures = createRunFigures()
const runs = createRuns(figures)
let database: Database
let changes: WritableChangeBook
let registry: Registry

beforeAll(async () => {
  registry = registryOf({
    features: {
      spend: { type: 'float', refresh: '5m' },
      weekly: { type: 'int', refresh: '0 6 * * 1' },
      score: { kind: 'pushed', type: 'float', maxStaleness: '1d' },
      count: { type: 'int', refresh: '1h' },
    },
  })
  database = await openDatabase({ file: ':memory:' })
  changes = createChangeBook({
    store: createDuckdbChangeStore(database),
    admin: createDuckdbAdminStore(database),
    facts: benchInsight(clock).facts,
    clock,
    log: silentLogger,
  })
  await changes.open(registry, '0.0.0')
})
afterAll(async () => {
  await changes.close()
  await database.close()
})

const schedule = createSchedule()
function health(name: string) {
  const feature = registry.features.get(name)
  if (!feature) throw new Error(`No ${name}.`)
  const insight: Insight = { ...benchInsight(clock), statistics, runs: figures, changes, keysInUse: () => 9 }
  const { state, reasons, refreshed } = healthOf(planFeature(registry, feature, schedule.nextFiring), { insight, clock, tellsText: false })
  return { state, refreshed, reasons, codes: reasons.map(({ code }) => code) }
}

/** A run of so many keys, of which some fail, that takes a while. */
function run(feature: string, { keys = 10, failed = 0, takes = 1_000_000 } = {}) {
  const record = runs.begin(feature, 'schedule', clock.now())
  Object.assign(record, { keys, failed, done: keys, error: failed > 0 ? 'it did not finish' : null })
  clock.advance(takes)
  runs.end(record, clock.now())
}

function figuresOf(name: string): ReadFigures {
  const feature = registry.features.get(name)
  if (!feature) throw new Error(`No ${name}.`)
  return statistics.figuresFor(shapeOf(feature))
}

/** Requests for a feature in one minute, which then ends. */
function read(name: string, { times = 100, ms = 1, nulls = 0 } = {}): void {
  const into = figuresOf(name)
  for (let i = 0; i < times; i++) {
    into.add(FIELD.reads, 1)
    into.addLatency(ms, 1)
    into.addAge(5)
    if (i < nulls) into.add(FIELD.nulls, 1)
  }
  clock.advance(MINUTE)
  statistics.fold()
}

test('a feature whose refresh is overdue is stale, with its age beside its interval, until it runs again', () => {
  expect(health('spend')).toMatchObject({ state: 'missing', reasons: [] })
  run('spend')
  expect(health('spend')).toMatchObject({ state: 'fresh', reasons: [], refreshed: { age_ms: 1_000, interval_ms: 300_000 } })
  clock.advance('5m')
  expect(health('spend').codes).toEqual([])
  clock.advance('7m')
  const { state, reasons } = health('spend')
  expect(state).toBe('stale')
  expect(reasons).toMatchObject([{ code: 'late', now: 721_000, usual: 300_000, unit: 'ms' }])
  expect(Date.parse(reasons[0]?.since ?? '') * 1000).toBe(clock.now() - 721_000_000 + 330_000_000)
  run('spend')
  expect(health('spend')).toMatchObject({ state: 'fresh', codes: [] })
})

test('late is told too while a run hangs, and not while one is on its way', () => {
  clock.advance('10m')
  const hanging = runs.begin('spend', 'schedule', clock.now())
  expect(health('spend').codes).toEqual([])
  clock.advance('1m')
  expect(health('spend').codes).toEqual([])
  clock.advance('1m')
  const { state, reasons } = health('spend')
  expect([state, reasons.map(({ code }) => code)]).toEqual(['stale', ['late']])
  expect(reasons[0]?.message).toEndWith('; a run is under way since 2m 00s.')
  Object.assign(hanging, { keys: 10, done: 10 })
  runs.end(hanging, clock.now())
  run('spend')
  expect(health('spend').codes).toEqual([])
})

test('runs that fail are counted in a row; a part that fails leaves the others fresh', () => {
  run('spend', { failed: 2 })
  expect(health('spend')).toMatchObject({ state: 'fresh', reasons: [{ code: 'failing', now: 1, usual: 0, unit: 'runs' }] })
  run('spend', { failed: 10 })
  run('spend', { failed: 10 })
  const { state, reasons } = health('spend')
  expect([state, reasons[0]?.code, reasons[0]?.now]).toEqual(['error', 'failing', 3])
  expect(reasons[0]?.message).toBe('10 of 10 keys failed, 3 runs in a row: it did not finish')
  run('spend')
  expect(health('spend').codes).toEqual([])
  expect(figures.of('spend').usualMs).toBe(1_000)
})

test('pushes that stop are told by the pace of those before', () => {
  for (let day = 0; day < 4; day++) {
    changes.pushed('score', 100)
    clock.advance('2h')
  }
  expect(health('score')).toMatchObject({
    state: 'fresh',
    codes: [],
    refreshed: { age_ms: 7_200_000, interval_ms: 7_200_000, is_learnt: true },
  })
  clock.advance('2h')
  expect(health('score')).toMatchObject({ state: 'stale', reasons: [{ code: 'pushes_stopped', now: 14_400_000, usual: 7_200_000 }] })
  changes.pushed('score', 1)
  expect(health('score').codes).toEqual([])
})

test('more nulls and slower requests than is usual are told, and less or a few are not', () => {
  for (let minute = 0; minute < 130; minute++) read('count', { nulls: 2 })
  expect(health('count').codes).toEqual([])
  for (let minute = 0; minute < 45; minute++) read('count', { nulls: 40, ms: 40 })
  const { state, reasons } = health('count')
  expect(reasons.map(({ code }) => code)).toEqual(['nulls', 'slow'])
  expect(state).toBe('fresh')
  expect(reasons[0]?.now).toBeGreaterThan(0.25)
  expect(reasons[0]?.usual).toBeCloseTo(0.02, 5)
  expect(reasons[1]?.now).toBeGreaterThan(30)
  expect(reasons[1]?.usual).toBeLessThan(20)
})

test('figures of past minutes stay in their place, and those of longer windows are their sums', () => {
  const hour = figuresOf('count').over(3_600_000)
  expect([hour.rows.length, hour.stepMs]).toEqual([60, 60_000])
  const day = figuresOf('count').over(86_400_000)
  const sum = (rows: readonly (Float64Array | undefined)[]) => rows.reduce((total, row) => total + (row?.[FIELD.reads] ?? 0), 0)
  expect(sum(hour.rows.slice(0, -1))).toBe(59 * 100)
  expect(sum(day.rows)).toBe(175 * 100)
  expect(figuresOf('count').total(86_400_000)[FIELD.reads]).toBe(175 * 100)
  expect(figuresOf('count').total(604_800_000)[FIELD.reads]).toBe(175 * 100)
  // A clock that jumps leaves steps of which nothing is known.
  clock.advance('3h')
  statistics.fold()
  expect(sum(figuresOf('count').over(3_600_000).rows)).toBe(0)
  expect(sum(figuresOf('count').over(86_400_000).rows)).toBe(175 * 100)
})
