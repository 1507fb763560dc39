/** The laptop's file, copied while it is served and written, and put back. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../support/command.ts'
import { EVENTS, HEAD, type ProjectFolder, projectFolder, VISITS } from '../support/project-folder.ts'
import { type Served, serveFolder } from '../support/ui-project.ts'

setDefaultTimeout(120_000)

let folder: ProjectFolder
beforeAll(() => {
  const score = "export const score = feature({ entity: User, type: 'int' })\n"
  folder = projectFolder({ 'features.ts': HEAD + VISITS + score, 'events.csv': EVENTS })
})
afterAll(() => folder[Symbol.dispose]())

const fabra = (...args: string[]) => runCommand(args, { cwd: folder.path, env: {} })

const push = async (served: Served, user: string, value: number) => {
  const body = JSON.stringify({ rows: [{ user_id: user, value }] })
  expect((await served.ask('/v1/features/score/values', { method: 'POST', body })).status).toBe(200)
}
const scoreOf = async (served: Served, user: string) => (await served.get<{ value: unknown }>(`/v1/features/score?entity_id=${user}`)).value

test('is whole, of one moment, and comes back with what was there moved aside', async () => {
  const first = await serveFolder(folder)
  for (let i = 0; i < 20; i++) await push(first, `u${i}`, i)
  // Written on while it is copied: what was acknowledged before is in it.
  let isCopying = true
  const writing = (async () => {
    for (let i = 0; isCopying; i++) await push(first, `later${i}`, i)
  })()
  const made = await fabra('backup', 'monday.duckdb', '--json')
  isCopying = false
  await writing
  if (made.exitCode !== 0) throw new Error(made.stdout + made.stderr)
  const path = join(folder.path, 'monday.duckdb')
  expect([made.exitCode, made.stderr, JSON.parse(made.stdout)]).toEqual([0, '', { output: path, bytes: statSync(path).size }])
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(await fabra('backup', 'monday.duckdb')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is there already') })

  await push(first, 'u1', 111)
  await push(first, 'u99', 99)
  const exported = await fabra('export', 'history', '--feature', 'score', '-o', 'score.parquet')
  expect([exported.exitCode, exported.stderr]).toEqual([0, ''])
  expect((await fabra('export', 'history', '--before', '2001-01-01T00:00:00Z', '-o', 'old.parquet')).exitCode).toBe(0)
  expect((await fabra('export', 'rows', '--source', 'events', '--before', '2100-01-01T00:00:00Z', '-o', '.')).exitCode).toBe(0)
  expect(existsSync(join(folder.path, 'events-before-2100-01-01T000000Z.parquet'))).toBe(true)
  expect((await fabra('export', 'history', '-o', 'gs://bucket/rows')).stderr).toContain('written to folders and to s3:// alone')
  expect((await fabra('export', 'history', '-o', 's3://bucket/rows')).stderr).toContain('AWS_ACCESS_KEY_ID')
  for (const wrong of [
    ['rows', '--source', 'evnts', '-o', 'a.parquet'],
    ['rows', '--source', 'events', '--before', 'yesterday', '-o', 'a.parquet'],
    ['history', '--source', 'events', '-o', 'a.parquet'],
    ['history'],
    ['rows', '-o', 'a.parquet'],
    ['history', '-o', 'a.csv'],
    ['history', '-o', 's3://bucket/a b/'],
    ['history', '-o', 's3://bucket/'],
    ['history', '--feature', 'scroe', '-o', 'a.parquet'],
  ])
    expect([wrong, (await fabra('export', ...wrong)).exitCode]).toEqual([wrong, 2])
  expect((await first.ask('/v1/entities/User/u2', { method: 'DELETE' })).status).toBe(200)
  expect(await fabra('restore', 'monday.duckdb')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('data_dir_locked') })
  await first.app.close()

  folder.write({ 'torn.duckdb': 'no database' })
  const file = join(folder.path, '.fabra/fabra.duckdb')
  const before = statSync(file).size
  for (const wrong of ['torn.duckdb', 'missing.duckdb', 'events.csv', '.'])
    expect(await fabra('restore', wrong)).toMatchObject({
      exitCode: expect.any(Number),
      stderr: expect.stringContaining('Nothing was changed'),
    })
  expect(statSync(file).size).toBe(before)

  const restored = await fabra('restore', 'monday.duckdb')
  expect([restored.exitCode, restored.stdout]).toEqual([0, expect.stringContaining('monday.duckdb is restored: ')])
  expect(restored.stderr).toContain('forgotten after the backup was made, and in it again: User u2')
  const aside = [...restored.stdout.matchAll(/^moved aside: (.*)$/gm)].map(([, name = '']) => name)
  expect(aside.length).toBeGreaterThan(0)
  expect(aside.every((name) => existsSync(name) && name.includes('.before-restore-'))).toBe(true)

  // What was exported is a source like any other.
  folder.write({
    'features.ts': `${await Bun.file(join(folder.path, 'features.ts')).text()}
export const score_history = source('score_history', { file: './score.parquet', timestamp: 'event_timestamp', available: 'available_at' })
export const kept_events = source('kept_events', { file: './events-before-2100-01-01T000000Z.parquet', timestamp: 'created_at' })
export const kept_visits = feature({ entity: User, refresh: '5m', type: 'int', timeout: '20s', sql: 'SELECT COUNT(*) FROM kept_events WHERE user_id = $user_id' })
export const told = feature({ entity: User, refresh: '5m', type: 'int', timeout: '20s',
  sql: 'SELECT CAST(value AS BIGINT) FROM score_history WHERE user_id = $user_id ORDER BY event_timestamp DESC LIMIT 1' })
`,
  })
  const second = await serveFolder(folder)
  expect(await Promise.all(['u1', 'u99'].map((user) => second.get(`/v1/features/told?entity_id=${user}`)))).toMatchObject([
    { value: 111 },
    { value: 99 },
  ])
  const [again, visits] = await Promise.all(
    ['kept_visits', 'visits'].map((name) => second.get<{ value: unknown }>(`/v1/features/${name}?entity_id=u1`)),
  )
  expect(again?.value).toBe(visits?.value)
  expect(await Promise.all(['u1', 'u2', 'u19', 'u99'].map((user) => scoreOf(second, user)))).toEqual([1, 2, 19, null])
  await push(second, 'u1', 7)
  expect(await scoreOf(second, 'u1')).toBe(7)
  await second.app.close()
})
