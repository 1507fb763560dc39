/** What became of the requests of one stretch of time. */
export interface Stretch {
  sent: number
  /** For which no connection was free. */
  unsent: number
  /** 200. */
  served: number
  /** 503 with Retry-After. */
  shed: number
  /** Anything else, by status and code. */
  others: Record<string, number>
  /** Milliseconds: the median, the 99th percentile and the slowest of what was served. */
  latencies: (number | null)[]
  /** The same of what was turned away. */
  shedLatencies: (number | null)[]
}

export interface Flooded {
  /** At half the peak, at three times the peak, at half the peak again. */
  readonly stretches: readonly Stretch[]
  readonly seconds: readonly number[]
  /** From the end of the overload until answers are as they were before. */
  readonly recoveredMs: number
}
