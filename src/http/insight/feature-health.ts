/** How a feature is: the worst that it shows, why, and how old it is beside what is usual. */
import type { Clock, Micros } from '../../clock.ts'
import { isPushed, isRealtime, isScheduled } from '../../definition/feature-traits.ts'
import type { Feature } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import type { FiguresView } from '../../observability/figures-elsewhere.ts'
import { FIELD, share } from '../../observability/read-figures.ts'
import { WINDOWS_MS } from '../../observability/step-series.ts'
import type { FeatureRuns } from '../../refresh/run-figures.ts'
import type { Run } from '../../refresh/runs.ts'
import type { PlannedFeature } from '../../serving/plan.ts'
import type { Serving } from '../../serving/serving.ts'
import type { Reason, Refreshed, State } from '../wire.ts'
import { driftOf } from './drift.ts'
import { type Insight, placeOf } from './insight.ts'
import { whyFailed } from './runs-json.ts'

const [HOUR_MS = 0, DAY_MS = 0] = WINDOWS_MS
/** Fewer values or requests say nothing about what is usual. */
const ENOUGH = 50
/** Shares of nulls that differ by less are alike. */
const NULLS_APART = 0.1
const SLOWER_BY = 3
/** Faster is nobody's concern. */
const SLOW_MS = 5
/** Of values served, in the last minutes: more of them wrong, and the feature is. */
const FAILING_SHARE = 0.05
const FAILED_SHARE = 0.5
/** A run under way is given so much of what is usual, and at least a minute, before it hangs. */
const HANGS_AFTER = 3
const HANGS_MS = 60_000
/** Pushes may be late by half of what is usual, and by two minutes. */
const PUSHES_LATE_BY = 1.5
const PUSHES_LATE_MS = 120_000

export interface FeatureHealth {
  readonly feature: Feature
  readonly state: State
  /** Worst first. */
  readonly reasons: readonly Reason[]
  readonly refreshed: Refreshed
  readonly figures: FiguresView | undefined
}

export interface HealthOptions {
  readonly serving: () => Serving
  readonly insight: Insight
  readonly clock: Clock
  /** What functions and engines said of a failure may be told: it may hold data of the user's. */
  readonly tellsText: boolean
}

export function healthOfAll(options: HealthOptions): readonly FeatureHealth[] {
  options.insight.statistics?.fold()
  return [...options.serving().planned.values()].map((planned) => healthOf(planned, options))
}

export function healthOf(planned: PlannedFeature, { insight, clock, tellsText }: Omit<HealthOptions, 'serving'>): FeatureHealth {
  const { feature } = planned
  const now = clock.now()
  const look: Look = {
    planned,
    insight,
    tellsText,
    now,
    runs: insight.runs.of(feature.name),
    figures: insight.statistics?.of(feature.name),
    at: isPushed(feature) ? insight.changes.lastPushAt(feature.name) : insight.runs.of(feature.name).refreshedAt,
  }
  const reasons = [failing(look), late(look), pushesStopped(look), nulls(look), slow(look), drifted(look)].filter(
    (reason) => reason !== null,
  )
  return { feature, state: stateOf(look, reasons), reasons, refreshed: refreshedOf(look), figures: look.figures }
}

interface Look {
  readonly planned: PlannedFeature
  readonly insight: Insight
  readonly tellsText: boolean
  readonly now: Micros
  readonly runs: FeatureRuns
  readonly figures: FiguresView | undefined
  /** Of the last refresh or push. */
  readonly at: Micros | null
}

function stateOf({ planned: { feature }, at, runs, figures }: Look, reasons: readonly Reason[]): State {
  const has = (code: Reason['code']) => reasons.some((reason) => reason.code === code)
  if (has('failing') && ((runs.last !== null && isTotal(runs.last)) || (errorShare(figures) ?? 0) > FAILED_SHARE)) return 'error'
  if (has('late') || has('pushes_stopped')) return 'stale'
  if (isRealtime(feature) || at !== null || (figures?.total(HOUR_MS)[FIELD.looked] ?? 0) > 0) return 'fresh'
  return feature.defaults === null ? 'missing' : 'default'
}

function isTotal({ failed, keys, error }: { readonly failed: number; readonly keys: number; readonly error: string | null }): boolean {
  return (failed > 0 && failed >= keys) || (keys === 0 && error !== null)
}

