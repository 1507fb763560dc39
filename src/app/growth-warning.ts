/** Says in the log, before a disk is full, which feature's history is on the way to be too large. */
import type { Clock, Micros } from '../clock.ts'
import type { Storage } from '../http/wire.ts'
import type { Logger } from '../observability/logger.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import { createSweeper, type Sweeper } from './sweeper.ts'

/** Who has been told waits so long to be told again. */
const TOLD_FOR: Micros = 86_400_000_000

export interface GrowthWarningOptions {
  readonly storage: () => Promise<Storage>
  /** Of one feature, in a year. */
  readonly limitBytes: number
  readonly leases: LeaseStore
  readonly clock: Clock
  readonly log: Logger
}

/** What it counts are the features that it told of. */
export function createGrowthWarning({ storage, limitBytes, leases, clock, log }: GrowthWarningOptions): Sweeper {
  const toldAt = new Map<string, Micros>()
  return createSweeper({
    lease: 'growth-warning',
    leases,
    log,
    async work(lots) {
      let count = 0
      await lots(async () => {
        for (const { feature, bytes, bytes_a_day, bytes_in_a_year } of (await storage()).features) {
          if (bytes_in_a_year <= limitBytes || clock.now() - (toldAt.get(feature) ?? Number.NEGATIVE_INFINITY) < TOLD_FOR) continue
          toldAt.set(feature, clock.now())
          count++
          log.warn(`the history of "${feature}" will be larger in a year than FABRA_STORAGE_WARN allows`, {
            ...{ feature, bytes, bytes_a_day, bytes_in_a_year },
            hint: `Give the feature keep: '90d' or history: 'off', set FABRA_HISTORY_KEEP, or refresh it less often. See: fabra doctor --growth`,
          })
        }
        return false
      })
      return count
    },
  })
}
