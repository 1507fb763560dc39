/**
 * What is served for one feature of one key. Per value, exactly this:
 *
 *   fresh                → serve what is stored
 *   stale                → serve it, and compute once behind it
 *   missing or expired   → compute in the request, once however many wait
 *   realtime             → always compute in the request
 *   the computation fails → the last good value within max staleness, else the default, else the error
 *   the store is away, or may lack what is recorded → the newest that history, this process and the store have, within max staleness, computed
 *                          anew behind it; where there is none, or history does not know the key, as if missing (unsure.ts)
 */
import type { Clock, Micros } from '../clock.ts'
import type { Computations } from '../compute/single-flight/computations.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { FabraError } from '../errors.ts'
import type { StoredValue } from '../store/ports/online-store.ts'
import { foundDefault, foundError, foundStored, foundUnavailable } from './found.ts'
import { judge } from './freshness.ts'
import type { OutageValues } from './outage-values.ts'
import type { PlannedFeature, PlanRow, ReadOptions } from './plan.ts'
import type { Found } from './row-result.ts'
import type { Unsure } from './unsure.ts'

/** What holds for all of one read. */
export interface ReadContext {
  readonly now: Micros
  readonly read: ReadOptions
  readonly rowCount: number
  /** Undefined: what the store said is all there is. */
  readonly unsure: Unsure | undefined
}

export interface ValueFinderOptions {
  readonly computations: Computations
  readonly clock: Clock
  /** Of one computation in a request, where the feature does not say it. */
  readonly requestTimeoutMs: number
  /** What history has, when the online store is unreachable or holds nothing. Answers within a second, or rejects. */
  readonly lastKnown: (feature: Feature, key: EntityKey) => Promise<StoredValue | undefined>
  /** The key that was read is none to the feature's query: nobody is to compute it again unasked. */
  readonly onUnusable: (feature: Feature, key: EntityKey) => void
}

const ROW_TIMEOUT_MS = 20
const LONGEST_BATCH_MS = 10_000

export class ValueFinder {
  private readonly computations: Computations
  private readonly clock: Clock
  private readonly requestTimeoutMs: number
  private readonly lastKnown: ValueFinderOptions['lastKnown']
  private readonly onUnusable: ValueFinderOptions['onUnusable']
  private readonly outageValues: OutageValues

  constructor({ computations, clock, requestTimeoutMs, lastKnown, onUnusable }: ValueFinderOptions, outageValues: OutageValues) {
    this.computations = computations
    this.clock = clock
    this.requestTimeoutMs = requestTimeoutMs
    this.lastKnown = lastKnown
    this.onUnusable = onUnusable
    this.outageValues = outageValues
  }

  /** @param stored What the store has of it. @returns without a promise where nothing has to be computed or asked. */
  find(
    planned: PlannedFeature,
    key: EntityKey,
    row: PlanRow,
    stored: StoredValue | undefined,
    context: ReadContext,
  ): Found | Promise<Found> {
    if (planned.realtime) return this.computeNow(planned, key, row, stored, context)
    if (stored && context.unsure?.outdated.has(stored)) return this.computeNow(planned, key, row, stored, context)
    if (stored && context.unsure?.foreign.has(stored)) return this.findForeign(planned, key, row, stored, context)
    const judgement = stored ? judge(planned.rule, stored.eventAt, context.now, context.read.maxAge) : 'expired'
    if (stored && judgement === 'fresh') return foundStored(planned, stored, 'fresh', 'online')
    if (planned.pushed) {
      if (stored && judgement === 'stale') return foundStored(planned, stored, 'stale', 'online')
      if (context.unsure?.isLate(planned, key)) return foundUnavailable('History does not answer in time.')
      return context.unsure?.isBlind(planned, key) ? this.fallBack(planned, key, stored, undefined, context) : foundDefault(planned)
    }
    if (stored && judgement === 'stale') {
      // What the store may not take is kept here.
      if (context.unsure) void this.computeNow(planned, key, row, stored, context)
      else this.revalidate(planned, key, stored, context)
      return foundStored(planned, stored, 'stale', 'online')
    }
    return this.computeNow(planned, key, row, stored, context)
  }

