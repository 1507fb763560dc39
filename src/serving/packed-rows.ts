import type { Micros } from '../clock.ts'
import type { PackedRow, RowTimes } from '../store/ports/online-store.ts'
import { ageMs, judge } from './freshness.ts'
import type { PlanGroup } from './plan.ts'

/**
 * Judges the packed rows of one read. Mostly the oldest value of a row says that all are fresh; and rows whose values came together, as those of
 * a refresh, are judged once.
 */
export class PackedRows {
  private readonly group: PlanGroup
  private readonly now: Micros
  private readonly maxAge: Micros | null
  private times: RowTimes | undefined
  private freshnessMs: number[] | undefined

  constructor(group: PlanGroup, now: Micros, maxAge: Micros | null) {
    this.group = group
    this.now = now
    this.maxAge = maxAge
  }

  /** Ages as they are told, for which rows may share a list; undefined: not all of the row is fresh. */
  agesOf({ times }: PackedRow): number[] | undefined {
    if (times === this.times) return this.freshnessMs
    this.times = times
    this.freshnessMs = this.areFresh(times) ? this.ages(times) : undefined
    return this.freshnessMs
  }

  private areFresh({ eventAts, oldestAt }: RowTimes): boolean {
    const { now, maxAge, group } = this
    const age = now - oldestAt
    if (age <= group.freshFor && (maxAge === null || age <= maxAge)) return true
    return group.features.every(({ rule }, f) => judge(rule, eventAts[f] as Micros, now, maxAge) === 'fresh')
  }

  private ages({ eventAts }: RowTimes): number[] {
    const ages = new Array<number>(eventAts.length)
    for (let f = 0; f < ages.length; f++) ages[f] = ageMs(eventAts[f] as Micros, this.now)
    return ages
  }
}
