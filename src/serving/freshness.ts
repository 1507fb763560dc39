/** Judging a value's age by its feature's rule. Pure: no clock, no store; the effects are in the read path. */
import type { Micros } from '../clock.ts'
import type { FreshnessRule } from '../definition/feature-traits.ts'

/** What a value that was found may be served as. `expired`: not at all. */
export type Judgement = 'fresh' | 'stale' | 'expired'

/**
 * @param maxAge The request's own bound; tightens max staleness, never widens it.
 */
export function judge(rule: FreshnessRule, eventAt: Micros, now: Micros, maxAge: Micros | null): Judgement {
  const age = now - eventAt
  if (rule.maxStaleness !== null && age > rule.maxStaleness) return 'expired'
  if (maxAge !== null && age > maxAge) return 'expired'
  return now <= rule.freshUntil(eventAt) ? 'fresh' : 'stale'
}

/** Age as it is told: whole milliseconds, rounded down; a value from a clock slightly ahead is 0 old. */
export function ageMs(eventAt: Micros, now: Micros): number {
  return Math.max(0, Math.floor((now - eventAt) / 1000))
}
