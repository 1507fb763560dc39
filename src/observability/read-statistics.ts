/**
 * What is read, counted with almost nothing for each request: sums of a plan's reads are bumped, and folded into the figures of its features
 * once a second. Values, ages, latencies and callers are taken from some of the requests: all of them where there are few, and then so many
 * that looking at them takes about a thousandth of the time, whether each asks for one feature or for hundreds. Memory is bounded by the number of features.
 */

import { type CallerFigures, Callers } from './callers.ts'
import { DurationHistogram } from './histogram.ts'
import { type ColumnShape, FIELD, ReadFigures, STATES, type StateTotals, statesOf } from './read-figures.ts'

/** What looking at a request costs besides its features, each of which costs one: a tenth of a microsecond, ten times that where it is done seldom. */
const COST_OF_ONE = 15
/** Where looking at all requests of a second costs no more, all are looked at: 200 of one feature, or 50 of fifty. */
const COST_OF_FEW = 200 * (COST_OF_ONE + 1)
/** What is spent on looking in a second where there are more. */
const BUDGET = COST_OF_FEW / 4
/** In a burst that nobody foresaw one in so many fewer is looked at, again and again, whenever the budget of a second is spent. */
const SLOWED_DOWN = 4
const FOLD_MS = 1_000
/** Features whose minute is closed without a pause. */
const ROLLED_TOGETHER = 16

export interface FeatureShape {
  readonly feature: string
  /** Figures of other columns are not those of these. */
  readonly version: string
  readonly columns: readonly ColumnShape[]
}

/** Of a plan's feature: where its values stand in rows of results. */
export interface TalliedFeature {
  readonly figures: ReadFigures
  /** Of each of its columns that are asked for: its place in a row, and among the feature's columns. */
  readonly places: readonly { readonly ref: number; readonly column: number }[]
}

/** What one list of features was read, since the last fold. */
export interface ReadTally {
  readonly features: readonly TalliedFeature[]
  requests: number
  rows: number
  /** Values of one feature after the other, each by state in the order of STATES; null: all of them were fresh. */
  states: Float64Array | null
  readonly latency: DurationHistogram
}

export interface ReadCounters {
  readonly requests: number
  readonly failed: number
  readonly values: StateTotals
  readonly took: DurationHistogram
}

export class ReadStatistics {
  readonly all: ReadFigures
  readonly callers: Callers
  private readonly nowMs: () => number
  private readonly features = new Map<string, { readonly version: string; readonly figures: ReadFigures }>()
  private touched: ReadTally[] = []
  private countdown = 1
  /** On looking, since it was settled how many to look at; and what looking at each would have cost. */
  private spent = 0
  private maySpend = COST_OF_FEW
  private offered = 0
  private timer: Timer | undefined
  /** Requests since the start, and how many of them were folded. */
  private seen = 0
  private folded = 0
  /** Requests since the start by how long they took. */
  private readonly took = new DurationHistogram()
  private failures = 0
  /** Every how many requests one is looked at. */
  oneIn = 1

