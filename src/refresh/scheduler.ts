/**
 * When computed features are computed again.
 *
 * A tick (at most 5 s and a quarter of the smallest refresh, and short enough that a value is computed again within its allowed lag) looks
 * at every scheduled feature. Its time is cut into windows, counted in UTC and shifted a little per feature so that they do not all start at
 * once; a feature whose keys in use were computed before the current window began is due. Due features run in the order in which they
 * became due. One run of a feature goes at a time, windows missed meanwhile are not made up for, and keys that failed are tried again with
 * a growing pause until the next window.
 */
import type { Clock, Micros } from '../clock.ts'
import { backoff } from '../collections/backoff.ts'
import type { List } from '../collections/chunked-list.ts'
import { createSemaphore } from '../collections/semaphore.ts'
import { inSteps } from '../collections/yielding.ts'
import type { ListedKeys, Skipped } from '../compute/sql/key-lister.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import type { Logger } from '../observability/logger.ts'
import type { ActiveKeys } from './active-keys.ts'
import { hasFailed, type Run } from './runs.ts'
import type { Schedule } from './schedule.ts'

const LONGEST_TICK_MS = 5_000
const SHORTEST_TICK_MS = 250
const FIRST_RETRY: Micros = 1_000_000
const LONGEST_SHIFT: Micros = 10_000_000
/** Runs of different features at once. */
const MAX_RUNS_AT_ONCE = 2

export interface SchedulerOptions {
  readonly features: () => Iterable<Feature>
  /** Compute what is due of these keys: those computed before a time. */
  readonly refresh: (feature: Feature, keys: List<EntityKey>, before: Micros, skipped: Skipped) => Promise<Run>
  readonly activeKeys: ActiveKeys
  /** Whether this process refreshes the feature, and not another. Asked at every tick, until it does. */
  readonly mayRefresh: (feature: Feature) => Promise<boolean>
  /** Learn which keys other processes use. */
  readonly pull: (feature: Feature) => Promise<void>
  /** All keys of an entity that lists them (`keys: "SELECT …"`); undefined when it does not. */
  readonly listedKeys: (entity: string) => Promise<ListedKeys | undefined>
  /** Keys could not be listed: there is no run, but it is to be seen that there should be one. */
  readonly onUnlisted: (feature: Feature, error: unknown) => void
  readonly schedule: Schedule
  readonly clock: Clock
  readonly log: Logger
}

export interface Scheduler {
  start(): void
  /** Look once at what is due. Resolves when the runs it started have ended. */
  tick(): Promise<void>
  /** No new runs; waits for those under way. */
  stop(): Promise<void>
}

interface Progress {
  /** Start of the last window that was run. */
  window: Micros
  running: Promise<void> | null
  failures: number
  retryAt: Micros
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { activeKeys, listedKeys, schedule, clock, log } = options
  const progress = new Map<string, Progress>()
  let timer: Timer | undefined
  let stopped = false
  const turns = createSemaphore(MAX_RUNS_AT_ONCE)

  function progressOf(feature: Feature): Progress {
    const id = fieldOf(feature)
    let known = progress.get(id)
    if (!known) {
      known = { window: Number.NEGATIVE_INFINITY, running: null, failures: 0, retryAt: 0 }
      progress.set(id, known)
    }
    return known
  }

  async function tick(): Promise<void> {
    const now = clock.now()
    const started: Promise<void>[] = []
    for (const feature of options.features()) {
      const state = progressOf(feature)
      const window = windowStart(feature, now, state.window, schedule)
      if (stopped || window === null || state.running) continue
      const retry = state.failures > 0 && now >= state.retryAt
      if (window <= state.window && !retry) continue
      state.running = turns
        .pass(() => refresh(feature, state))
        .finally(() => {
          state.running = null
        })
      started.push(state.running)
    }
    await Promise.all(started)
  }

  async function refresh(feature: Feature, state: Progress): Promise<void> {
    // Its turn may come after the end.
    if (stopped || !(await options.mayRefresh(feature))) return
    const window = windowStart(feature, clock.now(), state.window, schedule)
    if (window === null) return
    state.window = window
    try {
      await options.pull(feature)
      const { keys, skipped } = await keysOf(feature)
      if (keys.length === 0 && skipped.count === 0) return
      const run = await options.refresh(feature, keys, window, skipped)
      if (hasFailed(run)) pause(feature, state)
      else state.failures = 0
    } catch (error) {
      log.warn(`refresh of "${feature.name}" could not start`, { error })
      pause(feature, state)
    }
  }