function failing({ planned: { feature }, insight: { facts }, tellsText, runs, figures, now }: Look): Reason | null {
  const { last, failures, failingSince } = runs
  if (failures > 0 && last) {
    const inRow = failures > 1 ? `, ${failures} runs in a row` : ''
    const count = last.failed > 0 ? `${last.failed} of ${last.keys} keys failed` : 'The run failed'
    return {
      code: 'failing',
      message: `${count}${inRow}: ${whyHere(last, tellsText)}`,
      now: failures,
      usual: 0,
      unit: 'runs',
      since: failingSince === null ? null : formatTime(failingSince),
      place: placeOf(facts, last.fault?.place ?? feature.location),
      error_code: last.fault?.code ?? null,
    }
  }
  const wrong = errorShare(figures)
  if (wrong === null || wrong < FAILING_SHARE) return null
  const message = `${percent(wrong)} of the values served lately were errors.`
  const since = firstMinute(figures, now, FIELD.error)
  const place = placeOf(facts, feature.location)
  return { code: 'failing', message, now: wrong, usual: 0, unit: 'share', since, place, error_code: null }
}

/** The feature is named where its reasons are told. */
function whyHere(run: Run, tellsText: boolean): string {
  const why = whyFailed(run, tellsText)?.replace(/^feature "[^"]*" failed for (?=key )/, '') ?? 'the log has the reason.'
  const isTold = tellsText && run.fault?.detail != null
  return isTold ? why : why.replace(/^(key .*)\.$/s, '$1; the log has the reason.')
}

/** Of values served in this minute and the one before. */
function errorShare(figures: FiguresView | undefined): number | null {
  const rows = figures?.over(HOUR_MS).rows.slice(-2) ?? []
  const sum = (field: number) => rows.reduce((total, row) => total + (row?.[field] ?? 0), 0)
  return share(sum(FIELD.error), sum(FIELD.reads))
}

/** Beginning of the minutes in which there was any, up to now. */
function firstMinute(figures: FiguresView | undefined, now: Micros, field: number): string | null {
  if (!figures) return null
  const { rows, fromMs, stepMs } = figures.over(HOUR_MS)
  let first = rows.length
  while (first > 0 && (rows[first - 1]?.[field] ?? 0) > 0) first--
  return formatTime(Math.min(now, (fromMs + first * stepMs) * 1000))
}

function late({ planned: { feature, rule, entity }, insight, runs, at, now }: Look): Reason | null {
  if (!isScheduled(feature) || at === null) return null
  const { running, usualMs } = runs
  const runningMs = running === null ? null : (now - running.startedAt) / 1000
  // Its values are on their way.
  if (runningMs !== null && runningMs <= Math.max(HANGS_MS, (usualMs ?? 0) * HANGS_AFTER)) return null
  // Nobody reads it, so nothing has to be fresh.
  if (entity.keys === null && insight.keysInUse(feature) === 0) return null
  const until = rule.freshUntil(at)
  if (now <= until) return null
  const ageMs = (now - at) / 1000
  const interval = intervalMs(feature, at, insight)
  return {
    code: 'late',
    message: `Last refreshed ${words(ageMs)} ago${interval === null ? '' : `, due every ${words(interval)}`}${runningMs === null ? '' : `; a run is under way since ${words(runningMs)}`}.`,
    now: ageMs,
    usual: interval,
    unit: 'ms',
    since: formatTime(until),
    place: placeOf(insight.facts, feature.location),
    error_code: null,
  }
}

function pushesStopped({ planned: { feature, rule }, insight, at, now }: Look): Reason | null {
  if (!isPushed(feature) || at === null) return null
  const usual = insight.changes.usualPushMs(feature.name)
  const ageMs = (now - at) / 1000
  const isOld = rule.maxStaleness !== null && now - at > rule.maxStaleness
  const isLate = usual !== null && ageMs > Math.max(usual * PUSHES_LATE_BY, usual + PUSHES_LATE_MS)
  if (!isOld && !isLate) return null
  const allowed = isLate ? usual : (rule.maxStaleness ?? 0) / 1000
  return {
    code: 'pushes_stopped',
    message: `The last push came ${words(ageMs)} ago; ${isLate ? `usually one comes every ${words(allowed)}` : `values are served for ${words(allowed)}`}.`,
    now: ageMs,
    usual: allowed,
    unit: 'ms',
    since: formatTime(at + Math.round(allowed * 1000)),
    place: placeOf(insight.facts, feature.location),
    error_code: null,
  }
}

