/** Who reads what: by name of the API key, estimated from the requests that were looked at, over the last minute or two. */
import { DurationHistogram } from './histogram.ts'

/** More are told of as one. */
const MOST_CALLERS = 200
const MOST_TARGETS = 200
const OTHERS = 'others'
const ROLL_MS = 60_000

/** Of one caller in one minute. */
export class CallerFigures {
  requests = 0
  values = 0
  fresh = 0
  readonly latency = new DurationHistogram()
  /** What was asked for: features and sets. */
  readonly targets = new Map<string, number>()

  ask(target: string, weight: number): void {
    const known = this.targets.get(target)
    if (known === undefined && this.targets.size >= MOST_TARGETS) return
    this.targets.set(target, (known ?? 0) + weight)
  }
}

export interface CallerRates {
  readonly name: string
  readonly requestsPerSecond: number
  readonly p99Ms: number | null
  readonly freshShare: number | null
  readonly targets: ReadonlyMap<string, number>
}

export class Callers {
  private readonly nowMs: () => number
  private now = new Map<string, CallerFigures>()
  private before = new Map<string, CallerFigures>()
  private since: number
  private beforeMs = 0

  constructor(nowMs: () => number) {
    this.nowMs = nowMs
    this.since = nowMs()
  }

  of(name: string): CallerFigures {
    const known = this.now.get(name)
    if (known) return known
    if (this.now.size >= MOST_CALLERS && name !== OTHERS) return this.of(OTHERS)
    const figures = new CallerFigures()
    this.now.set(name, figures)
    return figures
  }

  roll(): void {
    const elapsed = this.nowMs() - this.since
    if (elapsed < ROLL_MS) return
    this.before = this.now
    this.beforeMs = elapsed
    this.now = new Map()
    this.since = this.nowMs()
  }

  /** Most requests first. */
  rates(): readonly CallerRates[] {
    const seconds = Math.max(1, (this.nowMs() - this.since + this.beforeMs) / 1_000)
    const names = new Set([...this.now.keys(), ...this.before.keys()])
    const rates = Array.from(names, (name) => ratesOf(name, [this.now.get(name), this.before.get(name)], seconds))
    return rates.sort((a, b) => b.requestsPerSecond - a.requestsPerSecond || (a.name < b.name ? -1 : 1))
  }
}

function ratesOf(name: string, minutes: readonly (CallerFigures | undefined)[], seconds: number): CallerRates {
  const sum = new CallerFigures()
  for (const one of minutes) {
    if (!one) continue
    sum.requests += one.requests
    sum.values += one.values
    sum.fresh += one.fresh
    sum.latency.merge(one.latency)
    for (const [target, count] of one.targets) sum.ask(target, count)
  }
  return {
    name,
    requestsPerSecond: sum.requests / seconds,
    p99Ms: sum.latency.quantile(0.99),
    freshShare: sum.values > 0 ? sum.fresh / sum.values : null,
    targets: new Map(Array.from(sum.targets, ([target, count]) => [target, count / seconds])),
  }
}