  function pause(feature: Feature, state: Progress): void {
    const longest = feature.refresh?.kind === 'interval' ? feature.refresh.every : 3_600_000_000
    state.failures++
    state.retryAt = clock.now() + backoff(state.failures, { first: FIRST_RETRY, longest })
  }

  /** Keys in use, and all that the entity lists; keys gone from the list are let go. */
  async function keysOf(feature: Feature): Promise<ListedKeys> {
    const active = await activeKeys.of(feature)
    const listed = await list(feature)
    if (!listed) return { keys: active, skipped: { count: 0, why: null } }
    if (active.length === 0) return listed
    const gone = new Map(Array.from(active, (key) => [key.encoded, key]))
    await inSteps(listed.keys, (key) => {
      gone.delete(key.encoded)
    })
    for (const key of gone.values()) activeKeys.drop(feature, key)
    return listed
  }

  async function list(feature: Feature): Promise<ListedKeys | undefined> {
    try {
      return await listedKeys(feature.entity)
    } catch (error) {
      options.onUnlisted(feature, error)
      throw error
    }
  }

  return {
    start() {
      const wake = () => {
        timer = setTimeout(() => {
          tick().catch((error) => log.error('the refresh tick failed', { error }))
          if (!stopped) wake()
        }, tickMs(options.features()))
        timer.unref()
      }
      wake()
    },
    tick,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await Promise.all([...progress.values()].map((state) => state.running))
    },
  }
}

/** Start of the window that `now` is in; null for features that are not scheduled. */
function windowStart(feature: Feature, now: Micros, last: Micros, schedule: Schedule): Micros | null {
  const { refresh } = feature
  if (refresh === null || refresh.kind === 'realtime') return null
  if (refresh.kind === 'interval') {
    const shift = shiftOf(feature, refresh.every)
    return Math.floor((now - shift) / refresh.every) * refresh.every + shift
  }
  if (last === Number.NEGATIVE_INFINITY) return lastFiring(refresh.pattern, now, schedule)
  const next = schedule.nextFiring(refresh.pattern, last)
  return next <= now ? lastFiring(refresh.pattern, now, schedule) : last
}

/** When a feature is taken up next; null: it is not scheduled. */
export function nextDueAt(feature: Feature, now: Micros, schedule: Schedule): Micros | null {
  const { refresh } = feature
  if (refresh === null || refresh.kind === 'realtime') return null
  if (refresh.kind === 'cron') {
    const next = schedule.nextFiring(refresh.pattern, now)
    return Number.isFinite(next) ? next : null
  }
  return (windowStart(feature, now, Number.NEGATIVE_INFINITY, schedule) ?? now) + refresh.every
}

/** Latest firing at or before a time, found by looking back ever further; a year without one: none. */
function lastFiring(pattern: string, now: Micros, schedule: Schedule): Micros | null {
  for (let back = 60_000_000; back <= 400 * 86_400_000_000; back *= 4) {
    let firing = schedule.nextFiring(pattern, now - back)
    if (firing > now) continue
    for (let next = schedule.nextFiring(pattern, firing); next <= now; next = schedule.nextFiring(pattern, firing)) firing = next
    return firing
  }
  return null
}

/** A feature's own place in its interval: the same on every replica, different between features, within the allowed lag. */
function shiftOf(feature: Feature, every: Micros): Micros {
  const fraction = Number.parseInt(feature.fingerprint.slice(0, 8), 16) / 0x1_0000_0000
  return Math.floor((Number.isFinite(fraction) ? fraction : 0) * Math.min(every / 20, LONGEST_SHIFT))
}

/** Milliseconds between two looks at what is due. */
export function tickMs(features: Iterable<Feature>): number {
  let smallest = Number.POSITIVE_INFINITY
  for (const { refresh } of features) if (refresh?.kind === 'interval') smallest = Math.min(smallest, refresh.every / 1000)
  const halfLag = Math.max(1_000, smallest / 10) / 2
  return Math.max(SHORTEST_TICK_MS, Math.min(LONGEST_TICK_MS, smallest / 4, halfLag))
}
