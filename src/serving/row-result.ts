import type { Micros } from '../clock.ts'
import type { FabraError } from '../errors.ts'
import type { PackedRow, StoredValue } from '../store/ports/online-store.ts'
import { ageMs } from './freshness.ts'
import type { PlanGroup, PlanTarget } from './plan.ts'

export type Status = 'fresh' | 'stale' | 'default' | 'missing' | 'error'
export type ServedFrom = 'online' | 'computed' | 'last_good' | 'default' | null

/** One row's answers, in the order of the plan's refs. Nearly always all are fresh and from the online store: that is said by saying nothing. */
export interface RowResult {
  /** JSON texts; `null` where nothing is served. */
  readonly values: string[]
  /** The same with commas between, where it is known. */
  readonly valuesJson?: string
  readonly freshnessMs: (number | null)[]
  /** Where the values' times are told. Written while an empty result is filled: that of a fresh one is the store's. */
  readonly sources: (Found | StoredValue)[]
  /** Undefined: each is fresh. */
  statuses: Status[] | undefined
  /** Undefined: each is from the online store. */
  servedFrom: ServedFrom[] | undefined
  /** Undefined when no feature of the row failed. */
  errors: (FabraError | undefined)[] | undefined
  /** The feature whose computation ended last of those that were waited for. */
  waitedFor: string | undefined
  waitedMs: number
}

/** What was found for one feature of one row: everything its columns share. */
export interface Found {
  readonly texts: readonly string[] | null
  readonly status: Status
  readonly servedFrom: ServedFrom
  readonly eventAt: Micros | null
  readonly oldestInputAt: Micros | null
  readonly error?: FabraError
}

/** Every place is filled before anyone reads it. */
export function emptyResult(size: number): RowResult {
  return {
    values: new Array(size),
    freshnessMs: new Array(size),
    sources: new Array(size),
    statuses: undefined,
    servedFrom: undefined,
    errors: undefined,
    waitedFor: undefined,
    waitedMs: 0,
  }
}

/** Of a row that is as it is stored. @param sources Nobody writes to them. */
export function freshResult(values: string[], freshnessMs: number[], sources: readonly StoredValue[]): RowResult {
  return {
    values,
    freshnessMs,
    sources: sources as StoredValue[],
    statuses: undefined,
    servedFrom: undefined,
    errors: undefined,
    waitedFor: undefined,
    waitedMs: 0,
  }
}

/** The same of a packed row: values are taken apart for whoever asks for each of them. */
export class PackedResult implements RowResult {
  readonly valuesJson: string
  readonly freshnessMs: number[]
  readonly sources: StoredValue[]
  readonly statuses = undefined
  readonly servedFrom = undefined
  readonly errors = undefined
  readonly waitedFor = undefined
  readonly waitedMs = 0
  private texts: string[] | undefined

  /** Nobody writes to what it is given. */
  constructor({ json }: PackedRow, freshnessMs: number[], sources: readonly StoredValue[]) {
    this.valuesJson = json
    this.freshnessMs = freshnessMs
    this.sources = sources as StoredValue[]
  }

  get values(): string[] {
    this.texts ??= this.sources.map(({ texts }) => texts?.[0] ?? 'null')
    return this.texts
  }
}

/** Spread what was found for a feature over the refs that name its columns. */
export function fill(group: PlanGroup, feature: number, result: RowResult, found: Found, now: Micros): void {
  const size = result.values.length
  result.statuses ??= new Array<Status>(size).fill('fresh')
  result.servedFrom ??= new Array<ServedFrom>(size).fill('online')
  for (const { ref, column } of group.targets[feature] ?? []) {
    result.values[ref] = found.texts?.[column] ?? 'null'
    result.freshnessMs[ref] = found.eventAt === null ? null : ageMs(found.eventAt, now)
    result.sources[ref] = found
    result.statuses[ref] = found.status
    result.servedFrom[ref] = found.servedFrom
    if (found.error) {
      result.errors ??= new Array(size).fill(undefined)
      result.errors[ref] = found.error
    }
  }
}

/** The same of a stored value that is fresh. */
export function fillFresh(group: PlanGroup, feature: number, result: RowResult, stored: StoredValue, now: Micros): void {
  const targets = group.targets[feature] ?? []
  const age = ageMs(stored.eventAt, now)
  for (let t = 0; t < targets.length; t++) {
    const { ref, column } = targets[t] as PlanTarget
    result.values[ref] = stored.texts?.[column] ?? 'null'
    result.freshnessMs[ref] = age
    result.sources[ref] = stored
  }
}