function nulls({ planned: { feature }, insight: { facts }, figures, now }: Look): Reason | null {
  if (!figures) return null
  const [hour, day] = [figures.total(HOUR_MS), figures.total(DAY_MS)]
  const looked = (day[FIELD.looked] ?? 0) - (hour[FIELD.looked] ?? 0)
  if ((hour[FIELD.looked] ?? 0) < ENOUGH || looked < ENOUGH) return null
  const present = share(hour[FIELD.nulls] ?? 0, hour[FIELD.looked] ?? 0) ?? 0
  const usual = ((day[FIELD.nulls] ?? 0) - (hour[FIELD.nulls] ?? 0)) / looked
  if (present < usual + NULLS_APART) return null
  const since = firstMinute(figures, now, FIELD.nulls)
  const message = `${percent(present)} of the values served are null, usually ${percent(usual)}.`
  return { code: 'nulls', message, now: present, usual, unit: 'share', since, place: placeOf(facts, feature.location), error_code: null }
}

function slow({ planned: { feature }, insight: { facts }, figures }: Look): Reason | null {
  if (!figures) return null
  const recent = figures.recentLatency()
  const present = recent.quantile(0.99)
  const day = figures.total(DAY_MS)
  const usual = day[FIELD.latencyP99] ?? Number.NaN
  const earlier = (day[FIELD.timed] ?? 0) - recent.total
  if (present === null || recent.total < ENOUGH || earlier < ENOUGH || Number.isNaN(usual)) return null
  if (present < SLOW_MS || present < usual * SLOWER_BY) return null
  const message = `99 % of requests for it take up to ${present.toFixed(1)} ms, usually ${usual.toFixed(1)} ms.`
  return { code: 'slow', message, now: present, usual, unit: 'ms', since: null, place: placeOf(facts, feature.location), error_code: null }
}

function drifted({ planned: { feature }, insight, figures }: Look): Reason | null {
  const found = figures && driftOf(feature.name, figures, insight.trainingSets())
  if (!found) return null
  const { column, psi, from, set } = found
  const of = column === feature.name ? 'Its values are' : `${column} is`
  return {
    code: 'drifted',
    message: `${of} spread otherwise than in the training set of ${formatTime(set.finishedAt ?? set.beganAt)
      .slice(0, 16)
      .replace('T', ' ')} (PSI ${psi.toFixed(2)}).`,
    now: psi,
    usual: from,
    unit: 'psi',
    since: null,
    place: placeOf(insight.facts, feature.location),
    error_code: null,
  }
}

function refreshedOf({ planned: { feature }, insight, runs, at, now }: Look): Refreshed {
  const learnt = isPushed(feature) ? insight.changes.usualPushMs(feature.name) : null
  return {
    at: at === null || isRealtime(feature) ? null : formatTime(at),
    age_ms: at === null || isRealtime(feature) ? null : Math.max(0, Math.round((now - at) / 1000)),
    interval_ms: isPushed(feature) ? learnt : intervalMs(feature, at ?? now, insight),
    is_learnt: learnt !== null,
    running: runs.running && { id: runs.running.id, done: runs.running.done, keys: runs.running.keys },
  }
}

function intervalMs(feature: Feature, at: Micros, insight: Insight): number | null {
  const { refresh } = feature
  if (refresh?.kind === 'interval') return refresh.every / 1000
  if (refresh?.kind !== 'cron') return null
  const next = insight.nextDueAt(feature)
  return next === null ? null : Math.max(0, (next - at) / 1000)
}

function percent(part: number): string {
  return `${(part * 100).toFixed(part < 0.1 ? 1 : 0)} %`
}

const UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
]

/** `6m 04s`: the two largest units. */
export function words(ms: number): string {
  const seconds = Math.round(ms / 1_000) * 1_000
  const at = UNITS.findIndex(([, size]) => seconds >= size)
  const [unit, size] = UNITS[at] ?? ['s', 1_000]
  const [smaller, step] = UNITS[at + 1] ?? []
  const rest =
    smaller === undefined || step === undefined ? '' : ` ${String(Math.floor((seconds % size) / step)).padStart(2, '0')}${smaller}`
  return at < 0 ? `${Math.round(ms)}ms` : `${Math.floor(seconds / size)}${unit}${rest}`
}
