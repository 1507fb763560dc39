/**
 * Figures over time in memory of fixed size: sixty minutes, a day in quarters of an hour, a week in steps of three hours, a month in half days.
 * A step that ends is kept, and added to the longer one that it is part of. Figures are sums, or means weighted by one of the sums.
 */
export interface SeriesField {
  /** Null: a sum. Else the field (a sum) whose amounts the mean is weighted by. */
  readonly weight: number | null
}

const MINUTE = 60_000
const LEVELS: readonly { readonly stepMs: number; readonly steps: number }[] = [
  { stepMs: MINUTE, steps: 60 },
  { stepMs: 15 * MINUTE, steps: 96 },
  { stepMs: 180 * MINUTE, steps: 56 },
  { stepMs: 720 * MINUTE, steps: 60 },
]
/** Where the steps of each level begin. */
const STARTS = LEVELS.map((_, level) => LEVELS.slice(0, level).reduce((sum, { steps }) => sum + steps, 0))
const STEPS = LEVELS.reduce((sum, { steps }) => sum + steps, 0)

/** Windows that can be looked at. */
export const WINDOWS_MS: readonly number[] = LEVELS.map(({ stepMs, steps }) => stepMs * steps)
export const STEP_MS = MINUTE

export interface SeriesRows {
  /** Beginning of the first step. */
  readonly fromMs: number
  readonly stepMs: number
  /** Oldest first; the last is not over. Undefined: nothing is known of the step. */
  readonly rows: readonly (Float64Array | undefined)[]
}

export class StepSeries {
  /** Of each field, where the sum stands that it is weighted by; -1: it is a sum itself. */
  private readonly weights: Int16Array
  /** All levels behind one another; made when the first step ends. */
  private kept: Float32Array | undefined
  /** The step under way of each level but the first, whose figures the owner holds. */
  private readonly open: (Float64Array | undefined)[] = LEVELS.map(() => undefined)
  /** Number of the step under way, of each level. */
  private readonly numbers: number[]
  private readonly since: number

  constructor(fields: readonly SeriesField[], nowMs: number) {
    this.weights = Int16Array.from(fields, ({ weight }) => weight ?? -1)
    this.since = nowMs
    this.numbers = LEVELS.map(({ stepMs }) => Math.floor(nowMs / stepMs))
  }

  /** Whether the minute is over, so that `close` is due. */
  isOver(nowMs: number): boolean {
    return Math.floor(nowMs / MINUTE) > (this.numbers[0] ?? 0)
  }

  /** The minute under way ends with these figures. A clock that jumps leaves steps of which nothing is known. */
  close(figures: Float64Array, nowMs: number): void {
    this.end(0, figures, nowMs)
  }

  private end(level: number, figures: Float64Array, nowMs: number): void {
    const { stepMs, steps } = LEVELS[level] ?? { stepMs: MINUTE, steps: 1 }
    const number = this.numbers[level] ?? 0
    const next = Math.floor(nowMs / stepMs)
    this.keep(level, number, figures)
    for (let gone = number + 1; gone < next && gone <= number + steps; gone++) this.keep(level, gone, undefined)
    this.numbers[level] = next
    const longer = LEVELS[level + 1]
    if (!longer) return
    const sum = this.open[level + 1] ?? this.nothing()
    this.open[level + 1] = sum
    this.addTo(sum, figures)
    if (Math.floor(nowMs / longer.stepMs) <= (this.numbers[level + 1] ?? 0)) return
    this.end(level + 1, sum, nowMs)
    this.open[level + 1] = undefined
  }

  /** Sums of nothing are 0, means of nothing are not known. */
  private nothing(): Float64Array {
    const sum = new Float64Array(this.weights.length)
    for (let i = 0; i < sum.length; i++) if (this.weights[i] !== -1) sum[i] = Number.NaN
    return sum
  }

  /** Of a minute that is over; undefined: nothing is known of it. */
  minute(number: number): Float64Array | undefined {
    const last = this.numbers[0] ?? 0
    return number < last && number > last - (LEVELS[0]?.steps ?? 0) ? this.keptRow(0, number) : undefined
  }

  private addTo(sum: Float64Array, figures: Float64Array | Float32Array): void {
    addFigures(this.weights, sum, figures)
  }

  private keep(level: number, number: number, figures: Float64Array | undefined): void {
    const width = this.weights.length
    this.kept ??= new Float32Array(STEPS * width).fill(Number.NaN)
    const at = this.placeOf(level, number)
    if (figures) this.kept.set(figures, at)
    else this.kept.fill(Number.NaN, at, at + width)
  }

  private placeOf(level: number, number: number): number {
    return ((STARTS[level] ?? 0) + (number % (LEVELS[level]?.steps ?? 1))) * this.weights.length
  }

  /** @param figures Those of the minute under way. */
  read(windowMs: number, figures: Float64Array): SeriesRows {
    const level = Math.max(0, WINDOWS_MS.indexOf(windowMs))
    const { stepMs, steps } = LEVELS[level] ?? { stepMs: MINUTE, steps: 1 }
    const last = this.numbers[level] ?? 0
    const first = last - steps + 1
    const earliest = Math.floor(this.since / stepMs)
    const rows = Array.from({ length: steps }, (_, i) => {
      const number = first + i
      if (number < earliest) return undefined
      return number === last ? this.underWay(level, figures) : this.keptRow(level, number)
    })
    return { fromMs: first * stepMs, stepMs, rows }
  }

  private underWay(level: number, figures: Float64Array): Float64Array {
    const sum = this.nothing()
    for (let shorter = level; shorter > 0; shorter--) {
      const open = this.open[shorter]
      if (open) this.addTo(sum, open)
    }
    this.addTo(sum, figures)
    return sum
  }

  private keptRow(level: number, number: number): Float64Array | undefined {
    const at = this.placeOf(level, number)
    const row = this.kept?.subarray(at, at + this.weights.length)
    // The first field is a sum, and a sum is known where anything is.
    return row && !Number.isNaN(row[0]) ? Float64Array.from(row) : undefined
  }

  /** Of the whole window together. */
  total(windowMs: number, figures: Float64Array): Float64Array {
    const level = Math.max(0, WINDOWS_MS.indexOf(windowMs))
    const { steps } = LEVELS[level] ?? { steps: 1 }
    const last = this.numbers[level] ?? 0
    const first = Math.max(last - steps + 1, Math.floor(this.since / (LEVELS[level]?.stepMs ?? MINUTE)))
    const sum = this.underWay(level, figures)
    for (let number = first; number < last; number++) {
      const at = this.placeOf(level, number)
      const row = this.kept?.subarray(at, at + this.weights.length)
      if (row && !Number.isNaN(row[0])) this.addTo(sum, row)
    }
    return sum
  }
}

/** Figures of the same time become those of both together. @param weights Of each field, where the sum stands that it is weighted by; -1: it is one. */
export function addFigures(weights: ArrayLike<number>, sum: Float64Array, figures: Float64Array | Float32Array): void {
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] ?? -1
    if (weight < 0) continue
    const [had, more] = [sum[weight] ?? 0, figures[weight] ?? 0]
    const [old, given] = [sum[i] ?? 0, figures[i] ?? 0]
    if (more > 0 && !Number.isNaN(given)) sum[i] = had > 0 && !Number.isNaN(old) ? (old * had + given * more) / (had + more) : given
  }
  for (let i = 0; i < weights.length; i++) if ((weights[i] ?? -1) < 0) sum[i] = (sum[i] ?? 0) + (figures[i] ?? 0)
}
