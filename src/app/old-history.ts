/**
 * Lets history go that is older than it is kept. Only what a setting names goes: rows of a feature that says `keep`, and computed rows of the others
 * where FABRA_HISTORY_KEEP is set; without either nothing ever does, nor does anything of features that are not defined any more.
 */
import type { Clock, Micros } from '../clock.ts'
import type { Feature } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { Logger } from '../observability/logger.ts'
import type { HistoryRemoval, RemovalPlace, RemovalRule } from '../store/ports/history-removal.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import type { Origin } from '../store/ports/offline-store.ts'
import { createSweeper, type Sweeper } from './sweeper.ts'

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

/** What goes are rows. */
export function createOldHistory({ removal, leases, features, keep, clock, log }: OldHistoryOptions): Sweeper {
  return createSweeper({
    lease: 'old-history',
    leases,
    log,
    async work(lots) {
      let all = 0
      for (const feature of features()) {
        const rule = ruleOf(feature, keep, clock.now())
        if (!rule) continue
        let removed = 0
        let place: RemovalPlace = { after: null }
        try {
          await lots(async () => {
            const lot = await removal.removeLot(rule, place)
            removed += lot.removed
            place = lot.next ?? place
            return lot.next !== null
          })
        } catch (error) {
          // The next sweep goes on.
          log.warn('recorded values that are too old could not leave history', { feature: feature.name, error })
        }
        all += removed
        if (removed > 0)
          log.info('recorded values left history: they were older than it is kept', {
            feature: feature.name,
            rows: removed,
            before: formatTime(rule.before),
          })
      }
      return all
    },
  })
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
