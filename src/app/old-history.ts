/**
 * Lets history go that is older than it is kept: of all processes by one at a time, in small lots with pauses between them. Only what a setting names
 * goes: rows of a feature that says `keep`, and computed rows of the others where FABRA_HISTORY_KEEP is set; without either nothing ever does, nor
 * does anything of features that are not defined any more.
 */
import type { Clock, Micros } from '../clock.ts'
import type { Feature } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { Logger } from '../observability/logger.ts'
import { createLeaseKeeper } from '../refresh/lease-keeper.ts'
import type { HistoryRemoval, RemovalPlace, RemovalRule } from '../store/ports/history-removal.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import type { Origin } from '../store/ports/offline-store.ts'

const FIRST_AFTER_MS = 60_000
const EVERY_MS = 3_600_000
/** After each lot as long as it took, and this much: whoever writes meanwhile comes first. */
const PAUSE_MS = 20
const LEASE = 'old-history'

const COMPUTED: readonly Origin[] = ['computed']
const ALL: readonly Origin[] = ['computed', 'pushed', 'backfill']

export interface OldHistoryOptions {
  readonly removal: HistoryRemoval
  readonly leases: LeaseStore
  readonly features: () => Iterable<Feature>
  /** Of features that do not say it themselves; null: their history stays. */
  readonly keep: Micros | null
  readonly clock: Clock
  readonly log: Logger
}

export interface OldHistory {
  start(): void
  /** Lets go now what is too old. @returns how many rows went. */
  sweep(): Promise<number>
  /** No more lots; waits for the one under way, and lets others go on. */
  close(): Promise<void>
}

export function createOldHistory({ removal, features, keep, clock, log, ...own }: OldHistoryOptions): OldHistory {
  // Its own: who refreshes a feature need not be who lets its history go.
  const leases = createLeaseKeeper({ leases: own.leases, nowMs: () => performance.now(), log })
  let stopped = false
  let timer: Timer | undefined
  let running: Promise<unknown> = Promise.resolve()

  async function removeAll(rule: RemovalRule): Promise<number> {
    let removed = 0
    let place: RemovalPlace | null = { after: null }
    while (place && !stopped && (await leases.hold(LEASE))) {
      const beganAt = performance.now()
      const lot = await removal.removeLot(rule, place)
      removed += lot.removed
      place = lot.next
      if (place) await Bun.sleep(PAUSE_MS + performance.now() - beganAt)
    }
    return removed
  }

  async function sweep(): Promise<number> {
    let all = 0
    for (const feature of features()) {
      const rule = ruleOf(feature, keep, clock.now())
      if (!rule || stopped) continue
      try {
        const rows = await removeAll(rule)
        all += rows
        if (rows > 0) log.info('recorded values left history: they were older than it is kept', toldOf(rule, rows))
      } catch (error) {
        // The next sweep goes on.
        log.warn('recorded values that are too old could not leave history', { feature: feature.name, error })
      }
    }
    return all
  }

  return {
    start() {
      const wake = (afterMs: number) => {
        timer = setTimeout(() => {
          running = sweep().finally(() => {
            if (!stopped) wake(EVERY_MS)
          })
        }, afterMs)
        timer.unref()
      }
      wake(FIRST_AFTER_MS)
    },
    sweep,
    async close() {
      stopped = true
      clearTimeout(timer)
      await running
      await leases.close()
    },
  }
}

function toldOf({ feature, before }: RemovalRule, rows: number) {
  return { feature, rows, before: formatTime(before) }
}

/** Null: nothing of it goes. */
export function ruleOf(
  { name, keep, lookBack, maxStaleness, computation }: Feature,
  common: Micros | null,
  now: Micros,
): RemovalRule | null {
  if (keep !== null) return { feature: name, before: now - keep, origins: ALL }
  if (common === null || computation.kind === 'pushed') return null
  // What still counts stays, whatever holds for all.
  const kept = Math.max(common, lookBack ?? 0, maxStaleness ?? 0)
  return { feature: name, before: now - kept, origins: COMPUTED }
}
