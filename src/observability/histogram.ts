/**
 * Durations by size, in buckets each a quarter of an octave wide, from 1/64 ms to more than an hour: memory is fixed, two of them can be added,
 * and a quantile is right to a tenth. A count may stand for many: what was sampled counts for those that were not.
 */
const PER_OCTAVE = 4
const SMALLEST_MS = 1 / 64
const BUCKETS = 112

export class DurationHistogram {
  private readonly counts = new Float32Array(BUCKETS)
  /** Buckets between which all counts lie: mostly few, and every second those of hundreds of features are added. */
  private first = BUCKETS
  private last = -1
  total = 0

  add(ms: number, weight = 1): void {
    const bucket = bucketOf(ms)
    this.counts[bucket] = (this.counts[bucket] ?? 0) + weight
    this.first = Math.min(this.first, bucket)
    this.last = Math.max(this.last, bucket)
    this.total += weight
  }

  merge(other: DurationHistogram): void {
    if (other.total === 0) return
    for (let i = other.first; i <= other.last; i++) this.counts[i] = (this.counts[i] ?? 0) + (other.counts[i] ?? 0)
    this.first = Math.min(this.first, other.first)
    this.last = Math.max(this.last, other.last)
    this.total += other.total
  }

  /** Its first bucket that counts anything, and the counts from there on; empty where there is nothing. */
  toList(): number[] {
    if (this.total <= 0) return []
    return [this.first, ...Array.from(this.counts.subarray(this.first, this.last + 1), (count) => Math.round(count * 100) / 100)]
  }

  /** @param list As another one gave it. */
  addList([first = 0, ...counts]: readonly number[]): void {
    for (const [i, count] of counts.entries()) {
      const bucket = first + i
      if (!(count > 0) || !(bucket >= 0 && bucket < BUCKETS)) continue
      this.counts[bucket] = (this.counts[bucket] ?? 0) + count
      this.first = Math.min(this.first, bucket)
      this.last = Math.max(this.last, bucket)
      this.total += count
    }
  }

  clear(): void {
    if (this.total === 0) return
    this.counts.fill(0)
    this.first = BUCKETS
    this.last = -1
    this.total = 0
  }

  /** @param share 0.99: a hundredth took longer. Null: nothing was counted. */
  quantile(share: number): number | null {
    if (this.total <= 0) return null
    let left = share * this.total
    let last = 0
    for (let i = 0; i < BUCKETS; i++) {
      const count = this.counts[i] ?? 0
      if (count === 0) continue
      last = i
      if (left <= count) break
      left -= count
    }
    return middleOf(last)
  }

  /** Of all durations, right to a tenth. */
  sumMs(): number {
    let sum = 0
    for (let i = this.first; i <= this.last; i++) sum += (this.counts[i] ?? 0) * middleOf(i)
    return sum
  }

  /** Counts between edges: the first and the last take what lies beyond. Edges rise. */
  between(edgesMs: readonly number[]): number[] {
    const counts = new Array<number>(edgesMs.length - 1).fill(0)
    for (let i = 0; i < BUCKETS; i++) {
      const count = this.counts[i] ?? 0
      if (count === 0) continue
      const middle = middleOf(i)
      let at = 0
      while (at < counts.length - 1 && middle >= (edgesMs[at + 1] ?? Number.POSITIVE_INFINITY)) at++
      counts[at] = (counts[at] ?? 0) + count
    }
    return counts
  }
}

function bucketOf(ms: number): number {
  if (!(ms > SMALLEST_MS)) return 0
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(ms / SMALLEST_MS) * PER_OCTAVE))
}

function middleOf(bucket: number): number {
  return SMALLEST_MS * 2 ** ((bucket + 0.5) / PER_OCTAVE)
}
