/** Judging a value's age. Pure: no clock, no store; the effects are in engine.ts. */
import type { Micros } from '../clock.ts'
import type { Feature } from '../definition/model.ts'

/** What a value that was found may be served as. `expired`: not at all. */
export type Judgement = 'fresh' | 'stale' | 'expired'

export interface FreshnessRule {
  /** Last moment at which a value of this event time is fresh. −Infinity: never (realtime). */
  freshUntil(eventAt: Micros): Micros
  /** Oldest age still served; null: any age. */
  readonly maxStaleness: Micros | null
}

/** First firing of a cron pattern strictly after a time. */
export type NextFiring = (pattern: string, after: Micros) => Micros

const SECOND: Micros = 1_000_000

/** How late a refresh may be before its value counts as stale: 10 % of the interval, at least a second. */
export function allowedLag(interval: Micros): Micros {
  return Math.max(SECOND, Math.floor(interval / 10))
}

export function freshnessRule(feature: Feature, nextFiring: NextFiring): FreshnessRule {
  const { refresh, maxStaleness } = feature
  if (refresh === null)
    return { maxStaleness, freshUntil: (eventAt) => (maxStaleness === null ? Number.POSITIVE_INFINITY : eventAt + maxStaleness) }
  if (refresh.kind === 'realtime') return { maxStaleness, freshUntil: () => Number.NEGATIVE_INFINITY }
  if (refresh.kind === 'interval') {
    const freshFor = refresh.every + allowedLag(refresh.every)
    return { maxStaleness, freshUntil: (eventAt) => eventAt + freshFor }
  }
  const { pattern } = refresh
  return { maxStaleness, freshUntil: cronFreshUntil(pattern, nextFiring) }
}

/** Values computed between two firings share their answer, so the last one is kept: cron arithmetic is slow. */
function cronFreshUntil(pattern: string, nextFiring: NextFiring): (eventAt: Micros) => Micros {
  let known: { from: Micros; firing: Micros; until: Micros } | undefined
  return (eventAt) => {
    if (known && eventAt >= known.from && eventAt < known.firing) return known.until
    const firing = nextFiring(pattern, eventAt)
    const interval = nextFiring(pattern, firing) - firing
    known = { from: eventAt, firing, until: firing + allowedLag(interval) }
    return known.until
  }
}

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
