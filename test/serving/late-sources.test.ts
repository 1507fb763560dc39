import { afterAll, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { createLateSources } from '../../src/app/late-sources.ts'
import type { LiveDefinitions, LiveDefinitionsDependencies } from '../../src/app/live-definitions.ts'
import { readConfig } from '../../src/config/config.ts'
import { entityKey } from '../../src/definition/entity-key.ts'
import { InvalidDefinitions } from '../../src/definition/problems.ts'
import { FabraError } from '../../src/errors.ts'
import { onceLoaded } from '../../src/http/loading-route.ts'
import type { Call, Route } from '../../src/http/route.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import type { Serving } from '../../src/serving/serving.ts'
import type { LoadWatch, SourceEngine } from '../../src/store/ports/source-engine.ts'
import { registryOf } from '../support/bench.ts'
import { PATIENT } from '../support/patience.ts'
import { projectFolder } from '../support/project-folder.ts'

const ROWS = 20_000

interface Answer {
  readonly feature?: string
  readonly value?: unknown
  readonly status?: string
  readonly error?: { readonly code: string }
  readonly features?: readonly { readonly name: string; readonly type: string }[]
  readonly loading?: unknown
}

const DEFINITIONS = `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'at', file: './events.csv' })
export const score = feature({ entity: User, type: 'float' })
export const doubled = feature({ entity: User, refresh: 0, type: 'int', timeout: '20s' }, (id) => id.length * 2)
export const visits = feature({ entity: User, refresh: '1h', timeout: '20s', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const paid = feature({ entity: User, refresh: 0, type: 'float', timeout: '20s' }, async (id, { db, get }) =>
  (await get('visits')) + (await db.fetchval('SELECT MAX(amount) FROM events WHERE user_id = $1', id)))
`
const folder = projectFolder({ 'features.ts': DEFINITIONS, 'events.csv': events() })
afterAll(() => folder[Symbol.dispose]())

test('what needs no file is answered while it loads, and what does is right as soon as it answers', async () => {
  // A process that ends in the middle of a load leaves nothing that the next one would take for loaded.
  const ended = await open()
  const interrupted = ended.whole.then(
    () => 'whole',
    (error) => error.code,
  )
  await ended.close()
  expect(['whole', 'source_loading']).toContain(await interrupted)

  const app = await open()
  try {
    const { url } = await app.listen()
    const ask = async (path: string) => {
      const response = await fetch(`${url}${path}`)
      return { status: response.status, body: (await response.json()) as Answer }
    }
    const early = ['doubled', 'score'].map((name) => ask(`/v1/features/${name}?entity_id=u1`))
    const late = ['visits', 'paid'].map((name) => ask(`/v1/features/${name}?entity_id=u1`))
    const listed = ask('/v1/features')
    expect((await Promise.all(early)).map(({ body }) => body.value ?? body.status)).toEqual([4, 'missing'])
    for (const { status, body } of await Promise.all(late)) {
      if (status === 503) expect(body.error?.code).toBe('source_loading')
      else expect([body.value, body.status]).toEqual([body.feature === 'visits' ? 2_000 : 21_991, 'fresh'])
    }
    const { status, body } = await listed
    // Its type is what its SQL gives: nobody is told of features whose files were not there to look at.
    if (status === 200) expect(body.features?.find(({ name }) => name === 'visits')?.type).toBe('int')
    else expect(body.error?.code).toBe('source_loading')

    await app.whole
    expect((await ask('/v1/features/visits?entity_id=u1')).body.value).toBe(2_000)
    expect((await ask('/v1/features/paid?entity_id=u1')).body.value).toBe(21_991)
    expect((await ask('/ready')).body.loading).toBeUndefined()
  } finally {
    await app.close()
  }
})

test('a file that cannot be read is told of as before, with its row', async () => {
  using broken = projectFolder({ 'features.ts': DEFINITIONS, 'events.csv': 'user_id,amount,at\nu1,1,2020-01-01\nu2,2,soon\n' })
  const app = await open(broken.path)
  const error = await app.whole.catch((reason: unknown) => reason)
  await app.close()
  expect(error).toBeInstanceOf(InvalidDefinitions)
  expect(error instanceof InvalidDefinitions && error.problems.map(({ message }) => message).join()).toContain('soon')
})

test('what is wrong with definitions themselves is told before anybody is answered', async () => {
  using wrong = projectFolder({
    'features.ts': `${DEFINITIONS}export const more = feature({ entity: User, refresh: '* * wrong', type: 'int' }, () => 1)\n`,
  })
  writeFileSync(join(wrong.path, 'events.csv'), events(3))
  expect(await open(wrong.path).catch((reason: unknown) => reason)).toBeInstanceOf(InvalidDefinitions)
})

test('a feature whose file is still being loaded waits as long as its deadline allows, then tells which file it is', async () => {
  const held = holding()
  const { late, feature } = held
  const rows = [{ key: entityKey(held.entity, ['u1']), asOf: 0 }]
  const options = { signal: new AbortController().signal, timeoutMs: 40, mode: 'present', chain: [] } as const
  const [answer] = await held.executor.compute(feature, rows, options)
  expect(answer?.kind === 'error' && [answer.error.code, answer.error.message.includes('"events"')]).toEqual(['source_loading', true])
  // Nobody waits any more.
  const gone = await held.executor.compute(feature, rows, { ...options, timeoutMs: 600_000, signal: AbortSignal.abort() })
  expect(gone.at(0)?.kind).toBe('error')
  const waits = held.executor.compute(feature, rows, { ...options, timeoutMs: 600_000 })
  expect(late.progress()).toEqual({ source: 'events', done: 0, of: 1 })
  late.done(held.live)
  expect([...(await waits)]).toEqual([{ kind: 'value', texts: ['7'], oldestInputAt: null }])
  expect(late.progress()).toBeNull()
})

test('requests of all else wait for sources, and are told when they do not come', async () => {
  const { late, live } = holding()
  const route = { method: 'GET', path: '/v1/sources', scope: 'read', docs: null, answer: () => new Response('all') } satisfies Route
  const call = {} as Call
  const answers = (one: Route) => Promise.resolve(one.answer(call)).then((response) => response.text())
  expect(await answers(onceLoaded({ ...route, early: true }, late))).toBe('all')
  expect(await answers(onceLoaded({ ...route, scope: 'open' }, late))).toBe('all')
  const waiting = answers(onceLoaded(route, late))
  const other = holding().late
  const given = answers(onceLoaded(route, other)).catch((error: unknown) => error)
  other.stop()
  expect(await given).toMatchObject({ code: 'source_loading', message: expect.stringContaining('"events" (1 of 1)') })
  late.done(live)
  expect(await waiting).toBe('all')
})

/** A load that ends when it is told to. */
function holding() {
  const registry = registryOf({ features: { visits: { refresh: '1h' } } })
  const source = { name: 'events', file: '/data/events.csv' }
  const given = { ...registry, sources: new Map([['events', source]]) } as unknown as typeof registry
  const watches: LoadWatch[] = []
  const engine = { load: async (_: unknown, watch: LoadWatch) => void watches.push(watch) } as unknown as SourceEngine
  const late = createLateSources(given, engine, silentLogger)
  void late.engine.load([])
  watches[0]?.began('events', 10)
  const feature = [...registry.features.values()][0]
  const entity = [...registry.entities.values()][0]
  if (!feature || !entity) throw new Error('The bench has no feature.')
  const ofSql = { ...feature, computation: { kind: 'sql', sql: 'SELECT 7' } } as const
  const computed = { kind: 'value', texts: ['7'], oldestInputAt: null } as const
  const live = { training: { executor: { compute: async () => [computed] } }, serving: { registry } } as unknown as LiveDefinitions
  const parts = { log: silentLogger } as unknown as LiveDefinitionsDependencies
  const serving = (): Serving => {
    throw new FabraError('internal', 'No function runs here.')
  }
  return { late, feature: ofSql, entity, live, executor: late.executorOf(parts, late.definitions, serving) }
}

function open(path = folder.path): Promise<App> {
  const config = readConfig({ ...PATIENT, FABRA_PORT: '0', FABRA_DATA_DIR: join(path, '.fabra') }, { cwd: path, terminal: false })
  return openApp({ files: [join(path, 'features.ts')], config, log: silentLogger, clockOffset: 0, loadsBehind: true })
}

/** Ten users. */
function events(count = ROWS): string {
  const rows = Array.from({ length: count }, (_, i) => `u${i % 10},${i},2020-01-01 00:00:${String(i % 60).padStart(2, '0')}\n`)
  return `user_id,amount,at\n${rows.join('')}`
}
