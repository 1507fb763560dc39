/** What lets things go that would else grow for ever. */
import type { Clock, Micros } from '../clock.ts'
import type { Registry } from '../definition/model.ts'
import type { Logger } from '../observability/logger.ts'
import { createIdleValues } from './idle-values.ts'
import { createOldHistory } from './old-history.ts'
import type { Stores } from './stores.ts'
import type { Sweeper } from './sweeper.ts'

export interface SweepersOptions {
  readonly stores: Stores
  readonly registry: () => Registry
  readonly historyKeep: Micros | null
  readonly clock: Clock
  readonly log: Logger
}

export function createSweepers({ stores, registry, historyKeep, clock, log }: SweepersOptions): readonly Sweeper[] {
  const { historyRemoval, leases, onlineSweep, activeKeys } = stores
  const features = () => registry().features.values()
  const oldHistory = createOldHistory({ removal: historyRemoval, leases, features, keep: historyKeep, clock, log })
  if (onlineSweep === null || activeKeys === null) return [oldHistory]
  return [oldHistory, createIdleValues({ online: onlineSweep, activeKeys, leases, features: () => registry().features, clock, log })]
}
