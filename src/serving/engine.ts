/**
 * The read path. Per feature and key, exactly this:
 *
 *   fresh                → serve what is stored
 *   stale                → serve it, and compute once behind it
 *   missing or expired   → compute in the request, once however many wait
 *   realtime             → always compute in the request
 *   the computation fails → the last good value within max staleness, else the default, else the error
 *   the store is away, or may lack what is recorded → the newest that history, this process and the store have, within max staleness, computed
 *                          anew behind it; where there is none, as if missing (unsure.ts)
 *
 * Judging is in freshness.ts, sharing computations in computations.ts. Reads of the memory store answer without a promise when nothing
 * has to be computed: the hot path allocates arrays, no object per value.
 */
import type { Clock, Micros } from '../clock.ts'
import type { Computations } from '../compute/single-flight/computations.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { OnlineStore, StoredRows, StoredValue } from '../store/ports/online-store.ts'
import { judge } from './freshness.ts'
import { createCopies } from './outage-values.ts'
import type { Plan, PlanGroup, PlannedFeature, PlanRow, ReadOptions } from './plan.ts'
import { emptyResult, type Found, fill, fillFresh, type RowResult, type ServedFrom, type Status } from './row-result.ts'
import { createUnsureReader, type Unsure } from './unsure.ts'

export interface Engine {
  /** One result per row, in order; duplicates get equal answers. Never rejects for what a feature does. */
  read(plan: Plan, rows: readonly PlanRow[], options: ReadOptions): RowResult[] | Promise<RowResult[]>
  /** Resolves when no computation started by a read is running. */
  idle(): Promise<void>
}

export interface EngineOptions {
  readonly online: OnlineStore
  readonly computations: Computations
  readonly clock: Clock
  /** What history has, when the online store is unreachable or holds nothing. Answers within a second, or rejects. */
  readonly lastKnown: (feature: Feature, key: EntityKey) => Promise<StoredValue | undefined>
  /** Whether something of that time was forgotten. */
  readonly isErased: (entity: string, encodedKey: string, eventAt: Micros) => boolean
  /** Called for every key read, so that refreshes know who is in use. Must be cheap. */
  readonly onRead: (feature: Feature, key: EntityKey, at: Micros) => void
  /** The key that was read is none to the feature's query: nobody is to compute it again unasked. */
  readonly onUnusable: (feature: Feature, key: EntityKey) => void
}

/** What holds for all of one read. */
interface At {
  readonly now: Micros
  readonly read: ReadOptions
  readonly rowCount: number
  /** Undefined: what the store said is all there is. */
  readonly unsure: Unsure | undefined
}

const DEFAULT_REQUEST_TIMEOUT_MS = 1_000
const ROW_TIMEOUT_MS = 20
const LONGEST_BATCH_MS = 10_000

