/** Figures of one feature, or of all requests, of the other processes together: minutes that are over, and those that are not known whole yet. */
import { DurationHistogram } from './histogram.ts'
import { FIELD, type ReadFigures } from './read-figures.ts'
import { addFigures, type SeriesRows, STEP_MS, StepSeries, WINDOWS_MS } from './step-series.ts'

/** What is asked of figures by whoever looks. */
export type FiguresView = Pick<
  ReadFigures,
  'columns' | 'sinceMs' | 'over' | 'total' | 'recentLatency' | 'recentAge' | 'bandsOf' | 'columnOf'
>

export class FiguresElsewhere {
  readonly version: string
  private readonly own: ReadFigures
  private readonly weights: readonly number[]
  private series: StepSeries
  /** The first minute that is not over for all. */
  private nextMinute: number
  /** Minutes from there on, by their number. */
  private open = new Map<number, Float64Array>()
  private latency = new DurationHistogram()
  private since = Number.POSITIVE_INFINITY

  /** @param own Of this process: what a step holds is the same. */
  constructor(version: string, own: ReadFigures, firstMinute: number) {
    this.version = version
    this.own = own
    this.weights = own.fields.map(({ weight }) => weight ?? -1)
    this.nextMinute = firstMinute
    this.series = new StepSeries(own.fields, firstMinute * STEP_MS)
  }

  /** A minute is over in all processes. */
  close(minute: number, rows: readonly Float64Array[]): void {
    if (minute < this.nextMinute) return
    if (minute > this.nextMinute) this.series.close(this.sumOf([]), minute * STEP_MS)
    this.series.close(this.sumOf(rows), (minute + 1) * STEP_MS)
    this.nextMinute = minute + 1
    this.open.delete(minute)
  }

  /** What is known of the minutes that are not over, instead of what was. */
  setOpen(
    rows: readonly { readonly minute: number; readonly row: Float64Array; readonly latency: readonly number[]; readonly sinceMs: number }[],
  ): void {
    this.open = new Map()
    this.latency = new DurationHistogram()
    for (const { minute, row, latency, sinceMs } of rows) {
      this.latency.addList(latency)
      this.since = Math.min(this.since, sinceMs)
      if (minute < this.nextMinute || row.length !== this.weights.length) continue
      const sum = this.open.get(minute) ?? this.sumOf([])
      addFigures(this.weights, sum, row)
      this.open.set(minute, sum)
    }
  }

  /** With those of this process. */
  together(): FiguresView {
    const { own } = this
    return {
      columns: own.columns,
      sinceMs: Math.min(own.sinceMs, this.since),
      bandsOf: (row) => own.bandsOf(row),
      columnOf: (row, column) => own.columnOf(row, column),
      over: (windowMs) => this.over(windowMs),
      total: (windowMs) => this.total(windowMs),
      recentLatency: () => {
        const both = own.recentLatency()
        both.merge(this.latency)
        return both
      },
      recentAge: (share) => this.recentAge(share),
    }
  }

  private over(windowMs: number): SeriesRows {
    const own = this.own.over(windowMs)
    const elsewhere = this.series.read(windowMs, this.sumOf([]))
    const rows: (Float64Array | undefined)[] = own.rows.map((row) => row && Float64Array.from(row))
    const add = (atMs: number, more: Float64Array | undefined) => {
      const at = Math.floor((atMs - own.fromMs) / own.stepMs)
      if (!more || at < 0 || at >= rows.length) return
      const sum = rows[at] ?? this.sumOf([])
      addFigures(this.weights, sum, more)
      rows[at] = sum
    }
    for (const [i, row] of elsewhere.rows.entries()) add(elsewhere.fromMs + i * elsewhere.stepMs, row)
    for (const [minute, row] of this.open) add(minute * STEP_MS, row)
    return { ...own, rows }
  }

  private total(windowMs: number): Float64Array {
    return this.sumOf([this.own.total(windowMs), this.series.total(windowMs, this.sumOf([])), ...this.open.values()])
  }

  /** As all of the last minutes have it, of which only the middle and the upper end are told. */
  private recentAge(share: number): number | null {
    const own = this.own.recentAge(share)
    const [hour = 0] = WINDOWS_MS
    const before = this.series.read(hour, this.sumOf([])).rows.at(-2)
    const lately = this.sumOf([...(before ? [before] : []), ...this.open.values()])
    const field = share > 0.5 ? FIELD.ageP99 : FIELD.ageP50
    const [looked, age] = [lately[FIELD.looked] ?? 0, lately[field] ?? Number.NaN]
    if (looked === 0 || Number.isNaN(age)) return own
    const here = this.own
      .over(hour)
      .rows.slice(-2)
      .reduce((sum, row) => sum + (row?.[FIELD.looked] ?? 0), 0)
    return own === null ? age : (own * here + age * looked) / (here + looked)
  }

  private sumOf(rows: readonly Float64Array[]): Float64Array {
    const sum = Float64Array.from(this.weights, (weight) => (weight < 0 ? 0 : Number.NaN))
    for (const row of rows) if (row.length === sum.length) addFigures(this.weights, sum, row)
    return sum
  }
}
