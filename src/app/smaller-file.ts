/** The data file becomes smaller again when rows have left it. */
import { mayLoseRows } from '../compute/sql/reach/kept-rows.ts'
import type { Source } from '../definition/model.ts'
import type { Logger } from '../observability/logger.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import type { Shrinking } from '../store/ports/shrinking.ts'
import { createSweeper, type Sweeper } from './sweeper.ts'

export interface SmallerFileOptions {
  readonly shrinking: Shrinking
  readonly sources: () => Iterable<Source>
  readonly leases: LeaseStore
  readonly log: Logger
}

/** What goes are bytes. */
export function createSmallerFile({ shrinking, sources, leases, log }: SmallerFileOptions): Sweeper {
  return createSweeper({
    lease: 'smaller-file',
    leases,
    log,
    async work(lots) {
      const before = shrinking.bytes()
      // Of rows with one id the first counts.
      const tables = [...sources()].filter((source) => mayLoseRows(source) && source.id === null).map(({ name }) => name)
      await lots(() => shrinking.shrinkLot(tables))
      const bytes = before - shrinking.bytes()
      if (bytes > 0) log.info('the data file became smaller: rows had left it', { bytes })
      return Math.max(0, bytes)
    },
  })
}
