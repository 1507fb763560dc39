/** Who did what, on a laptop: one server, and a second start that still knows it. Production: ui-api-production.test.ts. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { createAuditBook } from '../../src/app/audit-log.ts'
import { run } from '../../src/cli/run.ts'
import { AUDIT_ACTIONS } from '../../src/http/openapi/audit.ts'
import type { Audit } from '../../src/http/wire.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { createDuckdbAuditStore } from '../../src/store/duckdb/audit-store.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { movableClock } from '../support/clock.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { type Served, serveFolder, UI_EVENTS, UI_FEATURES } from '../support/ui-project.ts'
import { until } from '../support/until.ts'

let folder: ProjectFolder
let served: Served
beforeAll(async () => {
  folder = projectFolder({ 'features.ts': UI_FEATURES, 'events.csv': UI_EVENTS })
  served = await serveFolder(folder)
  await until('the server to be warm', 60_000, async () => ((await served.ask('/ready')).ok ? true : undefined))
}, 120_000)
afterAll(async () => {
  await served.app.close()
  folder[Symbol.dispose]()
})

const ask = (method: string, path: string, body: unknown, id?: string) =>
  served.ask(path, {
    method,
    body: body === undefined ? null : JSON.stringify(body),
    headers: id === undefined ? {} : { 'x-request-id': id },
  })
const audit = (query = '') => served.get<Audit>(`/v1/audit?limit=1000${query}`)
const score = (id: string) => ({ rows: [{ user_id: id, value: 'valueThatIsNotTold' }] })

test('writes are told with who, what, how many rows and in which request; neither values nor ids are', async () => {
  const pushed = await ask('POST', '/v1/features/score/values', score('idOfAPerson'), 'req-1')
  expect([pushed.status, pushed.headers.get('x-request-id')]).toEqual([200, 'req-1'])
  await ask(
    'POST',
    '/v1/sources/events/rows',
    { rows: [{ user_id: 'idOfAPerson', amount: 1, created_at: '2026-01-05T10:00:00Z' }] },
    'req-2',
  )
  await ask('POST', '/v1/features/spend/refresh', { rows: [{ user_id: 'u1' }, { user_id: 'u2' }] }, 'req-3')
  await ask('DELETE', '/v1/entities/User/idOfAPerson', undefined, 'req-4')
  const refused = await ask('POST', '/v1/features/score/values', { rows: [{ user_id: 'idOfAPerson', value: 7 }] })
  const { error } = (await refused.json()) as { error: { request_id: string; code: string } }
  await ask('POST', '/v1/features/idOfAPerson/values', score('u1'), 'req-6')
  await ask('DELETE', '/v1/entities/User/u2', undefined, 'an id with a blank')

  const { entries, next, kept_days } = await audit()
  const requested = entries.filter(({ request_id: id }) => id !== null).map(({ at, detail, ...entry }) => entry)
  const by = { kind: 'anyone', name: null, id: null } as const
  const [lastForgotten, ...others] = requested
  expect(others).toEqual([
    { action: 'values.push', subject: null, by, rows: null, requests: 1, result: 'unknown_feature', request_id: 'req-6' },
    { action: 'values.push', subject: 'score', by, rows: null, requests: 1, result: error.code, request_id: error.request_id },
    { action: 'entity.forget', subject: 'User', by, rows: expect.any(Number), requests: 1, result: 'ok', request_id: 'req-4' },
    { action: 'feature.refresh', subject: 'spend', by, rows: 2, requests: 1, result: 'ok', request_id: 'req-3' },
    { action: 'rows.append', subject: 'events', by, rows: 1, requests: 1, result: 'ok', request_id: 'req-2' },
    { action: 'values.push', subject: 'score', by, rows: 1, requests: 1, result: 'ok', request_id: 'req-1' },
  ])
  expect(lastForgotten?.request_id).toMatch(/^[\da-f-]{36}$/)
  expect(entries.find(({ request_id: id }) => id === 'req-4')?.detail).toEqual({
    key_sha256: createHash('sha256').update('User\0idOfAPerson').digest('hex'),
  })
  expect([next, kept_days]).toEqual([null, 365])
  expect(JSON.stringify(entries)).not.toMatch(/idOfAPerson|valueThatIsNotTold/)
})

test('whoever takes everything away with them is told of, too', async () => {
  const taken = [await ask('GET', '/v1/backup', undefined, 'req-b'), await ask('GET', '/v1/history?feature=score', undefined, 'req-h')]
  expect(taken.map(({ status }) => status)).toEqual([200, 200])
  for (const response of taken) await response.body?.cancel()
  for (const [action, id] of [
    ['data.backup', 'req-b'],
    ['history.export', 'req-h'],
  ]) {
    expect((await audit(`&action=${action}`)).entries).toMatchObject([{ action, subject: null, result: 'ok', request_id: id }])
  }
})

test('starts and changed definitions are told, too', async () => {
  const changes = await until('the start to be told', 30_000, async () => {
    const { entries } = await audit()
    return entries.some(({ action }) => action === 'definition.change') ? entries : undefined
  })
  expect(changes.find(({ action }) => action === 'server.start')).toMatchObject({ by: { kind: 'server' }, result: 'ok', request_id: null })
  expect(changes.find(({ subject, action }) => subject === 'spend' && action === 'definition.change')?.detail).toMatchObject({ number: 1 })
})

test('who does the same all the time is told of in one line when the minute is over, or at the end', async () => {
  const database = await openDatabase({ file: ':memory:' })
  const clock = movableClock('2026-01-01T00:00:00Z')
  const book = createAuditBook({ store: createDuckdbAuditStore(database), clock, log: silentLogger })
  const by = { kind: 'key', name: 'app', id: 'abc' } as const
  const push = (requestId: string, rows: number | null) =>
    book.note({ action: 'values.push', subject: 'score', by, rows, result: rows === null ? 'invalid_input' : 'ok', requestId })
  for (let i = 0; i < 100; i++) await push(`first-${i}`, 2)
  for (let i = 0; i < 3; i++) await push(`wrong-${i}`, null)
  clock.advance('1m')
  await push('second-0', 2)
  const listed = async () => (await book.list({ limit: 1_000 })).map(({ request_id: id, requests, rows }) => [id, requests, rows])
  const lines = await listed()
  expect(lines.filter(([id]) => id === 'first-60')).toEqual([['first-60', 40, 80]])
  expect(lines.length).toBe(60 + 1 + 3 + 1)
  for (let i = 1; i < 70; i++) await push(`second-${i}`, 2)
  await book.close()
  expect((await listed()).filter(([id]) => id === 'second-60')).toEqual([['second-60', 10, 20]])
  await database.close()
})

test('a new start knows it all', async () => {
  const before = (await audit('&action=entity.forget')).entries
  await served.app.close()
  served = await serveFolder(folder)
  expect(before.length).toBe(2)
  expect((await audit('&action=entity.forget')).entries).toEqual(before)
}, 120_000)

test('pages follow one another, and parameters that are wrong are told', async () => {
  const all = (await audit()).entries
  const first = await served.get<Audit>('/v1/audit?limit=2')
  const second = await served.get<Audit>(`/v1/audit?limit=2&before=${first.next}`)
  expect([...first.entries, ...second.entries]).toEqual(all.slice(0, 4))
  const { entries } = await audit(`&action=entity.forget&since=${first.entries[0]?.at}`)
  expect(entries).toEqual([])
  for (const query of ['action=read', 'before=x', 'before=W10', 'since=yesterday', 'limit=0', 'who=me'])
    expect([query, (await served.ask(`/v1/audit?${query}`)).status]).toEqual([query, 422])
  expect(AUDIT_ACTIONS).toContain(all[0]?.action ?? 'key.create')
})

test('the command asks the running server, and names the next page', async () => {
  const [forgotten, page] = [await fabra('--action', 'entity.forget', '-n', '1'), await fabra('-n', '2', '--json')]
  expect(forgotten.stdout).toMatch(/^WHEN \(UTC\) +WHAT +OF +WHO +ROWS +RESULT +REQUEST\n\S+ \S+ +entity.forget +User +anyone +\d+ +ok/)
  const next = forgotten.stderr.split('--before ')[1]?.trim() ?? ''
  expect((await fabra('--action', 'entity.forget', '-n', '1', '--before', next)).stdout).toContain('req-4')
  expect(JSON.parse(page.stdout).entries.length).toBe(2)
})

/** A busy server may not say in time that it is there; then the command looks for the data itself, which the server holds. */
function fabra(...args: readonly string[]) {
  return until('the answer of the command', 60_000, async () => {
    const output = { stdout: '', stderr: '' }
    const say = (name: keyof typeof output) => (text: string) => {
      output[name] += text
    }
    const terminal = { stdoutIsTerminal: false, stderrIsTerminal: false, onSignal: () => undefined }
    const env = { FABRA_DATA_DIR: `${folder.path}/.fabra` }
    const code = await run(['audit-log', ...args], { stdout: say('stdout'), stderr: say('stderr'), cwd: folder.path, env, ...terminal })
    return code === 0 ? output : undefined
  })
}
