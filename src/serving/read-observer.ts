/** Tells of reads what figures need, and of most requests no more than that they were. */
import type { Clock } from '../clock.ts'
import { keyColumnsJson } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { EventFeed } from '../observability/event-feed.ts'
import { FIELD, STATES } from '../observability/read-figures.ts'
import type { ReadStatistics, ReadTally } from '../observability/read-statistics.ts'
import type { RequestSample, RequestSamples } from '../observability/request-samples.ts'
import type { Plan, PlanRow } from './plan.ts'
import type { RowResult, Status } from './row-result.ts'

/** Slower ones are timed each, and told of, whether or not it is their turn. */
const SLOW_MS = 5
/** Requests a second that are told of though it is not their turn. */
const MOST_OUTLIERS = 20
const MOST_NAMES = 20
/** Who reads where no keys are asked for. */
const NOBODY = ''

/** What a request asked for. */
export interface ReadOrigin {
  /** Name of its API key; null: none is asked for. */
  readonly caller: string | null
  /** The feature set; null: features by name. */
  readonly set: string | null
  /** What it read is counted. */
  isCounted: boolean
}

export interface ReadObserverOptions {
  readonly statistics: ReadStatistics
  readonly feed: EventFeed
  readonly samples: RequestSamples
  readonly clock: Clock
}

export class ReadObserver {
  private readonly statistics: ReadStatistics
  private readonly feed: EventFeed
  private readonly samples: RequestSamples
  private readonly clock: Clock
  private outliers = 0
  private outliersUntil = 0

  constructor({ statistics, feed, samples, clock }: ReadObserverOptions) {
    this.statistics = statistics
    this.feed = feed
    this.samples = samples
    this.clock = clock
  }

  /**
   * A request came that asks for features one by one.
   * @param width How many.
   * @returns for how many it stands; 0: it is not looked at. To be given to `part`.
   */
  begin(width: number): number {
    return this.statistics.begin(width)
  }

  /** A request was answered. @param begun By performance.now(). */
  end(plan: Plan, rows: readonly PlanRow[], results: readonly RowResult[], asked: ReadOrigin, begun: number): void {
    const tally = plan.tally ?? this.bind(plan)
    const hasFailed = this.count(tally, results, asked)
    const weight = this.statistics.begin(tally.features.length)
    const now = performance.now()
    const ms = now - begun
    const isSlow = ms > SLOW_MS
    // Slow ones are all there, so each stands for itself.
    if (isSlow) tally.latency.add(ms)
    else if (weight > 0) tally.latency.add(ms, weight)
    if (weight > 0) this.look(tally, results)
    // Of nearly all requests nothing but their number is kept; and when all are slow, nothing but that and how slow.
    else if (!(isSlow || hasFailed) || !this.mayTellOutlier(now)) return
    this.tell(sampleOf({ plan, rows, results, asked }, { at: this.clock.now(), ms, isOutlier: weight === 0 }), weight)
  }

  /** One feature of many that a request asks for one by one; it is told of as the first of them. */
  part(
    plan: Plan,
    rows: readonly PlanRow[],
    results: readonly RowResult[],
    asked: ReadOrigin & { readonly begun: number },
    weight: number,
  ): void {
    const isFirst = !asked.isCounted
    const tally = plan.tally ?? this.bind(plan)
    this.count(tally, results, asked)
    if (weight === 0) return
    this.look(tally, results)
    const ms = performance.now() - asked.begun
    if (isFirst) this.tell(sampleOf({ plan, rows, results, asked }, { at: this.clock.now(), ms, isOutlier: false }), weight)
  }

  /** @returns whether a value is an error. */
  private count(tally: ReadTally, results: readonly RowResult[], asked: ReadOrigin): boolean {
    asked.isCounted = true
    this.statistics.count(tally, results.length)
    let hasFailed = false
    for (let r = 0; r < results.length; r++) {
      const { statuses, errors } = results[r] as RowResult
      // All of the row is fresh.
      if (statuses === undefined) continue
      countStates(tally, statuses)
      hasFailed ||= errors !== undefined
    }
    return hasFailed
  }

  /** A request was refused, or failed as a whole. @param path Stands for what it asked for. */
  fail(errorCode: string, caller: string | null, path: string, begun: number): void {
    this.statistics.failed()
    const now = performance.now()
    if (!this.mayTellOutlier(now)) return
    const ms = now - begun
    const nothing = { rows: 0, states: {}, entity: null, waitedFor: null, waitedMs: null }
    this.tell({ at: this.clock.now(), caller, askedFor: [path], ms, errorCode, isOutlier: true, ...nothing }, 0)
  }

  private bind(plan: Plan): ReadTally {
    const features = plan.groups.flatMap((group) =>
      group.features.map(({ feature }, f) => ({
        figures: this.statistics.figuresFor(shapeOf(feature)),
        places: group.targets[f] ?? [],
      })),
    )
    plan.tally = this.statistics.tally(features)
    return plan.tally
  }

