/** The data file becomes smaller again when rows have left it. */
import type { Logger } from '../observability/logger.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import type { Shrinking } from '../store/ports/shrinking.ts'
import { createSweeper, type Sweeper } from './sweeper.ts'

export interface SmallerFileOptions {
  readonly shrinking: Shrinking
  readonly leases: LeaseStore
  readonly log: Logger
}

/** What goes are bytes. */
export function createSmallerFile({ shrinking, leases, log }: SmallerFileOptions): Sweeper {
  return createSweeper({
    lease: 'smaller-file',
    leases,
    log,
    async work(lots) {
      const before = shrinking.bytes()
      await lots(() => shrinking.shrinkLot())
      const bytes = before - shrinking.bytes()
      if (bytes > 0) log.info('the data file became smaller: rows had left it', { bytes })
      return Math.max(0, bytes)
    },
  })
}
