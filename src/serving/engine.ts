/**
 * The read path: what the online store has of all keys and features of a request, and for each value that is not simply fresh what the
 * finder makes of it (value-finder.ts). Reads of the memory store answer without a promise when nothing has to be computed: the hot path
 * allocates arrays, no object per value.
 */
import type { Clock, Micros } from '../clock.ts'
import type { Computations } from '../compute/single-flight/computations.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import { isOverloaded } from '../errors.ts'
import type { OnlineStore, StoredRows, StoredValue } from '../store/ports/online-store.ts'
import { ageMs, judge } from './freshness.ts'
import { createOutageValues } from './outage-values.ts'
import { PackedRows } from './packed-rows.ts'
import type { Plan, PlanGroup, PlannedFeature, PlanRow, ReadOptions } from './plan.ts'
import { emptyResult, type Found, fill, fillFresh, freshResult, PackedResult, type RowResult } from './row-result.ts'
import { createUnsureReader, type Unsure, type UnsureReader } from './unsure.ts'
import { type ReadContext, ValueFinder, type ValueFinderOptions } from './value-finder.ts'

export interface Engine {
  /** One result per row, in order; duplicates get equal answers. Never rejects for what a feature does: only as `overloaded`, when there is too much to read. */
  read(plan: Plan, rows: readonly PlanRow[], options: ReadOptions): RowResult[] | Promise<RowResult[]>
  /** Resolves when no computation started by a read is running. */
  idle(): Promise<void>
}

export interface EngineOptions extends ValueFinderOptions {
  readonly online: OnlineStore
  /** Whether something of that time was forgotten. */
  readonly isErased: (entity: string, encodedKey: string, eventAt: Micros) => boolean
  /** Called for every key read, so that refreshes know who is in use. Must be cheap. */
  readonly onRead: (feature: Feature, key: EntityKey, at: Micros) => void
}

export function createEngine(options: EngineOptions): Engine {
  return new ReadPath(options)
}

/** Of the rows of one read. */
interface RowsContext extends ReadContext {
  /** Undefined until there is one. */
  packed: PackedRows | undefined
}

class ReadPath implements Engine {
  private readonly online: OnlineStore
  private readonly computations: Computations
  private readonly clock: Clock
  private readonly onRead: EngineOptions['onRead']
  private readonly finder: ValueFinder
  private readonly readUnsure: UnsureReader

  constructor(options: EngineOptions) {
    const { online, computations, clock, lastKnown, isErased, onRead } = options
    const outageValues = createOutageValues()
    this.online = online
    this.computations = computations
    this.clock = clock
    this.onRead = onRead
    this.finder = new ValueFinder(options, outageValues)
    this.readUnsure = createUnsureReader({ online, outageValues, lastKnown, isErased, now: () => clock.now() })
  }

  /** Nearly all plans are of one entity: fewer arrays and a promise less for each read. */
  read(plan: Plan, rows: readonly PlanRow[], read: ReadOptions): RowResult[] | Promise<RowResult[]> {
    if (plan.groups.length !== 1) return this.readGroups(plan, rows, read)
    const found = this.readGroup(plan, 0, rows)
    if (!(found instanceof Promise)) return this.serve(plan, rows, read, [found], undefined)
    return found.then(
      (stored) => this.serve(plan, rows, read, [stored], undefined),
      (error) => this.serveUnsure(plan, rows, read, [{ status: 'rejected', reason: error }]),
    )
  }

  private readGroups(plan: Plan, rows: readonly PlanRow[], read: ReadOptions): RowResult[] | Promise<RowResult[]> {
    const stored = plan.groups.map((_, g) => this.readGroup(plan, g, rows))
    const isHere = (found: StoredRows | Promise<StoredRows>): found is StoredRows => !(found instanceof Promise)
    if (stored.every(isHere)) return this.serve(plan, rows, read, stored, undefined)
    return Promise.allSettled(stored).then((settled) =>
      settled.every((one) => one.status === 'fulfilled')
        ? this.serve(
            plan,
            rows,
            read,
            settled.map((one) => one.value),
            undefined,
          )
        : this.serveUnsure(plan, rows, read, settled),
    )
  }

  private async serveUnsure(
    plan: Plan,
    rows: readonly PlanRow[],
    read: ReadOptions,
    settled: readonly PromiseSettledResult<StoredRows>[],
  ): Promise<RowResult[]> {
    // The store is well, and history would only be more to read.
    for (const one of settled) if (one.status === 'rejected' && isOverloaded(one.reason)) throw one.reason
    const { stored, unsure } = await this.readUnsure(plan, rows, settled)
    return this.serve(plan, rows, read, stored, unsure)
  }