export function createEngine(options: EngineOptions): Engine {
  const { online, computations, clock, lastKnown, isErased, onRead, onUnusable } = options
  const copies = createCopies()
  const readUnsure = createUnsureReader({ online, copies, lastKnown, isErased })

  /** Nearly all plans are of one entity: fewer arrays and a promise less for each read. */
  function read(plan: Plan, rows: readonly PlanRow[], read: ReadOptions): RowResult[] | Promise<RowResult[]> {
    if (plan.groups.length !== 1) return readGroups(plan, rows, read)
    const found = readGroup(plan, 0, rows)
    if (!(found instanceof Promise)) return serve(plan, rows, read, [found], undefined)
    return found.then(
      (stored) => serve(plan, rows, read, [stored], undefined),
      (error) => serveUnsure(plan, rows, read, [{ status: 'rejected', reason: error }]),
    )
  }

  function readGroups(plan: Plan, rows: readonly PlanRow[], read: ReadOptions): RowResult[] | Promise<RowResult[]> {
    const stored = plan.groups.map((_, g) => readGroup(plan, g, rows))
    const isHere = (found: StoredRows | Promise<StoredRows>): found is StoredRows => !(found instanceof Promise)
    if (stored.every(isHere)) return serve(plan, rows, read, stored, undefined)
    return Promise.allSettled(stored).then((settled) =>
      settled.every((one) => one.status === 'fulfilled')
        ? serve(
            plan,
            rows,
            read,
            settled.map((one) => one.value),
            undefined,
          )
        : serveUnsure(plan, rows, read, settled),
    )
  }

  async function serveUnsure(
    plan: Plan,
    rows: readonly PlanRow[],
    read: ReadOptions,
    settled: readonly PromiseSettledResult<StoredRows>[],
  ): Promise<RowResult[]> {
    const { stored, unsure } = await readUnsure(plan, rows, settled)
    return serve(plan, rows, read, stored, unsure)
  }

  function readGroup(plan: Plan, g: number, rows: readonly PlanRow[]): StoredRows | Promise<StoredRows> {
    const { entity, fields } = plan.groups[g] as PlanGroup
    const keys: string[] = new Array(rows.length)
    for (let r = 0; r < keys.length; r++) keys[r] = rows[r]?.keys[g]?.encoded ?? ''
    try {
      return online.read(entity.name, keys, fields, 'serving')
    } catch (error) {
      return Promise.reject<StoredRows>(error)
    }
  }

  function serve(
    plan: Plan,
    rows: readonly PlanRow[],
    read: ReadOptions,
    stored: readonly StoredRows[],
    unsure: Unsure | undefined,
  ): RowResult[] | Promise<RowResult[]> {
    const now = clock.now()
    const at: At = { now, read, rowCount: rows.length, unsure }
    let pending: Promise<void>[] | undefined
    const results: RowResult[] = new Array(rows.length)
    for (let r = 0; r < rows.length; r++) {
      const row = rows[r] as PlanRow
      const result = emptyResult(plan.refs.length)
      results[r] = result
      for (let g = 0; g < plan.groups.length; g++) {
        const group = plan.groups[g] as PlanGroup
        const key = row.keys[g] as EntityKey
        const values = stored[g]?.[r]
        for (let f = 0; f < group.features.length; f++) {
          const planned = group.features[f] as PlannedFeature
          onRead(planned.feature, key, now)
          const value = values?.[f]
          if (value && unsure === undefined && isFresh(planned, value, at)) {
            fillFresh(group, f, result, value, now)
            continue
          }
          const found = find(planned, key, row, value, at)
          if (found instanceof Promise) {
            pending ??= []
            pending.push(fillLater(group, f, result, found))
          } else fill(group, f, result, found, now)
        }
      }
    }
    return pending ? Promise.all(pending).then(() => results) : results
  }

  async function fillLater(group: PlanGroup, f: number, result: RowResult, found: Promise<Found>): Promise<void> {
    fill(group, f, result, await found, clock.now())
  }

  function find(planned: PlannedFeature, key: EntityKey, row: PlanRow, stored: StoredValue | undefined, at: At): Found | Promise<Found> {
    const { feature, rule } = planned
    if (planned.realtime) return computeNow(planned, key, row, stored, at)
    if (stored && at.unsure?.copies.has(stored)) return findCopy(planned, key, row, stored, at)
    const judgement = stored ? judge(rule, stored.eventAt, at.now, at.read.maxAge) : 'expired'
    if (stored && judgement === 'fresh') return serveStored(planned, stored, 'fresh', 'online')
    if (feature.computation.kind === 'pushed') {
      if (stored && judgement === 'stale') return serveStored(planned, stored, 'stale', 'online')
      if (at.unsure?.isLate(planned, key)) return unavailable('History does not answer in time.')
      return at.unsure?.isBlind(planned, key) ? fallBack(planned, key, stored, undefined, at) : serveDefault(planned)
    }
    if (stored && judgement === 'stale') {
      // What the store may not take is kept here.
      if (at.unsure) void computeNow(planned, key, row, stored, at)
      else revalidate(planned, key, at)
      return serveStored(planned, stored, 'stale', 'online')
    }
    return computeNow(planned, key, row, stored, at)
  }

  /** While the store is not sure, what is known is served as long as it may be: computing for every request would bring the source down too. */
  function findCopy(planned: PlannedFeature, key: EntityKey, row: PlanRow, copy: StoredValue, at: At): Found | Promise<Found> {
    const judgement = judge(planned.rule, copy.eventAt, at.now, at.read.maxAge)
    const isPushed = planned.feature.computation.kind === 'pushed'
    if (judgement === 'expired') return isPushed ? fallBack(planned, key, copy, undefined, at) : computeNow(planned, key, row, copy, at)
    if (judgement === 'stale' && !isPushed) void computeNow(planned, key, row, copy, at)
    return serveStored(planned, copy, 'stale', 'last_good')
  }

  /** Recompute once behind a stale answer. Its failure is nobody's error: the value stays and ages. */
  function revalidate(planned: PlannedFeature, key: EntityKey, at: At): void {
    void computations.compute({ feature: planned.feature, key, chain: at.read.chain ?? [], timeoutMs: timeoutMs(planned.feature, at) })
  }

  async function computeNow(
    planned: PlannedFeature,
    key: EntityKey,
    row: PlanRow,
    stored: StoredValue | undefined,
    at: At,
  ): Promise<Found> {
    const { feature } = planned
    const inputs = planned.takesInputs ? ownInputs(feature, row) : undefined
    const call = { feature, key, chain: at.read.chain ?? [], timeoutMs: timeoutMs(feature, at), ...(inputs ? { inputs } : {}) }
    const { computed, asOf } = await computations.compute(call)
    if (computed.kind === 'error') {
      if (computed.error.code === 'invalid_key') onUnusable(feature, key)
      return fallBack(planned, key, planned.takesInputs ? undefined : stored, computed.error, at)
    }
    if (at.unsure && !planned.takesInputs) {
      const texts = computed.kind === 'value' ? computed.texts : null
      const oldestInputAt = computed.kind === 'value' ? computed.oldestInputAt : null
      copies.keep(key.encoded, planned.field, { texts, eventAt: asOf, availableAt: asOf, token: 0, origin: 'computed', oldestInputAt })
    }
    if (computed.kind === 'missing') return serveDefault(planned)
    return { texts: computed.texts, status: 'fresh', servedFrom: 'computed', eventAt: asOf, oldestInputAt: computed.oldestInputAt }
  }

  /** The last good value within max staleness (and the request's max_age), else the default, else the error. */
  async function fallBack(
    planned: PlannedFeature,
    key: EntityKey,
    stored: StoredValue | undefined,
    error: FabraError | undefined,
    at: At,
  ): Promise<Found> {
    const usable = (value: StoredValue | undefined) =>
      value !== undefined && value.texts !== null && judge(planned.rule, value.eventAt, clock.now(), at.read.maxAge) !== 'expired'
    if (stored && usable(stored)) return serveStored(planned, stored, 'stale', 'last_good')
    // Of what the online store holds, history has nothing newer.
    if (!planned.takesInputs && !stored) {
      const known = await lastKnown(planned.feature, key).catch(() => undefined)
      if (known && usable(known)) return serveStored(planned, known, 'stale', 'last_good')
    }
    if (planned.feature.defaults) return serveDefault(planned)
    if (error) return { texts: null, status: 'error', servedFrom: null, eventAt: null, oldestInputAt: null, error }
    return unknownOrMissing(planned, key, at)
  }

  return { read, idle: () => computations.idle() }
}

