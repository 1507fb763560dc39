/** What follows from a feature's definition. Whoever asks "is it pushed?" or "is that value still fresh?" asks here, so that all say the same. */
import type { Micros } from '../clock.ts'
import type { Feature, Refresh } from './model.ts'

/** A feature that is computed again from time to time, whether or not anybody reads it. */
export type ScheduledFeature = Feature & { readonly refresh: Exclude<Refresh, { kind: 'realtime' }> }

/** Its values come from outside; nothing computes them. */
export function isPushed({ computation }: Pick<Feature, 'computation'>): boolean {
  return computation.kind === 'pushed'
}

/** It is computed in every request. */
export function isRealtime({ refresh }: Pick<Feature, 'refresh'>): boolean {
  return refresh?.kind === 'realtime'
}

export function isScheduled(feature: Feature): feature is ScheduledFeature {
  return feature.refresh !== null && feature.refresh.kind !== 'realtime'
}

/** Its answer belongs to one request, and is kept nowhere. */
export function takesInputs({ inputs }: Pick<Feature, 'inputs'>): boolean {
  return Object.keys(inputs).length > 0
}

/**
 * A function that may run for any time: its every answer is made in a request anyway, or it says so. One that is seen to look at the clock or at
 * chance does so only when it says so.
 */
export function replays(feature: Feature): boolean {
  if (feature.computation.kind !== 'function') return false
  return feature.replay || (feature.clock.length === 0 && (isRealtime(feature) || takesInputs(feature)))
}

/** Which ages of a value count as what. */
export interface FreshnessRule {
  /** Greatest age of a fresh value, where its age alone decides; null: the firings of a pattern do. */
  readonly freshFor: Micros | null
  /** Last moment at which a value of this event time is fresh. Where firings decide, it is the same for all of one second. */
  freshUntil(eventAt: Micros): Micros
  /** Oldest age still served; null: any age. */
  readonly maxStaleness: Micros | null
}

/** First firing of a cron pattern strictly after a time; Infinity when there is none. */
export type NextFiring = (pattern: string, after: Micros) => Micros

const SECOND: Micros = 1_000_000

/** The one rule by which serving and training sets call a value fresh. */
export function freshnessRule({ refresh, maxStaleness }: Pick<Feature, 'refresh' | 'maxStaleness'>, nextFiring: NextFiring): FreshnessRule {
  if (refresh?.kind === 'cron') return { maxStaleness, freshFor: null, freshUntil: cronFreshUntil(refresh.pattern, nextFiring) }
  const freshFor = longestFresh(refresh, maxStaleness)
  return { maxStaleness, freshFor, freshUntil: (eventAt) => eventAt + freshFor }
}

function longestFresh(refresh: Exclude<Refresh, { kind: 'cron' }> | null, maxStaleness: Micros | null): Micros {
  if (refresh === null) return maxStaleness ?? Number.POSITIVE_INFINITY
  // What is computed in a request is fresh in that request alone.
  if (refresh.kind === 'realtime') return 0
  return refresh.every + allowedLag(refresh.every)
}

/** How late a refresh may be before its value counts as stale: 10 % of the interval, at least a second. */
function allowedLag(interval: Micros): Micros {
  return Math.max(SECOND, Math.floor(interval / 10))
}

/** Values computed between two firings share their answer, so the last one is kept: cron arithmetic is slow. */
function cronFreshUntil(pattern: string, nextFiring: NextFiring): (eventAt: Micros) => Micros {
  let known: { from: Micros; firing: Micros; until: Micros } | undefined
  return (eventAt) => {
    if (known && eventAt >= known.from && eventAt < known.firing) return known.until
    const firing = nextFiring(pattern, eventAt)
    // After the last firing of all nothing newer is due.
    const until = firing === Number.POSITIVE_INFINITY ? firing : firing + allowedLag(nextFiring(pattern, firing) - firing)
    known = { from: eventAt, firing, until }
    return until
  }
}
