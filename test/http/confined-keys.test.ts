import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { readEvents, type Served, serveFolder } from '../support/ui-project.ts'

/** What confined keys may see has "open" in its name; what has "hidden" in it, they may not know of. */
const FEATURES = `import { entity, feature, featureSet, source } from 'fabra'
export const OpenUser = entity('OpenUser', { key: 'user_id' })
export const HiddenShop = entity('HiddenShop', { key: 'shop_id' })
export const hidden_events = source('hidden_events', { timestamp: 'created_at', columns: { user_id: 'string', amount: 'float', created_at: 'timestamp' } })

export const open_score = feature({ entity: OpenUser, type: 'float' })
export const open_sum = feature({
  entity: OpenUser,
  refresh: '1h',
  type: 'float',
  sql: "SELECT COALESCE(SUM(amount), 0) FROM hidden_events WHERE user_id = $user_id",
})
export const hidden_part = feature({ entity: OpenUser, refresh: '1h', type: 'float' }, async () => {
  throw new Error('hidden words')
})
/** Made of what is not seen, which fails. */
export const open_whole = feature({ entity: OpenUser, refresh: '1h', type: 'float' }, async (_, { get }) => await get(hidden_part))
export const hidden_score = feature({ entity: OpenUser, type: 'float' })
export const hidden_size = feature({ entity: HiddenShop, type: 'int' })
export const open_set = featureSet('open_set', [open_score, open_sum])
export const hidden_set = featureSet('hidden_set', [open_score, hidden_score])
`

const SCOPES = 'read+train+write+admin'
const KEYS = {
  all: SCOPES,
  by_feature: `${SCOPES};features=open_score+open_sum+open_whole`,
  by_entity: `${SCOPES};entities=HiddenShop`,
  by_both: `${SCOPES};features=open_score+hidden_size;entities=OpenUser`,
  ended: `${SCOPES};until=2020-01-01T00:00:00Z`,
}
const hashOf = (name: string) => createHash('sha256').update(`fab_${name}`).digest('hex')

let folder: ProjectFolder
let served: Served
beforeAll(async () => {
  folder = projectFolder({ 'features.ts': FEATURES })
  const keys = Object.entries(KEYS).map(([name, may]) => `${hashOf(name)}:${may}`)
  served = await serveFolder(folder, { FABRA_API_KEYS: keys.join(',') })
})
afterAll(async () => {
  await served.app.close()
  folder[Symbol.dispose]()
})

interface Answer {
  readonly status: number
  readonly text: string
}

async function ask(key: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await served.ask(path, {
    method,
    headers: { 'x-api-key': `fab_${key}`, 'content-type': 'application/json' },
    ...(body === undefined || method === 'GET' ? {} : { body: JSON.stringify(body) }),
  })
  if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
    await response.body?.cancel()
    return { status: response.status, text: '' }
  }
  return { status: response.status, text: await response.text() }
}

const withoutId = (text: string) => text.replace(/"request_id":"[^"]*"/, '')

/** A body that fits wherever a name stands in it. */
const bodies = (name: string, entity: string): Readonly<Record<string, unknown>> => ({
  '/v1/features': { features: [name], rows: [{ user_id: 'u1' }] },
  '/v1/training-sets': { features: [name], rows: [{ user_id: 'u1', event_timestamp: '2026-01-01T00:00:00Z' }], format: 'jsonl' },
  '/v1/features/{name}/values': { rows: [{ user_id: 'u1', value: 1, event_timestamp: '2026-01-01T00:00:00Z' }] },
  '/v1/features/{name}/refresh': { rows: [{ user_id: 'u1' }] },
  '/v1/sources/{name}/rows': { rows: [{ user_id: 'u1' }] },
  [entity]: undefined,
})

