/** Figures of reads as answers tell them. */
import type { Micros } from '../../clock.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'
import type { FiguresView } from '../../observability/figures-elsewhere.ts'
import { type ColumnShape, FIELD, known, share, statesOf } from '../../observability/read-figures.ts'
import { type SeriesRows, WINDOWS_MS } from '../../observability/step-series.ts'
import type { SampleFigures } from '../../observability/value-sample.ts'
import type { Coverage, Distribution, FeatureFigures, OverTime, ReadFigures as ReadFiguresJson } from '../wire.ts'
import type { FeatureHealth } from './feature-health.ts'
import type { Insight } from './insight.ts'

/** Windows by the words for them, in the order of the series' lengths. */
export const WINDOWS: readonly string[] = ['1h', '24h', '7d', '30d']

/** @throws FabraError invalid_input */
export function windowOf(text: string, name: string): number {
  const ms = WINDOWS_MS[WINDOWS.indexOf(text)]
  if (ms !== undefined) return ms
  throw new FabraError('invalid_input', `${name} is not a window that is kept: ${JSON.stringify(text.slice(0, 40))}.`, {
    hint: `Write one of ${WINDOWS.join(', ')}.`,
  })
}

/** Processes whose figures are told together, and those that are known to be. */
export function coverageOf({ facts, covered }: Insight): Coverage {
  return { processes: covered(), of: Math.max(facts.processes, covered()) }
}

export function distributionJson({ column, name, type }: ColumnShape, figures: SampleFigures): Distribution {
  const { measure, seen, kept, nullShare, bins, quantiles, top, trueShare } = figures
  return {
    column,
    name,
    type: type as Distribution['type'],
    measure,
    sample: { seen, kept },
    null_share: nullShare,
    bins: bins && { edges: [...bins.edges], counts: [...bins.counts] },
    quantiles: quantiles && { ...quantiles },
    top: top?.map((one) => ({ ...one })) ?? null,
    true_share: trueShare,
  }
}

export function readFiguresJson(figures: FiguresView | undefined, windowMs: number, now: Micros): ReadFiguresJson | null {
  if (!figures) return null
  const total = figures.total(windowMs)
  const sinceMs = Math.max(figures.sinceMs, now / 1000 - windowMs)
  const reads = total[FIELD.reads] ?? 0
  const isHour = windowMs === WINDOWS_MS[0]
  const recent = isHour ? figures.recentLatency() : null
  const latency = (q: number, field: number) => round((recent?.total ?? 0) > 0 ? (recent?.quantile(q) ?? null) : known(total[field]))
  return {
    window_ms: windowMs,
    since: formatTime(Math.floor(sinceMs * 1000)),
    reads_per_second: perSecond(reads, now / 1000 - sinceMs),
    reads,
    states: statesOf(total),
    null_share: share(total[FIELD.nulls] ?? 0, total[FIELD.looked] ?? 0),
    age_ms: { p50: whole(known(total[FIELD.ageP50])), p99: whole(known(total[FIELD.ageP99])) },
    latency_ms: {
      p50: (total[FIELD.timed] ?? 0) > 0 ? latency(0.5, FIELD.latencyP50) : null,
      p99: (total[FIELD.timed] ?? 0) > 0 ? latency(0.99, FIELD.latencyP99) : null,
    },
    columns: figures.columns.map(({ shape, values }) => distributionJson(shape, values.figures())),
  }
}

/** @param windowMs Null: figures of reads are not asked for. */
export function featureFiguresJson(health: FeatureHealth, windowMs: number, insight: Insight, now: Micros): FeatureFigures {
  const [version] = insight.changes.versionsOf(health.feature.name)
  const [reason = null, ...further] = health.reasons
  return {
    state: health.state,
    reason,
    further_reasons: further,
    version_number: version?.number ?? null,
    version_since: version ? formatTime(version.since) : null,
    refreshed: health.refreshed,
    reads: readFiguresJson(health.figures, windowMs, now),
  }
}

export function overTimeJson(figures: FiguresView | undefined, windowMs: number, now: Micros): Omit<OverTime, 'runs' | 'versions'> | null {
  if (!figures) return null
  const { fromMs, stepMs, rows } = figures.over(windowMs)
  const each = (of: (row: Float64Array) => number | null) => rows.map((row) => (row ? of(row) : null))
  const part = (field: number, whole_: number) => each((row) => share(row[field] ?? 0, row[whole_] ?? 0))
  const figure = (field: number) => each((row) => round(known(row[field])))
  return {
    from: formatTime(fromMs * 1000),
    step_ms: stepMs,
    reads_per_second: ratesOf(figures.over(windowMs), FIELD.reads, now),
    null_share: part(FIELD.nulls, FIELD.looked),
    fresh_share: each((row) => share(statesOf(row).fresh, row[FIELD.reads] ?? 0)),
    error_share: part(FIELD.error, FIELD.reads),
    age_p50_ms: figure(FIELD.ageP50),
    age_p99_ms: figure(FIELD.ageP99),
    latency_p50_ms: figure(FIELD.latencyP50),
    latency_p99_ms: figure(FIELD.latencyP99),
    columns: figures.columns.map(({ shape }, i) => {
      const [p10, p50, p90] = [0, 1, 2].map((q) => rows.map((row) => (row ? (figures.columnOf(row, i)[q] ?? null) : null)))
      return { name: shape.name, p10: p10 ?? [], p50: p50 ?? [], p90: p90 ?? [] }
    }),
  }
}

/** Of each step; of the last one, which is not over, for as long as it has lasted. */
export function ratesOf({ rows, fromMs, stepMs }: SeriesRows, field: number, now: Micros): (number | null)[] {
  const lasted = Math.max(1_000, Math.min(stepMs, now / 1_000 - fromMs - (rows.length - 1) * stepMs))
  return rows.map((row, i) => (row ? perSecond(row[field] ?? 0, i === rows.length - 1 ? lasted : stepMs) : null))
}

export function perSecond(count: number, ms: number): number {
  return ms <= 0 ? 0 : Math.round((count / Math.max(1, ms / 1_000)) * 1_000) / 1_000
}

/** Latencies are told to a thousandth of a millisecond. */
export function round(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1_000) / 1_000
}

function whole(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms)
}
