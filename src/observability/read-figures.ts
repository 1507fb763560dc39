/** Figures of reads of one feature, or of all requests: sums of the minute under way, and what earlier minutes left. */
import { quantileOf } from './distribution.ts'
import { DurationHistogram } from './histogram.ts'
import { type SeriesField, type SeriesRows, StepSeries } from './step-series.ts'
import { measureOf, ValueSample } from './value-sample.ts'

export const STATES = ['fresh', 'stale', 'missing', 'default', 'error'] as const
export type ServedState = (typeof STATES)[number]
export type StateTotals = Readonly<Record<ServedState, number>>

/** Places of figures in a step. Ages and latencies are means weighted by what they were taken of. */
export const FIELD = {
  /** Values served: one for each feature and row. */
  reads: 0,
  stale: 1,
  missing: 2,
  default: 3,
  error: 4,
  /** Values looked at, and those of them that are null. */
  looked: 5,
  nulls: 6,
  /** Requests that were timed, each counted as often as it stands for. */
  timed: 7,
  requests: 8,
  failed: 9,
  ageP50: 10,
  ageP99: 11,
  latencyP50: 12,
  latencyP99: 13,
} as const

const SUM: SeriesField = { weight: null }
const byLooked: SeriesField = { weight: FIELD.looked }
const byTimed: SeriesField = { weight: FIELD.timed }
const FIELDS: readonly SeriesField[] = [SUM, SUM, SUM, SUM, SUM, SUM, SUM, SUM, SUM, SUM, byLooked, byLooked, byTimed, byTimed]
const BANDS_FROM = FIELDS.length

/** Edges of the bands that latencies are counted in over time, for a heat map. */
export const BAND_EDGES_MS: readonly number[] = [0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 60_000]
const BANDS = BAND_EDGES_MS.length - 1

/** Ages that are remembered; and values that one minute's quantiles are made of. */
const AGES = 256
const OF_A_MINUTE = 128

export interface ColumnShape {
  /** Null: the one value of a feature without columns. */
  readonly column: string | null
  /** As features are asked for. */
  readonly name: string
  readonly type: string | null
}

export class ReadFigures {
  readonly columns: readonly { readonly shape: ColumnShape; readonly values: ValueSample }[]
  readonly sinceMs: number
  /** Of this minute and the last ones: what is asked for now. */
  readonly latency = [new DurationHistogram(), new DurationHistogram()] as const
  /** Values since the start, by state in the order of STATES: of `fresh`, all of them. */
  readonly served = new Float64Array(STATES.length)
  /** What a step holds. */
  readonly fields: readonly SeriesField[]
  private readonly step: Float64Array
  private readonly series: StepSeries
  private readonly ages = new Float32Array(AGES)
  private agesSeen = 0
  private stepAges = 0
  private readonly hasBands: boolean

  /** @param hasBands Whether latencies are kept by their size for each step: of all requests alone. */
  constructor(shapes: readonly ColumnShape[], nowMs: number, hasBands = false) {
    this.hasBands = hasBands
    this.sinceMs = nowMs
    this.columns = shapes.map((shape) => ({ shape, values: new ValueSample(measureOf(shape.type)) }))
    const bands = hasBands ? BAND_EDGES_MS.slice(1).map(() => SUM) : []
    this.fields = [...FIELDS, ...bands, ...shapes.flatMap(() => [byLooked, byLooked, byLooked])]
    this.series = new StepSeries(this.fields, nowMs)
    this.step = new Float64Array(this.fields.length)
  }

  add(field: number, amount: number): void {
    this.step[field] = (this.step[field] ?? 0) + amount
  }

  /** @param state As in FIELD: `reads` for all of them. */
  addServed(state: number, count: number): void {
    this.add(state, count)
    this.served[state] = (this.served[state] ?? 0) + count
  }

  addLatency(ms: number, weight: number): void {
    this.add(FIELD.timed, weight)
    this.latency[0].add(ms, weight)
  }

  addLatencies(other: DurationHistogram): void {
    this.add(FIELD.timed, other.total)
    this.latency[0].merge(other)
  }

