/** A store that begins keeps computed values for 400 days; one of an earlier release keeps all, until it is told. */
import { expect, test } from 'bun:test'
import { byMonths } from '../../src/app/old-months.ts'
import { openRecordedKeys } from '../../src/app/recorded-keys.ts'
import { createDuckdbChangeStore } from '../../src/store/duckdb/change-store.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import type { ChangeRecord } from '../../src/store/ports/change-store.ts'
import type { HistoryRemoval } from '../../src/store/ports/history-removal.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { movableClock } from '../support/clock.ts'

const DAY = 86_400_000_000

test('how long computed values are kept is what the store began with, unless it is said', async () => {
  const clock = movableClock(Date.UTC(2026, 0, 1) * 1000)
  const store = async () => {
    const database = await openDatabase({ file: ':memory:' })
    const offline = createDuckdbOfflineStore(database)
    const changes = createDuckdbChangeStore(database)
    const keep = async (historyKeep: number | null | 'as the store began', historyMode: 'auto' | 'changes' | null = null) =>
      (await openRecordedKeys({ offline, changes }, { clock, historyMode, historySample: 0.01, historyKeep, rowsKeep: null })).keep
    return { offline, changes, keep, close: () => offline.close() }
  }
  const begun = await store()
  expect(await begun.keep(null)).toBe(null)
  await begun.offline.append([row({})])
  // It began with this release, whatever it was told then.
  for (const mode of [null, 'auto', 'changes'] as const) expect(await begun.keep('as the store began', mode)).toBe(400 * DAY)
  expect([await begun.keep(90 * DAY), await begun.keep(null)]).toEqual([90 * DAY, null])
  await begun.close()

  const changing = await store()
  expect(await changing.keep('as the store began', 'changes')).toBe(400 * DAY)
  await changing.offline.append([row({})])
  expect(await changing.keep('as the store began')).toBe(400 * DAY)
  await changing.close()

  const recorded = await store()
  await recorded.offline.append([row({})])
  expect([await recorded.keep('as the store began'), await recorded.keep(90 * DAY)]).toEqual([null, 90 * DAY])
  await recorded.close()

  // The release before noted that much of a store that it began.
  const noted = await store()
  const body = JSON.stringify({ message: 'was begun with history: auto', mode: 'auto' })
  const note: ChangeRecord = { id: 'history:-:auto:begun', at: clock.now(), kind: 'history', subject: '-', body }
  await noted.changes.addChanges([note])
  expect([await noted.keep('as the store began'), await noted.keep(90 * DAY)]).toEqual([null, 90 * DAY])
  await noted.close()
})

test('what is kept for 300 days or more leaves by whole months, where months are tables', () => {
  const now = Date.UTC(2026, 5, 15, 12) * 1_000
  const before = (days: number, months: object | undefined) => {
    const rule = { feature: 'f', before: now - days * DAY, origins: ['computed' as const] }
    return new Date(byMonths(rule, { months } as unknown as HistoryRemoval, now).before / 1_000).toISOString()
  }
  expect([before(400, {}), before(300, {})]).toEqual(['2025-05-01T00:00:00.000Z', '2025-08-01T00:00:00.000Z'])
  expect([before(299, {}), before(400, undefined)]).toEqual(['2025-08-20T12:00:00.000Z', '2025-05-11T12:00:00.000Z'])
})
