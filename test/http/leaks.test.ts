import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import type { Logger } from '../../src/observability/logger.ts'
import { HEAD, type ProjectFolder, project } from '../runtime/project.ts'
import { PATIENT, PATIENT_REDIS } from '../support/patience.ts'

/** Stands for what must never leave: a password in a message, a table's name, a value of somebody else. */
const SECRET = 'canary7f3a'

const FEATURES = `${HEAD}
export const events = source('events', { timestamp: 'created_at', file: './events.csv' })
export const bad_sql = feature({ entity: User, refresh: '5m', type: 'int',
  sql: "SELECT CAST(user_id || '${SECRET}' AS INTEGER) FROM events WHERE user_id = $user_id" })
export const two_rows = feature({ entity: User, refresh: '5m', type: 'string',
  sql: "SELECT '${SECRET}' FROM events" })
export const throws = feature({ entity: User, refresh: '5m', type: 'int' },
  () => { throw new Error('postgres://admin:${SECRET}@db/prod', { cause: new Error('${SECRET}') }) })
export const throws_odd = feature({ entity: User, refresh: 0, type: 'int' }, () => { throw { toString: () => '${SECRET}', message: '${SECRET}' } })
export const throws_class = feature({ entity: User, refresh: 0, type: 'int' },
  () => { class ${SECRET} extends Error {}; const e = new ${SECRET}('${SECRET}'); e.name = '${SECRET}'; throw e })
export const poses = feature({ entity: User, refresh: 0, type: 'int' },
  () => { throw Object.assign(new Error('${SECRET}'), { name: 'FabraError', code: 'unknown_feature', hint: '${SECRET}', status: 200 }) })
export const bad_query = feature({ entity: User, refresh: 0, type: 'int' },
  (id, { db }) => db.fetchval("SELECT ${SECRET} FROM events WHERE user_id = $1", id))
export const bad_cast = feature({ entity: User, refresh: 0, type: 'int' },
  (id, { db }) => db.fetchval("SELECT CAST('${SECRET}' || $1 AS INTEGER) FROM events", id))
export const around = feature({ entity: User, refresh: 0, type: 'int' }, async (id, { get }) => (await get('throws')) + 1)
export const rejects = feature({ entity: User, refresh: 0, type: 'int', timeout: '200ms' },
  async () => { Promise.reject(new Error('${SECRET}')); await new Promise(() => {}) })
`

let app: App
let folder: ProjectFolder
const logged: string[] = []
beforeAll(async () => {
  folder = project({ 'features.ts': FEATURES, 'events.csv': 'user_id,created_at\nu1,2026-01-01 10:00:00\nu1,2026-01-01 11:00:00\n' })
  const log = (message: string, fields?: unknown) => void logged.push(`${message} ${Bun.inspect(fields)}`)
  const logger: Logger = { debug: log, info: log, warn: log, error: log }
  const config = readConfig({ ...PATIENT, FABRA_DATA_DIR: folder.path('.fabra') }, { cwd: folder.folder, terminal: false })
  app = await openApp({ files: [folder.path('features.ts')], config, log: logger, clockOffset: 0, redisTimes: PATIENT_REDIS })
})
afterAll(async () => {
  await app.close()
  folder[Symbol.dispose]()
})

const NAMES = ['bad_sql', 'two_rows', 'throws', 'throws_odd', 'throws_class', 'poses', 'bad_query', 'bad_cast', 'around', 'rejects']

async function ask(path: string, body?: unknown) {
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  const response = await app.fetch(new Request(`http://fabra${path}`, init))
  return { status: response.status, text: await response.text(), headers: Bun.inspect(response.headers) }
}

describe('nothing internal reaches a client', () => {
  test.each(NAMES)('a failing feature tells its name and nothing of its insides: %s', async (name) => {
    const { status, text, headers } = await ask(`/v1/features/${name}?entity_id=u1`)
    expect([name, status >= 500]).toEqual([name, true])
    expect(text).not.toContain(SECRET)
    expect(headers).not.toContain(SECRET)
    expect(text).not.toContain(folder.folder)
    expect(text).not.toMatch(/\bat \w+ \(|\.ts:\d|SELECT|CAST|LATERAL|__fabra|postgres:/)
    const { error } = JSON.parse(text)
    expect(Object.keys(error)).toEqual(['code', 'message', 'hint', 'request_id'])
    expect(error.message).toContain(name === 'around' ? 'throws' : name)
  })

  test('neither in a batch, a page of one entity, a refresh, its runs, the catalogue or the description', async () => {
    const answers = [
      await ask('/v1/features', { features: NAMES, rows: [{ user_id: 'u1' }, { user_id: 'u2' }] }),
      await ask('/v1/entities/User/u1'),
      await ask('/v1/features/throws/refresh', { rows: [{ user_id: 'u1' }] }),
      await ask('/v1/features/bad_sql/refresh', { rows: [{ user_id: 'u1' }] }),
      await ask('/v1/runs'),
      await ask('/v1/features'),
      await ask('/v1/sources'),
      await ask('/v1/entities'),
      await ask('/openapi.json'),
      await ask('/ready'),
    ]
    for (const { status, text } of answers) {
      expect(status).toBe(200)
      expect(text).not.toContain(SECRET)
      expect(text).not.toContain(folder.folder)
    }
  })

  test('the log has what the client is not told', () => {
    expect(logged.join('\n')).toContain(SECRET)
  })

  test('the server lives on', async () => {
    expect((await ask('/health')).status).toBe(200)
  })
})