test('of what a key may not see no route knows anything, nor tells that it is there', async () => {
  // What happened before is in statistics, runs, live traffic and samples.
  await ask('all', 'POST', '/v1/features', { feature_set: 'hidden_set', rows: [{ user_id: 'u1' }] })
  await ask('all', 'GET', '/v1/features/hidden_part?entity_id=u1')
  await ask('all', 'POST', '/v1/features/hidden_part/refresh', { rows: [{ user_id: 'u1' }] })
  await ask('all', 'POST', '/v1/features/open_whole/refresh', { rows: [{ user_id: 'u1' }] })
  const { paths } = JSON.parse((await ask('all', 'GET', '/openapi.json')).text) as { paths: Record<string, Record<string, unknown>> }
  let answered = 0
  for (const [pattern, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) {
      const call = (name: string, entity: string) => {
        const path = pattern.replace('{name}', name).replace('{entity}', entity).replace('{id}', 'u1')
        const query = pattern.endsWith('{name}') || pattern.endsWith('/history') ? '?entity_id=u1' : ''
        return ask('by_feature', method.toUpperCase(), path + query, bodies(name, entity)[pattern])
      }
      const [seen, hidden, nothing] = [
        await call('open_score', 'OpenUser'),
        await call('hidden_score', 'HiddenShop'),
        await call('absent_score', 'AbsentShop'),
      ]
      expect([pattern, method, seen.text.match(/hidden/i)]).toEqual([pattern, method, null])
      expect([pattern, method, hidden.status]).toEqual([pattern, method, nothing.status])
      // An answer of another time has other times in it; errors are the same to the letter.
      if (hidden.status >= 400) {
        const known = withoutId(hidden.text).replaceAll('hidden_score', 'absent_score').replaceAll('HiddenShop', 'AbsentShop')
        expect([pattern, method, known]).toEqual([pattern, method, withoutId(nothing.text)])
      }
      if (seen.status < 300) answered++
    }
  }
  // Else nothing was compared.
  expect(answered).toBeGreaterThan(15)
}, 180_000)

test('a key for one entity is told nothing of the features of others, on any route', async () => {
  const { paths } = JSON.parse((await ask('all', 'GET', '/openapi.json')).text) as { paths: Record<string, Record<string, unknown>> }
  for (const key of ['by_entity', 'by_both']) {
    const [name, entity, others] =
      key === 'by_entity' ? ['hidden_size', 'HiddenShop', /open_|OpenUser/] : (['open_score', 'OpenUser', /hidden|open_sum/i] as const)
    for (const [pattern, methods] of Object.entries(paths))
      for (const method of Object.keys(methods)) {
        const path = pattern.replace('{name}', String(name)).replace('{entity}', String(entity)).replace('{id}', 'u1')
        const query = pattern.endsWith('{name}') || pattern.endsWith('/history') ? '?entity_id=u1' : ''
        // It tells the list itself.
        if (pattern === '/v1/me') continue
        const { text } = await ask(key, method.toUpperCase(), path + query, bodies(String(name), String(entity))[pattern])
        expect([key, pattern, method, text.match(others)]).toEqual([key, pattern, method, null])
      }
  }
}, 180_000)

test.each([
  ['GET', '/v1/overview'],
  ['GET', '/v1/changes'],
  ['GET', '/v1/storage'],
  ['GET', '/v1/lineage'],
  ['GET', '/v1/sources'],
  ['GET', '/metrics'],
  ['GET', '/v1/features/open_score/definition'],
  ['DELETE', '/v1/entities/OpenUser/u1'],
  ['POST', '/v1/sources/hidden_events/rows'],
])('%s %s tells or changes more than some features, and is closed to confined keys', async (method, path) => {
  const refused = await ask('by_feature', method, path, method === 'POST' ? { rows: [] } : undefined)
  expect([refused.status, JSON.parse(refused.text).error.code]).toEqual([403, 'forbidden'])
  expect(refused.text).not.toMatch(/hidden/i)
})

test('the catalogue, an entity and its history are made of what is allowed', async () => {
  const names = async (key: string) =>
    JSON.parse((await ask(key, 'GET', '/v1/features')).text).features.map((one: { name: string }) => one.name)
  expect(await names('by_feature')).toEqual(['open_score', 'open_sum', 'open_whole'])
  expect(await names('by_entity')).toEqual(['hidden_size'])
  expect(await names('by_both')).toEqual(['open_score'])
  const sets = JSON.parse((await ask('by_feature', 'GET', '/v1/feature-sets')).text).feature_sets
  expect(sets.map((one: { name: string }) => one.name)).toEqual(['open_set'])
  const page = JSON.parse((await ask('by_feature', 'GET', '/v1/entities/OpenUser/u1?history=7d')).text)
  expect(page.features.map((one: { feature: string }) => one.feature)).toEqual(['open_score', 'open_sum', 'open_whole'])
  expect(JSON.stringify(page)).not.toMatch(/hidden/i)
  expect(JSON.parse((await ask('by_entity', 'GET', '/v1/me')).text).key.sees).toEqual({ features: null, entities: ['HiddenShop'] })
})