  /** While the store is not sure, what is known is served as long as it may be: computing for every request would bring the source down too. */
  private findForeign(
    planned: PlannedFeature,
    key: EntityKey,
    row: PlanRow,
    value: StoredValue,
    context: ReadContext,
  ): Found | Promise<Found> {
    const judgement = judge(planned.rule, value.eventAt, context.now, context.read.maxAge)
    if (judgement === 'expired')
      return planned.pushed ? this.fallBack(planned, key, value, undefined, context) : this.computeNow(planned, key, row, value, context)
    if (judgement === 'stale' && !planned.pushed) void this.computeNow(planned, key, row, value, context)
    return foundStored(planned, value, 'stale', 'last_good')
  }

  /** Recompute once behind a stale answer. Its failure is nobody's error: the value stays and ages. */
  private revalidate(planned: PlannedFeature, key: EntityKey, stored: StoredValue, context: ReadContext): void {
    void this.computations.compute({
      feature: planned.feature,
      key,
      chain: context.read.chain ?? [],
      timeoutMs: this.timeoutMs(planned.feature, context),
      isLook: context.read.isLook,
      storedSeq: stored.seq,
    })
  }

  private async computeNow(
    planned: PlannedFeature,
    key: EntityKey,
    row: PlanRow,
    stored: StoredValue | undefined,
    context: ReadContext,
  ): Promise<Found> {
    const { feature } = planned
    const inputs = planned.takesInputs ? ownInputs(feature, row) : undefined
    const { chain = [], isLook } = context.read
    const storedSeq = context.unsure ? undefined : (stored?.seq ?? null)
    const call = { feature, key, chain, timeoutMs: this.timeoutMs(feature, context), isLook, storedSeq, ...(inputs ? { inputs } : {}) }
    const { computed, asOf } = await this.computations.compute(call)
    if (computed.kind === 'error') {
      if (computed.error.code === 'invalid_key') this.onUnusable(feature, key)
      return this.fallBack(planned, key, planned.takesInputs ? undefined : stored, computed.error, context)
    }
    if (context.unsure && !planned.takesInputs) {
      const texts = computed.kind === 'value' ? computed.texts : null
      const oldestInputAt = computed.kind === 'value' ? computed.oldestInputAt : null
      this.outageValues.keep(key.encoded, planned.field, {
        texts,
        eventAt: asOf,
        availableAt: asOf,
        seq: 0,
        origin: 'computed',
        oldestInputAt,
      })
    }
    if (computed.kind === 'missing') return foundDefault(planned)
    return { texts: computed.texts, status: 'fresh', servedFrom: 'computed', eventAt: asOf, oldestInputAt: computed.oldestInputAt }
  }

  /** The last good value within max staleness (and the request's max_age), else the default, else the error. */
  private async fallBack(
    planned: PlannedFeature,
    key: EntityKey,
    stored: StoredValue | undefined,
    error: FabraError | undefined,
    context: ReadContext,
  ): Promise<Found> {
    const usable = (value: StoredValue | undefined) =>
      value !== undefined && value.texts !== null && judge(planned.rule, value.eventAt, this.clock.now(), context.read.maxAge) !== 'expired'
    if (stored && usable(stored)) return foundStored(planned, stored, 'stale', 'last_good')
    // Of what the online store holds, history has nothing newer. Where too much is asked, to ask history for each that is refused would be more still.
    if (!planned.takesInputs && !stored && error?.code !== 'overloaded') {
      const known = await this.lastKnown(planned.feature, key).catch(() => undefined)
      if (known && usable(known)) return foundStored(planned, known, 'stale', 'last_good')
    }
    if (planned.feature.defaults) return foundDefault(planned)
    if (error) return foundError(error)
    return context.unsure?.isBlind(planned, key) ? foundUnavailable('The online store cannot be reached.') : foundDefault(planned)
  }

  /** Each further row of a read gives all of them more time: they may have to be computed one after another. */
  private timeoutMs({ timeout }: Feature, { rowCount, read }: ReadContext): number {
    const own = timeout === null ? this.requestTimeoutMs : Math.ceil(timeout / 1000)
    const asked = timeout === null && read.patienceMs !== undefined ? read.patienceMs : own
    return Math.max(own, Math.min(LONGEST_BATCH_MS, Math.max(asked, own + (rowCount - 1) * ROW_TIMEOUT_MS)))
  }
}

function ownInputs(feature: Feature, row: PlanRow): Record<string, unknown> {
  const own: Record<string, unknown> = Object.create(null)
  for (const name of Object.keys(feature.inputs)) own[name] = row.inputs?.[name]
  return own
}
