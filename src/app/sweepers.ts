/** What lets things go that would else grow for ever, and tells of what does. */
import type { Clock, Micros } from '../clock.ts'
import type { KeepSettings } from '../config/keep-settings.ts'
import type { Feature, Registry } from '../definition/model.ts'
import type { Logger } from '../observability/logger.ts'
import { openArchive } from './archive/open-archive.ts'
import { createGrowthWarning } from './growth-warning.ts'
import { createIdleValues } from './idle-values.ts'
import { createOldHistory } from './old-history.ts'
import { createOldRows } from './old-rows.ts'
import { createSmallerFile } from './smaller-file.ts'
import { createStorageLook } from './storage.ts'
import type { Stores } from './stores.ts'
import type { Sweeper } from './sweeper.ts'

export interface SweepersOptions extends Omit<KeepSettings, 'historyMode' | 'historySample' | 'historyKeep'> {
  /** Of computed values; null: for ever. */
  readonly historyKeep: Micros | null
  readonly stores: Stores
  readonly registry: () => Registry
  readonly clock: Clock
  readonly log: Logger
}

export function createSweepers({
  stores,
  registry,
  historyKeep,
  rowsKeep,
  archiveDir,
  objectStore,
  storageWarn,
  clock,
  log,
}: SweepersOptions): readonly Sweeper[] {
  const { historyRemoval, leases, onlineSweep, activeKeys } = stores
  const features = () => registry().features.values()
  const archive = archiveDir === null ? null : openArchive(archiveDir, { objectStore, marks: stores.archiveMarks, log })
  const keyOf = ({ entity }: Feature) => registry().entities.get(entity)?.key ?? []
  const oldHistory = createOldHistory({ removal: historyRemoval, archive, keyOf, leases, features, keep: historyKeep, clock, log })
  const storage = createStorageLook({
    // What it would save is not asked.
    couldSample: () => ({ features: new Set(), share: 1 }),
    offline: stores.offlineFigures,
    online: null,
    historyIn: stores.historyIn,
    registry,
    keep: historyKeep,
    rows: { growth: null, rowsKeep },
    now: clock.now,
  })
  const growth = createGrowthWarning({ storage, limitBytes: storageWarn, leases, clock, log })
  const sweepers = [oldHistory, growth]
  const sources = () => registry().sources.values()
  if (rowsKeep !== null) sweepers.push(createOldRows({ removal: stores.rowsRemoval, archive, leases, sources, keep: rowsKeep, clock, log }))
  if (stores.shrinking !== null) sweepers.push(createSmallerFile({ shrinking: stores.shrinking, sources, leases, log }))
  if (onlineSweep !== null && activeKeys !== null)
    sweepers.push(createIdleValues({ online: onlineSweep, activeKeys, leases, features: () => registry().features, clock, log }))
  return sweepers
}