  /** @param ageMs Null: not known. */
  addAge(ageMs: number | null): void {
    this.add(FIELD.looked, 1)
    if (ageMs === null) return
    this.ages[this.agesSeen++ % AGES] = ageMs
    this.stepAges++
  }

  /** A minute that is over is closed. Called often. */
  roll(nowMs: number): void {
    if (!this.series.isOver(nowMs)) return
    this.series.close(this.figures(), nowMs)
    this.step.fill(0)
    this.stepAges = 0
    // The last but one is let go; the last one goes on counting for what is asked now.
    this.latency[1].clear()
    this.latency[1].merge(this.latency[0])
    this.latency[0].clear()
  }

  /** Of the minute under way. */
  private figures(): Float64Array {
    const { step } = this
    const ages = this.latestAges(this.stepAges)
    step[FIELD.ageP50] = quantileOf(ages, 0.5) ?? Number.NaN
    step[FIELD.ageP99] = quantileOf(ages, 0.99) ?? Number.NaN
    step[FIELD.latencyP50] = this.latency[0].quantile(0.5) ?? Number.NaN
    step[FIELD.latencyP99] = this.latency[0].quantile(0.99) ?? Number.NaN
    if (this.hasBands) step.set(this.latency[0].between(BAND_EDGES_MS), BANDS_FROM)
    for (const [i, { values }] of this.columns.entries()) {
      const latest = values.latest(Math.min(OF_A_MINUTE, step[FIELD.looked] ?? 0))
      const at = columnsFrom(this.hasBands) + 3 * i
      for (const [q, share] of [0.1, 0.5, 0.9].entries()) step[at + q] = quantileOf(latest, share) ?? Number.NaN
    }
    return step
  }

  private latestAges(count: number): Float32Array {
    const kept = Math.min(count, this.agesSeen, AGES)
    const latest = new Float32Array(kept)
    for (let i = 0; i < kept; i++) latest[i] = this.ages[(this.agesSeen - 1 - i) % AGES] ?? 0
    return latest.sort()
  }

  /** Of the minute under way; undefined: nothing was read in it. */
  underWay(): Float64Array | undefined {
    return this.step.some((figure) => figure > 0) ? Float64Array.from(this.figures()) : undefined
  }

  /** Of a minute that is over. */
  minute(number: number): Float64Array | undefined {
    return this.series.minute(number)
  }

  over(windowMs: number): SeriesRows {
    return this.series.read(windowMs, this.figures())
  }

  total(windowMs: number): Float64Array {
    return this.series.total(windowMs, this.figures())
  }

  /** Of the last minute or two. */
  recentLatency(): DurationHistogram {
    const both = new DurationHistogram()
    for (const one of this.latency) both.merge(one)
    return both
  }

  recentAge(share: number): number | null {
    return quantileOf(this.latestAges(AGES), share)
  }

  bandsOf(row: Float64Array | undefined): number[] {
    return Array.from({ length: BANDS }, (_, i) => Math.round(row?.[BANDS_FROM + i] ?? 0))
  }

  /** 10th, 50th and 90th percentile of a column in a step. */
  columnOf(row: Float64Array | undefined, column: number): readonly (number | null)[] {
    const at = columnsFrom(this.hasBands) + 3 * column
    return [0, 1, 2].map((i) => known(row?.[at + i]))
  }
}

function columnsFrom(hasBands: boolean): number {
  return FIELDS.length + (hasBands ? BANDS : 0)
}

/** Null where nothing is known. */
export function known(figure: number | undefined): number | null {
  return figure === undefined || Number.isNaN(figure) ? null : figure
}

export function statesOf(row: Float64Array): StateTotals {
  const at = (field: number) => row[field] ?? 0
  const [stale, missing, fallback, error] = [at(FIELD.stale), at(FIELD.missing), at(FIELD.default), at(FIELD.error)]
  return { fresh: Math.max(0, at(FIELD.reads) - stale - missing - fallback - error), stale, missing, default: fallback, error }
}

export function share(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null
}
