/** Lets rows of sources go that were appended and are older than they are kept. Nothing does unless it is set, and every reader looks back less far. */
import type { Clock, Micros } from '../clock.ts'
import { mayLoseRows } from '../compute/sql/reach/kept-rows.ts'
import type { Source } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { Logger } from '../observability/logger.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import type { RowsRemoval } from '../store/ports/rows-removal.ts'
import type { Archive } from './archive/archive.ts'
import { createSweeper, type Sweeper } from './sweeper.ts'

export interface OldRowsOptions {
  readonly removal: RowsRemoval
  readonly archive: Archive | null
  readonly leases: LeaseStore
  readonly sources: () => Iterable<Source>
  readonly keep: Micros
  readonly clock: Clock
  readonly log: Logger
}

/** What goes are rows. */
export function createOldRows({ removal, archive, leases, sources, keep, clock, log }: OldRowsOptions): Sweeper {
  const reported = new Set<string>()
  return createSweeper({
    lease: 'old-rows',
    leases,
    log,
    async work(lots) {
      let all = 0
      for (const source of [...sources()].filter(mayLoseRows)) {
        const place = { kind: 'rows', name: source.name } as const
        const before = clock.now() - keep
        let removed = 0
        try {
          const why = await removal.kept(source)
          if (why !== null) {
            if (!reported.has(source.name)) log.warn(`rows stay for ever: ${why}`, { source: source.name })
            reported.add(source.name)
            continue
          }
          const take = archive?.taker(place, { key: [], order: source.timestamp === null ? [] : [source.timestamp] }) ?? null
          let from = 0
          await lots(async () => {
            const lot = await removal.removeLot(source, before, from, take)
            removed += lot.removed
            from = lot.next ?? 0
            await archive?.join(place, 'many')
            return lot.next !== null
          })
          await archive?.join(place)
        } catch (error) {
          // The next sweep goes on.
          log.warn('rows that are too old could not leave their source', { source: source.name, error })
        }
        all += removed
        if (removed > 0)
          log.info('rows left their source: they were older than they are kept', {
            source: source.name,
            rows: removed,
            before: formatTime(before),
          })
      }
      return all
    },
  })
}
