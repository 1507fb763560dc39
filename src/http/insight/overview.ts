/** The whole at a glance: traffic of the last hour, counts by state, stores, and what wants attention. */
import type { Clock, Micros } from '../../clock.ts'
import { formatTime } from '../../definition/time.ts'
import type { FiguresView } from '../../observability/figures-elsewhere.ts'
import { BAND_EDGES_MS, FIELD, known, share, statesOf } from '../../observability/read-figures.ts'
import { STEP_MS, WINDOWS_MS } from '../../observability/step-series.ts'
import type { Serving } from '../../serving/serving.ts'
import type { Attention, Overview, State, StateCounts, Traffic } from '../wire.ts'
import { type FeatureHealth, healthOfAll } from './feature-health.ts'
import { coverageOf, perSecond, ratesOf, round } from './figures-json.ts'
import type { Insight } from './insight.ts'
import { trendOf } from './trend.ts'

const [HOUR_MS = 0] = WINDOWS_MS
/** Worst first. */
export const WORST: readonly State[] = ['error', 'stale', 'missing', 'default', 'fresh']
const MOST_CALLERS = 20
/** Of entries of attention: others are below the screen. */
const MOST_TRENDS = 50

export interface OverviewOptions {
  readonly serving: () => Serving
  readonly insight: Insight
  readonly clock: Clock
  /** Names of keys may be told. */
  readonly tellsNames: boolean
  readonly tellsText: boolean
}

export async function overviewOf(options: OverviewOptions): Promise<Overview> {
  const { insight, clock } = options
  const stores = await insight.stores()
  const now = clock.now()
  const health = healthOfAll(options)
  const features: StateCounts = { fresh: 0, stale: 0, missing: 0, default: 0, error: 0 }
  for (const { state } of health) features[state]++
  return {
    now: formatTime(now),
    started_at: formatTime(insight.facts.startedAt),
    traffic: trafficOf(options, now),
    features,
    stores: [...stores],
    memory_bytes: process.memoryUsage.rss(),
    attention: attentionOf(health, now),
    coverage: coverageOf(insight),
  }
}

function attentionOf(health: readonly FeatureHealth[], now: Micros): Attention[] {
  return health
    .flatMap(({ feature, state, reasons, figures }) => {
      const attention = { feature: feature.name, state, reads_per_second: figures ? rateOf(figures, now) : null }
      return reasons.map((reason) => ({ attention: { ...attention, reason }, figures }))
    })
    .sort(
      ({ attention: a }, { attention: b }) =>
        WORST.indexOf(a.state) - WORST.indexOf(b.state) || (b.reads_per_second ?? 0) - (a.reads_per_second ?? 0),
    )
    .map(({ attention, figures }, i) => ({
      ...attention,
      trend: i < MOST_TRENDS ? trendOf(attention.reason, figures, now / 1_000) : null,
    }))
}

/** Over the last minute, of which the part that lies in the minute before is estimated. */
export function rateOf(figures: FiguresView, now: Micros, field: number = FIELD.reads): number {
  const [before, current] = figures.over(HOUR_MS).rows.slice(-2)
  const elapsed = (now / 1_000) % STEP_MS
  const earlier = before ? (before[field] ?? 0) * (1 - elapsed / STEP_MS) : 0
  const ms = before ? STEP_MS : Math.min(elapsed, now / 1_000 - figures.sinceMs)
  return perSecond(earlier + (current?.[field] ?? 0), ms)
}

function trafficOf({ insight, tellsNames }: OverviewOptions, now: Micros): Traffic | null {
  const { statistics } = insight
  if (!statistics) return null
  const { all, callers } = statistics
  const hour = all.over(HOUR_MS)
  const { rows, fromMs, stepMs } = hour
  const wrong = ratesOf(hour, FIELD.error, now)
  const each = (of: (row: Float64Array) => number | null) => rows.map((row) => (row ? of(row) : null))
  const latency = all.recentLatency()
  const lately = sumOf(rows.slice(-2))
  return {
    requests_per_second: rateOf(all, now, FIELD.requests),
    values_per_second: rateOf(all, now, FIELD.reads),
    errors_per_second: rateOf(all, now, FIELD.failed) + rateOf(all, now, FIELD.error),
    latency_ms: { p50: round(latency.quantile(0.5)), p99: round(latency.quantile(0.99)) },
    states: (lately[FIELD.reads] ?? 0) > 0 ? statesOf(lately) : null,
    age_ms: { p50: all.recentAge(0.5), p99: all.recentAge(0.99) },
    callers: tellsNames
      ? callers
          .rates()
          .filter(({ name }) => name !== '')
          .slice(0, MOST_CALLERS)
          .map(({ name, requestsPerSecond, p99Ms, freshShare }) => ({
            key: name,
            requests_per_second: round(requestsPerSecond) ?? 0,
            p99_ms: round(p99Ms),
            fresh_share: freshShare,
          }))
      : null,
    hour: {
      from: formatTime(fromMs * 1000),
      step_ms: stepMs,
      requests_per_second: ratesOf(hour, FIELD.requests, now),
      p50_ms: each((row) => round(known(row[FIELD.latencyP50]))),
      p99_ms: each((row) => round(known(row[FIELD.latencyP99]))),
      fresh_share: each((row) => share(statesOf(row).fresh, row[FIELD.reads] ?? 0)),
      age_p50_ms: each((row) => round(known(row[FIELD.ageP50]))),
      errors_per_second: ratesOf(hour, FIELD.failed, now).map((rate, i) => (rate === null ? null : rate + (wrong[i] ?? 0))),
      latency: { edges_ms: [...BAND_EDGES_MS], counts: rows.map((row) => all.bandsOf(row)) },
    },
  }
}

function sumOf(rows: readonly (Float64Array | undefined)[]): Float64Array {
  const sum = new Float64Array(FIELD.failed + 1)
  for (const row of rows) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (row?.[i] ?? 0)
  return sum
}
