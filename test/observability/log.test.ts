/** What of the log is left out, and the access log: by a server that is asked. */
import { expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { readConfig } from '../../src/config/config.ts'
import { createLogger, type Logger } from '../../src/observability/logger.ts'
import { listeningApp } from '../support/listening-app.ts'
import { HEAD } from '../support/project-folder.ts'

function writer(mostAlike: number) {
  const lines: Record<string, unknown>[] = []
  let ms = 0
  const log: Logger = createLogger({
    level: 'debug',
    format: 'json',
    color: false,
    write: (line) => void lines.push(JSON.parse(line)),
    time: () => '',
    mostAlike,
    nowMs: () => ms,
  })
  const pass = (by: number) => {
    ms += by
  }
  return { log, lines, pass }
}

test('of many lines of one kind some are written, and then how many there were', () => {
  const { log, lines, pass } = writer(3)
  for (let i = 0; i < 10; i++) log.warn('Redis is away.', { code: 'store_unavailable', i })
  log.warn('Redis is away.', { code: 'another' })
  log.error('Redis is away.', { code: 'store_unavailable' })
  for (let i = 0; i < 5; i++) log.debug('step', { i })
  expect(lines.map(({ level, i, code, like }) => [level, like ?? i ?? code])).toEqual([
    ['warn', 0],
    ['warn', 1],
    ['warn', 2],
    ['warn', 'Redis is away.'],
    ['warn', 'another'],
    ['error', 'store_unavailable'],
    ...[0, 1, 2, 3, 4].map((i) => ['debug', i]),
  ])
  pass(10_000)
  log.warn('Redis is away.', { code: 'store_unavailable', i: 10 })
  expect(lines.slice(-2)).toMatchObject([{ level: 'warn', like: 'Redis is away.', lines: 7 }, { i: 10 }])
})

test('texts that are another each time fill nothing up, and 0 leaves out nothing', () => {
  const { log, lines } = writer(1)
  for (let i = 0; i < 3_000; i++) log.info(`number ${i}`)
  expect(lines.length).toBe(3_000)
  const all = writer(0)
  for (let i = 0; i < 500; i++) all.log.info('the same')
  expect(all.lines.length).toBe(500)
})

const KEY = { 'x-api-key': 'fab_secretOfTheKey' }
const FABRA_API_KEYS = `${createHash('sha256').update('fab_secretOfTheKey').digest('hex')}:read+write`

test('each request is a line with its route, who asked and its id, and neither ids nor values', async () => {
  const files = {
    'features.ts': `${HEAD}export const score = feature({ entity: User, type: 'float', default: 1234567 })`,
    'events.csv': 'user_id,created_at\n',
  }
  await using app = await listeningApp(files, { FABRA_API_KEYS, FABRA_ACCESS_LOG: 'on' })
  const ask = async (path: string, headers: Record<string, string>) => {
    const response = await app.ask(path, { headers, redirect: 'manual' })
    await response.text()
    return response.headers.get('x-request-id')
  }
  expect(await ask('/v1/features/score?entity_id=idOfAPerson', { ...KEY, 'x-request-id': 'mine-1' })).toBe('mine-1')
  const own = await ask('/v1/features/score?entity_id=idOfAPerson', KEY)
  const refused = await ask('/v1/features/score?entity_id=idOfAPerson', {})
  await ask('/', {})
  await ask('/nothing/idOfAPerson', KEY)
  await ask('/health', {})
  const lines = app.said.filter(({ message }) => message === 'request').map(({ fields }) => fields)
  const key = expect.stringMatching(/^env:/)
  const ms = expect.any(Number)
  expect(lines).toEqual([
    { method: 'GET', route: '/v1/features/:name', status: 200, ms, request_id: 'mine-1', key },
    { method: 'GET', route: '/v1/features/:name', status: 200, ms, request_id: own, key },
    { method: 'GET', route: '/v1/features/:name', status: 401, ms, request_id: refused, key: null },
    { method: 'GET', route: '/', status: expect.any(Number), ms, request_id: expect.any(String), key: null },
    { method: 'GET', route: null, status: 404, ms, request_id: expect.any(String), key },
  ])
  expect(JSON.stringify(app.said)).not.toMatch(/idOfAPerson|1234567|secretOfTheKey/)
})

test('is off unless it is asked for, and may be of some requests alone', () => {
  const read = (env: Record<string, string>) => readConfig(env, { cwd: '/srv', terminal: false })
  expect([read({}).accessLog, read({ FABRA_ACCESS_LOG: 'on' }).accessLog, read({ FABRA_ACCESS_LOG: '0.01' }).accessLog]).toEqual([
    0, 1, 0.01,
  ])
  expect(() => read({ FABRA_ACCESS_LOG: '2' })).toThrow('FABRA_ACCESS_LOG="2"')
})
