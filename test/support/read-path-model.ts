import type { Served } from './bench.ts'

/**
 * The read path as the contract tells it, in plain data: no stores, no promises. A key is one (feature version, entity key).
 * Only how long a failing key rests is not certain (it is random): between `restsFrom` and `restsUntil` both answers are right, and the
 * one that was observed is taken over.
 */
export interface ModelFeature {
  readonly realtime?: boolean
  readonly pushed?: boolean
  /** Microseconds. Refresh and its allowed lag; pushed and realtime: none. */
  readonly freshFor?: number
  readonly maxStaleness?: number
  readonly default?: unknown
  /** `unrecorded`: of its keys only what is pushed, and what took its place. */
  readonly history?: 'off' | 'unrecorded'
}

export interface Stored {
  /** Undefined: known to be missing. */
  readonly value: unknown
  readonly eventAt: number
  readonly pushed?: boolean
}

export interface KeyState {
  stored: Stored | undefined
  /** What a restart brings back. */
  recorded: Stored | undefined
  /** The newest row of history, of a feature whose keys are not recorded. */
  newestRow?: Stored | undefined
  failures: number
  /** Certainly rests before the first, certainly does not from the second on. */
  restsFrom: number
  restsUntil: number
}

export type Outcome = { readonly kind: 'value'; readonly value: unknown } | { readonly kind: 'missing' } | { readonly kind: 'error' }

export type Expected = Pick<Served, 'value' | 'status' | 'servedFrom' | 'ageMs' | 'eventAt'>

export function freshState(): KeyState {
  return { stored: undefined, recorded: undefined, failures: 0, restsFrom: 0, restsUntil: 0 }
}

export function judge(feature: ModelFeature, stored: Stored, now: number, maxAge: number | null): 'fresh' | 'stale' | 'expired' {
  const age = now - stored.eventAt
  if (age > (feature.maxStaleness ?? Number.POSITIVE_INFINITY) || age > (maxAge ?? Number.POSITIVE_INFINITY)) return 'expired'
  if (feature.realtime) return 'stale'
  return age <= (feature.freshFor ?? Number.POSITIVE_INFINITY) ? 'fresh' : 'stale'
}

/** What a read does: answers from the store (computing behind it when stale), or has to wait for a computation. */
export function plan(
  feature: ModelFeature,
  state: KeyState,
  now: number,
  maxAge: number | null,
): 'store' | 'store and compute' | 'compute' | 'nothing' {
  if (feature.realtime) return 'compute'
  const judgement = state.stored ? judge(feature, state.stored, now, maxAge) : 'expired'
  if (feature.pushed) return judgement === 'expired' ? 'nothing' : 'store'
  if (judgement === 'fresh') return 'store'
  return judgement === 'stale' ? 'store and compute' : 'compute'
}

export function mayCompute(state: KeyState, now: number): 'yes' | 'no' | 'either' {
  if (now >= state.restsUntil) return 'yes'
  return now < state.restsFrom ? 'no' : 'either'
}

/** A computation of `asOf` ended: the newer of it and what is stored stays. */
export function applyOutcome(feature: ModelFeature, state: KeyState, outcome: Outcome, asOf: number, now: number): void {
  if (outcome.kind === 'error') {
    const longest = Math.min(5_000_000, 100_000 * 2 ** Math.min(state.failures, 10))
    state.failures++
    state.restsFrom = now + longest / 2 - 1000
    state.restsUntil = now + longest
    return
  }
  state.failures = 0
  state.restsFrom = state.restsUntil = 0
  write(feature, state, { value: outcome.kind === 'value' ? outcome.value : undefined, eventAt: asOf }, false)
}

export function write(feature: ModelFeature, state: KeyState, value: Stored, pushed: boolean): void {
  const written = { ...value, pushed }
  if (feature.history === 'unrecorded') {
    writeUnrecorded(state, written)
    return
  }
  if (!state.stored || written.eventAt >= state.stored.eventAt) state.stored = written
  if (feature.history === 'off' && !pushed) return
  if (!state.recorded || written.eventAt >= state.recorded.eventAt) state.recorded = written
}

function writeUnrecorded(state: KeyState, written: Stored): void {
  const before = state.stored
  const isNewest = before === undefined || written.eventAt >= before.eventAt
  if (isNewest) state.stored = written
  const rows = written.pushed
    ? [written, ...(before && !isNewest && !before.pushed ? [before] : [])]
    : isNewest && before?.pushed
      ? [written]
      : []
  for (const row of rows) if (!state.newestRow || row.eventAt >= state.newestRow.eventAt) state.newestRow = row
  state.recorded = state.newestRow?.pushed ? state.newestRow : undefined
}

export function fromStore(feature: ModelFeature, stored: Stored, now: number, maxAge: number | null): Expected {
  return served(feature, stored, judge(feature, stored, now, maxAge), 'online', now)
}

/** @param stored What was stored when the read began. */
export function fromComputation(
  feature: ModelFeature,
  stored: Stored | undefined,
  outcome: Outcome,
  at: { readonly asOf: number; readonly now: number; readonly maxAge: number | null },
): Expected {
  if (outcome.kind === 'value') {
    return { value: outcome.value, status: 'fresh', servedFrom: 'computed', ageMs: age(at.asOf, at.now), eventAt: at.asOf }
  }
  if (outcome.kind === 'missing') return standIn(feature)
  if (stored && stored.value !== undefined && judge(feature, stored, at.now, at.maxAge) !== 'expired') {
    return served(feature, stored, 'stale', 'last_good', at.now)
  }
  if (feature.default !== undefined) return standIn(feature)
  return { value: undefined, status: 'error', servedFrom: null, ageMs: null, eventAt: null }
}

export function standIn(feature: ModelFeature): Expected {
  if (feature.default === undefined) return { value: undefined, status: 'missing', servedFrom: null, ageMs: null, eventAt: null }
  return { value: feature.default, status: 'default', servedFrom: 'default', ageMs: null, eventAt: null }
}

function served(feature: ModelFeature, stored: Stored, status: string, servedFrom: string, now: number): Expected {
  if (stored.value === undefined) return standIn(feature)
  return { value: stored.value, status, servedFrom, ageMs: age(stored.eventAt, now), eventAt: stored.eventAt }
}

function age(eventAt: number, now: number): number {
  return Math.max(0, Math.floor((now - eventAt) / 1000))
}