  /** @param nowMs As values are dated. */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs
    this.all = new ReadFigures([], nowMs(), true)
    this.callers = new Callers(nowMs)
  }

  start(): void {
    this.timer = setInterval(() => {
      this.foldTallies()
      this.settle()
      this.all.roll(this.nowMs())
      this.rollInTurns([...this.features.values()])
    }, FOLD_MS)
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** Figures of a feature; undefined: it was never read. */
  of(feature: string): ReadFigures | undefined {
    return this.features.get(feature)?.figures
  }

  figuresFor({ feature, version, columns }: FeatureShape): ReadFigures {
    const found = this.features.get(feature)
    if (found?.version === version) return found.figures
    const figures = new ReadFigures(columns, this.nowMs())
    this.features.set(feature, { version, figures })
    return figures
  }

  tally(features: readonly TalliedFeature[]): ReadTally {
    return { features, requests: 0, rows: 0, states: null, latency: new DurationHistogram() }
  }

  /** A request, or a part of one, asked for so many rows. */
  count(tally: ReadTally, rows: number): void {
    if (tally.requests === 0) this.touched.push(tally)
    tally.requests++
    tally.rows += rows
  }

  /**
   * A request came.
   * @param width Features that it asks for.
   * @returns how many requests it stands for when it is looked at; 0: it is not.
   */
  begin(width: number): number {
    this.seen++
    if (--this.countdown > 0) return 0
    const stoodFor = this.oneIn
    this.spent += COST_OF_ONE + width
    if (this.spent > this.maySpend) {
      this.oneIn *= SLOWED_DOWN
      this.spent = 0
      this.maySpend = BUDGET
    }
    // Clients that ask in turns must not be looked at in turns.
    this.countdown = this.oneIn === 1 ? 1 : 1 + Math.floor(Math.random() * (2 * this.oneIn - 1))
    return stoodFor
  }

  /** Requests since the start. */
  get total(): number {
    return this.seen
  }

  /** Since the start, for whoever counts for himself. */
  counters(): ReadCounters {
    this.foldTallies()
    return { requests: this.total, failed: this.failures, values: statesOf(this.all.served), took: this.took }
  }

  /** Of each feature that was read: what was served of its version since it came. */
  perFeature(): { readonly feature: string; readonly version: string; readonly figures: ReadFigures }[] {
    return [...this.features].map(([feature, { version, figures }]) => ({ feature, version, figures }))
  }

  failed(): void {
    this.failures++
    this.all.add(FIELD.failed, 1)
  }

  caller(name: string): CallerFigures {
    return this.callers.of(name)
  }

  /** Once a second: how many of the requests of the next one to look at. Bursts come again: after one, more are looked at by and by. */
  private settle(): void {
    const wanted = this.offered <= COST_OF_FEW ? 1 : Math.ceil(this.offered / BUDGET)
    this.oneIn = Math.max(wanted, Math.floor(this.oneIn / SLOWED_DOWN))
    this.countdown = Math.min(this.countdown, 2 * this.oneIn)
    this.offered = 0
    this.spent = 0
    // Where there were many a moment ago, many may come again at once.
    this.maySpend = this.oneIn === 1 ? COST_OF_FEW : BUDGET
  }

  /** Closing the minute of hundreds of features takes a while: requests get their turn in between. */
  private rollInTurns(left: readonly { readonly figures: ReadFigures }[]): void {
    const now = this.nowMs()
    for (const { figures } of left.slice(0, ROLLED_TOGETHER)) figures.roll(now)
    if (left.length > ROLLED_TOGETHER) setImmediate(() => this.rollInTurns(left.slice(ROLLED_TOGETHER))).unref()
  }

  /** What was counted goes to the features, and a minute that is over is closed: before anybody looks. */
  fold(): void {
    this.foldTallies()
    const now = this.nowMs()
    this.all.roll(now)
    for (const { figures } of this.features.values()) figures.roll(now)
  }

  private foldTallies(): void {
    const touched = this.touched
    this.touched = []
    for (const tally of touched) this.foldTally(tally)
    this.all.add(FIELD.requests, this.seen - this.folded)
    this.folded = this.seen
    this.callers.roll()
  }

  private foldTally(tally: ReadTally): void {
    const { features, rows, requests, latency, states } = tally
    for (const { figures } of features) {
      figures.addServed(FIELD.reads, rows)
      figures.add(FIELD.requests, requests)
      if (latency.total > 0) figures.addLatencies(latency)
    }
    this.all.addServed(FIELD.reads, rows * features.length)
    if (states) this.foldStates(features, states)
    if (latency.total > 0) {
      this.all.addLatencies(latency)
      this.took.merge(latency)
      latency.clear()
    }
    this.offered += requests * (COST_OF_ONE + features.length)
    tally.requests = 0
    tally.rows = 0
  }

  private foldStates(features: readonly TalliedFeature[], states: Float64Array): void {
    for (const [f, { figures }] of features.entries())
      for (let state = FIELD.stale; state <= FIELD.error; state++) {
        const count = states[f * STATES.length + state] ?? 0
        if (count === 0) continue
        figures.addServed(state, count)
        this.all.addServed(state, count)
      }
    states.fill(0)
  }

  /** Features that are defined no longer are let go. */
  retain(names: ReadonlySet<string>): void {
    for (const name of this.features.keys()) if (!names.has(name)) this.features.delete(name)
  }
}
