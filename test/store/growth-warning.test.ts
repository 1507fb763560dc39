/** Whose history will be too large in a year is told of once a day, by measurement, and nobody else's is. */
import { expect, test } from 'bun:test'
import { createSweepers, type SweepersOptions } from '../../src/app/sweepers.ts'
import type { Logger } from '../../src/observability/logger.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbHistoryRemoval } from '../../src/store/duckdb/history/history-removal.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createDuckdbFigures } from '../../src/store/duckdb/storage-figures.ts'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { movableClock } from '../support/clock.ts'
import { pushedRegistry } from '../support/training-bench.ts'

const DAY = 86_400_000_000
const NOW = Date.UTC(2026, 5, 1) * 1000

test('the history of a feature that grows beyond FABRA_STORAGE_WARN is warned of once a day, with what helps', async () => {
  const database = await openDatabase({ file: ':memory:' })
  const offline = createDuckdbOfflineStore(database)
  const registry = pushedRegistry({ grows: {}, stays: {} })
  const clock = movableClock(NOW)
  const of = (feature: string, count: number, at: number) =>
    Array.from({ length: count }, (_, i) => row({ feature, entityKey: `u${i}`, eventAt: at, availableAt: at, createdAt: at, seq: at + i }))
  // So many rows, of which all came today, and none.
  await offline.append([...of('grows', 200, NOW - 1_000_000), ...of('stays', 200, NOW - 3 * DAY)], { timeoutMs: 100_000 })
  const figures = createDuckdbFigures(database)
  const { features } = await figures.recorded({ now: NOW, ages: [], sources: [] })
  const day = features.find(({ feature }) => feature === 'grows')?.bytesLastDay ?? 0
  expect(day).toBeGreaterThan(0)

  const warnings: string[] = []
  const quiet = () => undefined
  const log = { debug: quiet, info: quiet, error: quiet, warn: (text: string) => void warnings.push(text) } as unknown as Logger
  const stores = {
    ...{
      historyRemoval: createDuckdbHistoryRemoval(database),
      leases: createMemoryLeaseStore(() => 0),
      onlineSweep: null,
      activeKeys: null,
    },
    ...{ offlineFigures: figures, onlineFigures: null, historyIn: 'duckdb' },
  } as unknown as SweepersOptions['stores']
  const sweeps = async (storageWarn: number) => {
    const sweepers = createSweepers({
      stores,
      registry: () => registry,
      historyKeep: null,
      rowsKeep: null,
      archiveDir: null,
      objectStore: { endpoint: '', region: '', credentials: null },
      storageWarn,
      clock,
      log,
    })
    return { sweep: () => sweepers[1]?.sweep(), close: () => Promise.all(sweepers.map((one) => one.close())) }
  }
  const atLimit = await sweeps(200 * day + 365 * day)
  expect(await atLimit.sweep()).toBe(0)
  await atLimit.close()
  const beyond = await sweeps(300 * day)
  expect(await beyond.sweep()).toBe(1)
  expect(warnings).toEqual(['the history of "grows" will be larger in a year than FABRA_STORAGE_WARN allows'])
  clock.advance(DAY - 1)
  expect(await beyond.sweep()).toBe(0)
  clock.advance(1)
  expect(await beyond.sweep()).toBe(1)
  await beyond.close()
  await offline.close()
})