  private look({ features }: ReadTally, results: readonly RowResult[]): void {
    const result = results[results.length === 1 ? 0 : Math.floor(Math.random() * results.length)]
    if (!result) return
    for (const { figures, places } of features) {
      const [first] = places
      const status = first && (result.statuses?.[first.ref] ?? 'fresh')
      if (!first || (status !== 'fresh' && status !== 'stale')) continue
      figures.addAge(result.freshnessMs[first.ref] ?? null)
      this.statistics.all.addAge(result.freshnessMs[first.ref] ?? null)
      let nulls = 0
      for (const { ref, column } of places) if (figures.columns[column]?.values.push(result.values[ref] ?? 'null')) nulls++
      if (nulls > 0) figures.add(FIELD.nulls, nulls / places.length)
    }
  }

  /** @param now By performance.now(). */
  private mayTellOutlier(now: number): boolean {
    if (now >= this.outliersUntil) {
      this.outliersUntil = now + 1_000
      this.outliers = 0
    }
    return ++this.outliers <= MOST_OUTLIERS
  }

  private tell(sample: RequestSample, weight: number): void {
    this.samples.add(sample)
    this.feed.add('request', sample)
    if (weight === 0) return
    const caller = this.statistics.caller(sample.caller ?? NOBODY)
    const values = Object.values(sample.states).reduce((sum, count) => sum + count, 0)
    caller.requests += weight
    caller.values += weight * values
    caller.fresh += weight * (sample.states.fresh ?? 0)
    caller.latency.add(sample.ms, weight)
    for (const target of sample.askedFor) caller.ask(target, weight)
  }
}

/** One count for each feature and row: its columns share their state. */
function countStates(tally: ReadTally, statuses: readonly Status[]): void {
  const { features } = tally
  for (let f = 0; f < features.length; f++) {
    const first = features[f]?.places[0]
    const status = first && statuses[first.ref]
    if (status === undefined || status === 'fresh') continue
    tally.states ??= new Float64Array(features.length * STATES.length)
    const at = f * STATES.length + STATES.indexOf(status)
    tally.states[at] = (tally.states[at] ?? 0) + 1
  }
}

export function shapeOf(feature: Feature) {
  const columns = feature.columns.map(({ name, type }) => ({
    column: name,
    name: name === null ? feature.name : `${feature.name}.${name}`,
    type,
  }))
  return { feature: feature.name, version: feature.fingerprint, columns }
}

interface Answered {
  readonly plan: Plan
  readonly rows: readonly PlanRow[]
  readonly results: readonly RowResult[]
  readonly asked: ReadOrigin
}

function sampleOf({ plan, rows, results, asked }: Answered, timing: Pick<RequestSample, 'at' | 'ms' | 'isOutlier'>): RequestSample {
  const states = statesOf(plan, results)
  let waited: RowResult | undefined
  let errorCode: string | null = null
  for (const result of results) {
    if (result.waitedMs > (waited?.waitedMs ?? 0)) waited = result
    if (result.errors) errorCode ??= result.errors.find((error) => error !== undefined)?.code ?? null
  }
  const isSlow = timing.ms > SLOW_MS && waited?.waitedFor !== undefined
  const [entity, key] = [plan.groups[0]?.entity, rows[0]?.keys[0]]
  return {
    ...timing,
    caller: asked.caller,
    askedFor: asked.set === null ? namesOf(plan) : [asked.set],
    rows: results.length,
    states,
    entity: entity && key ? { entity: entity.name, encoded: key.encoded, json: keyColumnsJson(entity, key) } : null,
    errorCode,
    waitedFor: isSlow ? `compute:${waited?.waitedFor}` : null,
    waitedMs: isSlow ? (waited?.waitedMs ?? null) : null,
  }
}

/** Of each feature and row; of rows that are all fresh without looking at each. */
function statesOf({ groups }: Plan, results: readonly RowResult[]): Partial<Record<Status, number>> {
  const states: Partial<Record<Status, number>> = {}
  let features = 0
  for (const { targets } of groups) features += targets.length
  let fresh = 0
  for (const { statuses } of results) {
    if (statuses === undefined) {
      fresh += features
      continue
    }
    for (const { targets } of groups)
      for (const [first] of targets) {
        const status = (first && statuses[first.ref]) ?? 'fresh'
        if (status === 'fresh') fresh++
        else states[status] = (states[status] ?? 0) + 1
      }
  }
  if (fresh > 0) states.fresh = fresh
  return states
}

function namesOf({ refs, asObject }: Plan): readonly string[] {
  if (asObject) return refs.slice(0, 1).map(({ feature }) => feature.name)
  return refs.slice(0, MOST_NAMES).map(({ name }) => name)
}