/** What nearly every value is: decided by itself, without an object for what was found. */
function isFresh({ realtime, rule }: PlannedFeature, { texts, eventAt }: StoredValue, { now, read }: At): boolean {
  return !realtime && texts !== null && judge(rule, eventAt, now, read.maxAge) === 'fresh'
}

function unknownOrMissing(planned: PlannedFeature, key: EntityKey, { unsure }: At): Found {
  if (!unsure?.isBlind(planned, key)) return serveDefault(planned)
  return unavailable('The online store cannot be reached.')
}

function unavailable(message: string): Found {
  const error = new FabraError('store_unavailable', message, { hint: 'Try again in a few seconds.' })
  return { texts: null, status: 'error', servedFrom: null, eventAt: null, oldestInputAt: null, error }
}

/** Null texts are a stored "nothing is known": the default stands in, as when nothing is stored. */
function serveStored(planned: PlannedFeature, stored: StoredValue, status: Status, servedFrom: ServedFrom): Found {
  if (stored.texts === null) return serveDefault(planned)
  return { texts: stored.texts, status, servedFrom, eventAt: stored.eventAt, oldestInputAt: stored.oldestInputAt }
}

function serveDefault(planned: PlannedFeature): Found {
  const { defaults } = planned.feature
  if (defaults) return { texts: defaults, status: 'default', servedFrom: 'default', eventAt: null, oldestInputAt: null }
  return { texts: null, status: 'missing', servedFrom: null, eventAt: null, oldestInputAt: null }
}

function ownInputs(feature: Feature, row: PlanRow): Record<string, unknown> {
  const own: Record<string, unknown> = Object.create(null)
  for (const name of Object.keys(feature.inputs)) own[name] = row.inputs?.[name]
  return own
}

/** Each further row of a read gives all of them more time: they may have to be computed one after another. */
function timeoutMs({ timeout }: Feature, { rowCount, read }: At): number {
  const own = timeout === null ? DEFAULT_REQUEST_TIMEOUT_MS : Math.ceil(timeout / 1000)
  const asked = timeout === null && read.patienceMs !== undefined ? read.patienceMs : own
  return Math.max(own, Math.min(LONGEST_BATCH_MS, Math.max(asked, own + (rowCount - 1) * ROW_TIMEOUT_MS)))
}
