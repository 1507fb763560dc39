/** FABRA_ROWS_KEEP as a user meets it: definitions that need older rows are refused, and so are answers that would lack them. */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { InvalidDefinitions } from '../../src/definition/problems.ts'
import { formatTime } from '../../src/definition/time.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbRowsRemoval } from '../../src/store/duckdb/sources/rows-removal.ts'
import { projectFolder } from '../support/project-folder.ts'
import { source } from '../support/stored-definitions.ts'
import { type Served, serveFolder } from '../support/ui-project.ts'

setDefaultTimeout(120_000)

const DAY = 86_400_000_000
const NOW = Math.floor(Date.now() / 1_000) * 1_000_000
const HEAD = `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const clicks = source('clicks', { timestamp: 'at_time', columns: { user_id: 'VARCHAR', at_time: 'TIMESTAMPTZ' } })
const options = { entity: User, refresh: '5m', type: 'int', timeout: '20s' } as const
export const week = feature({ ...options, sql: \`SELECT COUNT(*) FROM clicks WHERE user_id = $user_id AND at_time > NOW() - INTERVAL '7 days'\` })
export const twice = feature({ entity: User, refresh: 0, type: 'int', timeout: '20s' }, async (_, { get }) => 2 * ((await get(week)) ?? 0))
`
const EVER = 'export const ever = feature({ ...options, sql: `SELECT COUNT(*) FROM clicks WHERE user_id = $user_id` })\n'

const folder = projectFolder({ 'features.ts': HEAD })
afterAll(() => folder[Symbol.dispose]())

const train = async (served: Served, feature: string, daysAgo: readonly number[]) => {
  const rows = daysAgo.map((days) => ({ user_id: 'u1', event_timestamp: formatTime(NOW - days * DAY) }))
  const response = await served.ask('/v1/training-sets?format=jsonl', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ features: [feature], rows, format: 'jsonl' }),
  })
  const text = await response.text()
  if (!response.ok) return [response.status, (JSON.parse(text) as { error: { code: string } }).error.code]
  return text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as Record<string, unknown>)[feature])
}

test('definitions and answers that need rows which leave are refused, and all others are what they were', async () => {
  const keep = { FABRA_ROWS_KEEP: '30d' }
  const first = await serveFolder(folder, keep)
  const rows = Array.from({ length: 60 }, (_, i) => ({ user_id: 'u1', at_time: formatTime(NOW - i * DAY - 3_600_000_000) }))
  const appended = await first.ask('/v1/sources/clicks/rows', { method: 'POST', body: JSON.stringify({ rows }) })
  expect(appended.status).toBe(200)
  expect(await train(first, 'week', [0, 20, 40])).toEqual([7, 7, 7])
  folder.write({ 'features.ts': HEAD + EVER })
  await first.app.close()
  const refused: unknown = await serveFolder(folder, keep).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(InvalidDefinitions)
  const [problem, ...others] = (refused as InvalidDefinitions).problems
  expect([others, problem?.subject, problem?.location?.line]).toEqual([[], 'feature "ever"', 7])

  const file = join(folder.path, '.fabra/fabra.duckdb')
  const database = await openDatabase({ file })
  const declared = source('clicks', { timestamp: 'at_time', columns: { user_id: 'VARCHAR', at_time: 'TIMESTAMPTZ' } })
  expect((await createDuckdbRowsRemoval(database).removeLot(declared, NOW - 30 * DAY, 0, null)).removed).toBe(30)
  await database.close()

  // Without the setting now: what left is missing all the same.
  const second = await serveFolder(folder)
  expect(await train(second, 'week', [0, 20, 22])).toEqual([7, 7, 7])
  expect(await train(second, 'twice', [0, 20])).toEqual([14, 14])
  expect(await train(second, 'week', [0, 24])).toEqual([409, 'history_removed'])
  expect(await train(second, 'ever', [0, 1])).toEqual([409, 'history_removed'])
  // Its function asks for such a value.
  expect(await train(second, 'twice', [0, 24])).toEqual([502, 'feature_failed'])
  expect((await second.get<{ value: unknown }>('/v1/features/week?entity_id=u1')).value).toBe(7)
  await second.app.close()
})
