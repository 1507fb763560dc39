/** What many values are like, in a few numbers. */

export interface Quantiles {
  readonly min: number
  readonly p10: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export interface Bins {
  /** One more than counts; a bin has its lower edge and not its upper one, the last has both. */
  readonly edges: readonly number[]
  readonly counts: readonly number[]
}

const BINS = 16
/** Beyond so many times the width up to p99, a few large values would push all others into one bin: they get one of their own. */
const FAR_OUT = 3

/** @param sorted Rising. */
export function quantileOf(sorted: ArrayLike<number>, share: number): number | null {
  if (sorted.length === 0) return null
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null
}

export function quantilesOf(sorted: Float64Array): Quantiles | null {
  if (sorted.length === 0) return null
  const at = (share: number) => quantileOf(sorted, share) ?? Number.NaN
  return { min: at(0), p10: at(0.1), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted[sorted.length - 1] ?? Number.NaN }
}

export function binsOf(sorted: Float64Array): Bins | null {
  const [min, max] = [sorted[0], sorted[sorted.length - 1]]
  if (min === undefined || max === undefined) return null
  const edges = edgesOf(sorted, min, max)
  return { edges, counts: countsIn(sorted, edges) }
}

function edgesOf(sorted: Float64Array, min: number, max: number): number[] {
  if (min === max) return [min, max]
  if (max - min < BINS && sorted.every(Number.isInteger)) return Array.from({ length: max - min + 2 }, (_, i) => min + i)
  const p99 = quantileOf(sorted, 0.99) ?? max
  const isTailed = p99 > min && max - min > FAR_OUT * (p99 - min)
  const [bins, top] = isTailed ? [BINS - 1, p99] : [BINS, max]
  const edges = Array.from({ length: bins + 1 }, (_, i) => min + ((top - min) * i) / bins)
  edges[bins] = top
  return isTailed ? [...edges, max] : edges
}

/** Values outside go to the first and the last bin. */
export function countsIn(values: ArrayLike<number>, edges: readonly number[]): number[] {
  const counts = new Array<number>(edges.length - 1).fill(0)
  for (let v = 0; v < values.length; v++) {
    const value = values[v] ?? 0
    let at = 0
    while (at < counts.length - 1 && value >= (edges[at + 1] ?? Number.POSITIVE_INFINITY)) at++
    counts[at] = (counts[at] ?? 0) + 1
  }
  return counts
}

/** Most frequent first; of equal ones the lesser text. */
export function topOf(texts: readonly string[], most: number): { readonly value: string; readonly share: number }[] {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, most)
    .map(([value, count]) => ({ value, share: count / texts.length }))
}

/** Below this a share counts as this: the logarithm of nothing is not a number. */
const LEAST_SHARE = 0.0001

/**
 * Population stability index: how far shares moved, in the same places. Below 0.1 they are much alike, above 0.25 another population.
 * Null: one of them has nothing.
 */
export function stabilityIndex(now: readonly number[], then: readonly number[]): number | null {
  const [sumNow, sumThen] = [sum(now), sum(then)]
  if (sumNow === 0 || sumThen === 0) return null
  let index = 0
  for (let i = 0; i < Math.max(now.length, then.length); i++) {
    const a = Math.max((now[i] ?? 0) / sumNow, LEAST_SHARE)
    const b = Math.max((then[i] ?? 0) / sumThen, LEAST_SHARE)
    index += (a - b) * Math.log(a / b)
  }
  return index
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}
