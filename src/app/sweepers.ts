/** What lets things go that would else grow for ever, and tells of what does. */
import type { Clock, Micros } from '../clock.ts'
import type { Registry } from '../definition/model.ts'
import type { Logger } from '../observability/logger.ts'
import { createGrowthWarning } from './growth-warning.ts'
import { createIdleValues } from './idle-values.ts'
import { createOldHistory } from './old-history.ts'
import { createStorageLook } from './storage.ts'
import type { Stores } from './stores.ts'
import type { Sweeper } from './sweeper.ts'

export interface SweepersOptions {
  readonly stores: Stores
  readonly registry: () => Registry
  readonly historyKeep: Micros | null
  /** Bytes of one feature's history in a year. */
  readonly storageWarn: number
  readonly clock: Clock
  readonly log: Logger
}

export function createSweepers({ stores, registry, historyKeep, storageWarn, clock, log }: SweepersOptions): readonly Sweeper[] {
  const { historyRemoval, leases, onlineSweep, activeKeys } = stores
  const features = () => registry().features.values()
  const oldHistory = createOldHistory({ removal: historyRemoval, leases, features, keep: historyKeep, clock, log })
  const storage = createStorageLook({
    // What it would save is not asked.
    couldSample: () => ({ features: new Set(), share: 1 }),
    offline: stores.offlineFigures,
    online: null,
    historyIn: stores.historyIn,
    registry,
    keep: historyKeep,
    now: clock.now,
  })
  const growth = createGrowthWarning({ storage, limitBytes: storageWarn, leases, clock, log })
  if (onlineSweep === null || activeKeys === null) return [oldHistory, growth]
  return [
    oldHistory,
    growth,
    createIdleValues({ online: onlineSweep, activeKeys, leases, features: () => registry().features, clock, log }),
  ]
}
