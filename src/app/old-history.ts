/**
 * Lets history go that is older than it is kept. Only what a setting names goes: rows of a feature that says `keep`, and computed rows of the others
 * where FABRA_HISTORY_KEEP is set; without either nothing ever does, nor does anything of features that are not defined any more.
 */
import type { Clock, Micros } from '../clock.ts'
import type { Feature, KeyColumn } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { Logger } from '../observability/logger.ts'
import type { HistoryRemoval, RemovalPlace, RemovalRule } from '../store/ports/history-removal.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import type { Origin } from '../store/ports/offline-store.ts'
import type { Archive } from './archive/archive.ts'
import { byMonths, letMonthsGo } from './old-months.ts'
import { createSweeper, type Sweeper } from './sweeper.ts'

const COMPUTED: readonly Origin[] = ['computed']
/** In it a source's blocks are skipped by time. */
const ORDER = ['event_timestamp', 'feature', 'entity_key', 'fingerprint', 'available_at', 'seq']
const ALL: readonly Origin[] = ['computed', 'pushed', 'backfill']

export interface OldHistoryOptions {
  readonly removal: HistoryRemoval
  /** Null, or left out: what goes is gone. */
  readonly archive?: Archive | null
  readonly keyOf?: (feature: Feature) => readonly KeyColumn[]
  readonly leases: LeaseStore
  readonly features: () => Iterable<Feature>
  /** Of features that do not say it themselves; null: their history stays. */
  readonly keep: Micros | null
  readonly clock: Clock
  readonly log: Logger
}

/** What goes are rows. */
export function createOldHistory({ removal, archive = null, keyOf, leases, features, keep, clock, log }: OldHistoryOptions): Sweeper {
  return createSweeper({
    lease: 'old-history',
    leases,
    log,
    async work(lots, signal) {
      await archive?.joinAll().catch((error: unknown) => log.warn('what an earlier process archived could not be put together', { error }))
      const now = clock.now()
      const defined = new Map([...features()].map((feature) => [feature.name, feature]))
      const takerOf = (to: Archive, name: string) => {
        const feature = defined.get(name)
        return to.taker({ kind: 'history', name }, { key: (feature && keyOf?.(feature)) ?? [], order: ORDER })
      }
      const rules = [...defined.values()].flatMap((feature) => ruleOf(feature, keep, now) ?? []).map((rule) => byMonths(rule, removal, now))
      const { months } = removal
      let all = months ? await letMonthsGo(lots, signal, { months, archive, takerOf, rules, log }) : 0
      for (const rule of rules) {
        let removed = 0
        const own = { kind: 'history', name: rule.feature } as const
        const take = archive && takerOf(archive, rule.feature)
        let place: RemovalPlace = { after: null }
        try {
          await lots(async () => {
            const lot = await removal.removeLot(rule, place, take)
            removed += lot.removed
            place = lot.next ?? place
            await archive?.join(own, 'many')
            return lot.next !== null
          })
          await archive?.join(own)
        } catch (error) {
          // The next sweep goes on.
          log.warn('recorded values that are too old could not leave history', { feature: rule.feature, error })
        }
        all += removed
        if (removed > 0)
          log.info('recorded values left history: they were older than it is kept', {
            feature: rule.feature,
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