test.each([
  [{ features: ['open_score', 'hidden_score'], rows: [{ user_id: 'u1' }] }],
  [{ feature_set: 'hidden_set', rows: [{ user_id: 'u1' }] }],
  [{ features: ['hidden_size', 'open_score'], rows: [{ user_id: 'u1', shop_id: 's1' }] }],
])('a batch with one feature that may not be seen is answered for none: %j', async (body) => {
  expect((await ask('by_feature', 'POST', '/v1/features', body)).status).toBe(404)
  expect((await ask('all', 'POST', '/v1/features', body)).status).toBe(200)
})

test('a training set is made of what is allowed, from labels that are sent along; those of others are not known', async () => {
  const rows = [{ user_id: 'u1', event_timestamp: '2026-01-01T00:00:00Z' }]
  const make = (key: string, body: object) => ask(key, 'POST', '/v1/training-sets', { format: 'jsonl', ...body })
  expect((await make('by_feature', { features: ['open_sum'], rows })).status).toBe(200)
  expect((await make('by_feature', { features: ['open_sum', 'hidden_score'], rows })).status).toBe(404)
  expect((await make('by_feature', { features: ['hidden_set'], rows, explain: true })).status).toBe(404)
  const refused = await make('by_feature', {
    features: ['open_sum'],
    labels_sql: 'SELECT user_id, created_at AS event_timestamp FROM hidden_events',
  })
  expect([refused.status, JSON.parse(refused.text).error.code]).toEqual([403, 'forbidden'])
  expect((await make('all', { features: ['hidden_score'], rows })).status).toBe(200)
  const listed = await ask('by_feature', 'GET', '/v1/training-sets')
  expect(new Set(JSON.parse(listed.text).training_sets.flatMap((set: { features: string[] }) => set.features))).toContain('open_sum')
  expect(listed.text).not.toMatch(/hidden/i)
  for (const { id } of JSON.parse((await ask('all', 'GET', '/v1/training-sets')).text).training_sets)
    expect((await ask('by_feature', 'GET', `/v1/training-sets/${id}`)).text).not.toMatch(/hidden/i)
})

test('what a feature is made of is not named when it fails, in requests or runs', async () => {
  const whole = await ask('by_feature', 'GET', '/v1/features/open_whole?entity_id=u1')
  expect(JSON.parse((await ask('all', 'GET', '/v1/features/open_whole?entity_id=u1')).text).error.code).toBe(
    JSON.parse(whole.text).error.code,
  )
  expect(whole.text).not.toMatch(/hidden/i)
  const batch = await ask('by_feature', 'POST', '/v1/features', { features: ['open_whole'], rows: [{ user_id: 'u1' }] })
  expect(JSON.parse(batch.text).errors).toHaveLength(1)
  expect(batch.text).not.toMatch(/hidden/i)
  const runs = await ask('by_feature', 'GET', '/v1/runs')
  expect(JSON.parse(runs.text).runs.map((run: { feature: string }) => run.feature)).toContain('open_whole')
  expect(runs.text).not.toMatch(/hidden/i)
})

test('live traffic is told of what is allowed', async () => {
  const response = await served.ask('/v1/events', { headers: { 'x-api-key': 'fab_by_feature' } })
  await ask('all', 'GET', '/v1/features/hidden_score?entity_id=u7')
  await ask('all', 'GET', '/v1/features/nothing_hidden?entity_id=u7')
  await ask('all', 'POST', '/v1/features', { features: ['open_score', 'hidden_score'], rows: [{ user_id: 'u8' }] })
  await ask('all', 'POST', '/v1/features/hidden_part/refresh', { rows: [{ user_id: 'u1' }] })
  await ask('all', 'GET', '/v1/features/open_score?entity_id=u9')
  const events = await readEvents(response, ({ kind, data }) => kind === 'requests' && data.requests.length > 0)
  const requests = events.flatMap(({ kind, data }) => (kind === 'requests' ? data.requests : []))
  expect(requests.map((one: { asked_for: string[] }) => one.asked_for)).toEqual([['open_score']])
  expect(JSON.stringify(events)).not.toMatch(/hidden/i)
}, 30_000)

test('a key that has ended is refused like one that never was', async () => {
  const [ended, unknown] = [await ask('ended', 'GET', '/v1/me'), await ask('never', 'GET', '/v1/me')]
  expect([ended.status, withoutId(ended.text)]).toEqual([401, withoutId(unknown.text)])
})