  private readGroup(plan: Plan, g: number, rows: readonly PlanRow[]): StoredRows | Promise<StoredRows> {
    const { entity, fields } = plan.groups[g] as PlanGroup
    const keys: string[] = new Array(rows.length)
    for (let r = 0; r < keys.length; r++) keys[r] = rows[r]?.keys[g]?.encoded ?? ''
    try {
      return this.online.read(entity.name, keys, fields, 'serving')
    } catch (error) {
      return Promise.reject<StoredRows>(error)
    }
  }

  private serve(
    plan: Plan,
    rows: readonly PlanRow[],
    read: ReadOptions,
    stored: readonly StoredRows[],
    unsure: Unsure | undefined,
  ): RowResult[] | Promise<RowResult[]> {
    const now = this.clock.now()
    const context: RowsContext = { now, read, rowCount: rows.length, unsure, packed: undefined }
    const isUse = read.isLook !== true
    let pending: Promise<void>[] | undefined
    const results: RowResult[] = new Array(rows.length)
    for (let r = 0; r < rows.length; r++) {
      const row = rows[r] as PlanRow
      const fresh = isUse ? this.freshRow(plan, row, stored[0]?.[r], context) : undefined
      if (fresh) {
        results[r] = fresh
        continue
      }
      const result = emptyResult(plan.refs.length)
      results[r] = result
      for (let g = 0; g < plan.groups.length; g++) {
        const group = plan.groups[g] as PlanGroup
        const key = row.keys[g] as EntityKey
        const values = stored[g]?.[r]
        for (let f = 0; f < group.features.length; f++) {
          const planned = group.features[f] as PlannedFeature
          if (isUse) this.onRead(planned.feature, key, now)
          const value = values?.[f]
          if (value && unsure === undefined && isFresh(planned, value, context)) {
            fillFresh(group, f, result, value, now)
            continue
          }
          const found = this.finder.find(planned, key, row, value, context)
          if (found instanceof Promise) {
            pending ??= []
            pending.push(this.fillLater(group, f, result, found))
          } else fill(group, f, result, found, now)
        }
      }
    }
    if (!pending) return results
    return (pending.length === 1 && pending[0] ? pending[0] : Promise.all(pending)).then(() => results)
  }

  /** What nearly every row is: asked for as it is stored, and all of it fresh. Undefined: it is something else. */
  private freshRow(
    { groups }: Plan,
    { keys }: PlanRow,
    stored: StoredRows[number] | undefined,
    context: RowsContext,
  ): RowResult | undefined {
    const group = groups[0]
    const key = keys[0]
    if (!group?.isStraight || !key || !stored || context.unsure !== undefined) return undefined
    const { features, targets } = group
    if (stored.packed) {
      context.packed ??= new PackedRows(group, context.now, context.read.maxAge)
      const ages = context.packed.agesOf(stored.packed)
      if (!ages) return undefined
      for (let f = 0; f < features.length; f++) this.onRead((features[f] as PlannedFeature).feature, key, context.now)
      return new PackedResult(stored.packed, ages, stored as readonly StoredValue[])
    }
    const values = new Array<string>(features.length)
    const freshnessMs = new Array<number>(features.length)
    for (let f = 0; f < features.length; f++) {
      const planned = features[f] as PlannedFeature
      const value = stored[f]
      if (!value || !isFresh(planned, value, context)) return undefined
      this.onRead(planned.feature, key, context.now)
      values[f] = value.texts?.[targets[f]?.[0]?.column ?? 0] ?? 'null'
      freshnessMs[f] = ageMs(value.eventAt, context.now)
    }
    return freshResult(values, freshnessMs, stored as readonly StoredValue[])
  }

  private async fillLater(group: PlanGroup, f: number, result: RowResult, found: Promise<Found>): Promise<void> {
    const begun = performance.now()
    fill(group, f, result, await found, this.clock.now())
    result.waitedMs = performance.now() - begun
    result.waitedFor = group.features[f]?.feature.name
  }

  idle(): Promise<void> {
    return this.computations.idle()
  }
}

/** What nearly every value is: decided by itself, without an object for what was found. */
function isFresh({ realtime, rule }: PlannedFeature, { texts, eventAt }: StoredValue, { now, read }: ReadContext): boolean {
  return !realtime && texts !== null && judge(rule, eventAt, now, read.maxAge) === 'fresh'
}
