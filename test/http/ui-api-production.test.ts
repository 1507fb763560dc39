/** What the server tells of itself in production, to whom: with PostgreSQL, Redis and keys. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { openAdmin } from '../../src/app/open-stores.ts'
import type {
  Audit,
  Changes,
  Definition,
  EntityPage,
  FeatureStatistics,
  Lineage,
  Me,
  Overview,
  Runs,
  Storage,
} from '../../src/http/wire.ts'
import type { Scope } from '../../src/store/ports/admin-store.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { askRedis } from '../support/servers.ts'
import { readEvents, type Served, serveFolder, UI_EVENTS, UI_FEATURES } from '../support/ui-project.ts'
import { until } from '../support/until.ts'

const KEYS = { reader: ['read'], admin: ['read', 'write', 'admin'] } as const satisfies Record<string, readonly Scope[]>

let servers: ProductionServers
let folder: ProjectFolder
let served: Served
beforeAll(async () => {
  servers = await startProduction()
  folder = projectFolder({ 'features.ts': UI_FEATURES, 'events.csv': UI_EVENTS })
  const addresses = await servers.fresh()
  const admin = await openAdmin(addresses.FABRA_POSTGRES_URL)
  for (const [name, scopes] of Object.entries(KEYS)) {
    const hash = createHash('sha256').update(`fab_${name}`).digest('hex')
    const made = { id: hash.slice(0, 12), name: `${name} of the test`, hash, scopes, createdAt: Date.now() * 1000 }
    await admin?.store.addApiKey({ ...made, allowed: null, rate: null, expiresAt: null, revokedAt: null, lastUsedAt: null })
  }
  await admin?.close()
  served = await serveFolder(folder, { FABRA_ENV: 'production', FABRA_HOST: '127.0.0.1', ...addresses })
  await until('the server to be warm', 60_000, async () => ((await served.ask('/ready')).ok ? true : undefined))
  const post = (path: string, body: unknown) =>
    served.ask(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'x-api-key': 'fab_admin', 'content-type': 'application/json' },
    })
  for (const user of ['u1', 'u2', 'u3']) await served.get(`/v1/features/spend?entity_id=${user}`, 'fab_reader')
  await post('/v1/features', { feature_set: 'risk', rows: [{ user_id: 'u1' }] })
  await post('/v1/features/score/values', { rows: [{ user_id: 'u1', value: 'high' }] })
  await post('/v1/features/spend/refresh', { rows: [{ user_id: 'u1' }] })
})
afterAll(async () => {
  await served.app.close()
  folder[Symbol.dispose]()
  await servers[Symbol.asyncDispose]()
})

test('a key is told its name and its scopes, and nobody without one is told anything', async () => {
  expect(await served.get<Me>('/v1/me', 'fab_reader')).toMatchObject({
    key: { name: 'reader of the test', scopes: ['read'] },
    scopes: ['read'],
    mode: 'production',
  })
  for (const path of ['/v1/me', '/v1/overview', '/v1/storage', '/v1/changes', '/v1/lineage', '/v1/events', '/v1/features/spend/definition'])
    expect([path, (await served.ask(path)).status]).toEqual([path, 401])
})

test('figures are there for readers, who asks for them only for those who administer', async () => {
  const [seen, all] = [await served.get<Overview>('/v1/overview', 'fab_reader'), await served.get<Overview>('/v1/overview', 'fab_admin')]
  expect(seen.traffic?.callers).toBeNull()
  expect(seen.traffic?.states?.fresh).toBeGreaterThanOrEqual(4)
  expect(all.traffic?.callers?.map(({ key }) => key).sort()).toEqual(['admin of the test', 'reader of the test'])
  expect(seen.stores.map(({ technology, state }) => [technology, state]).sort()).toEqual([
    ['postgres', 'ok'],
    ['redis', 'ok'],
  ])
  const statistics = await served.get<FeatureStatistics>('/v1/features/spend/statistics', 'fab_reader')
  expect(statistics.reads?.columns[0]?.quantiles).toMatchObject({ min: 6, max: 30 })
})

test('a Redis that is nearly full is told before it refuses writes', async () => {
  const limit = (bytes: string) => askRedis(servers.redis, 'CONFIG', 'SET', 'maxmemory', bytes)
  const reported = () =>
    Promise.all([
      served.get<Record<string, unknown>>('/ready', 'fab_reader'),
      served.ask('/metrics', { headers: { 'x-api-key': 'fab_reader' } }),
    ]).then(async ([ready, metrics]) => ({
      ready,
      share: Number(/^fabra_online_store_memory_share (\S+)$/m.exec(await metrics.text())?.[1]),
    }))
  // Large beside what connections come and go with.
  await askRedis(servers.redis, 'SETRANGE', 'filler', '50000000', 'x')
  const used = Number(/^used_memory:(\d+)/m.exec(String(await askRedis(servers.redis, 'INFO', 'memory')))?.[1])
  await limit(String(Math.round(used / 0.6)))
  expect(await until('the share to be known', 30_000, async () => ((await reported()).share > 0 ? reported() : undefined))).toMatchObject({
    ready: { status: 'ready', stores: { redis: 'ok' } },
  })
  await limit(String(Math.round(used / 0.9)))
  const { ready } = await until('the warning', 30_000, async () => ((await reported()).share > 0.8 ? reported() : undefined))
  expect(ready).toMatchObject({ status: 'ready', stores: { redis: expect.stringMatching(/^ok, but \d+ % of its maxmemory is used/) } })
  await limit('0')
  await askRedis(servers.redis, 'DEL', 'filler')
  await until('it to be over', 30_000, async () => (Number.isNaN((await reported()).share) ? true : undefined))
})

test('what is stored is told by store, table and feature, with what settings would save', async () => {
  // Recorded a moment after it was computed; a look is kept for a while.
  const { stores, tables, features, savings, is_estimate } = await served.get<Storage>('/v1/storage', 'fab_reader')
  expect(stores.map(({ technology }) => technology)).toEqual(['postgres', 'redis'])
  expect(stores[1]).toMatchObject({ bytes: expect.any(Number), keys: expect.any(Number), max_bytes: null })
  expect(tables.map(({ name, kind }) => [name, kind])).toContainEqual(['events', 'source'])
  expect(features.find(({ feature }) => feature === 'score')).toMatchObject({ is_defined: true, rows: 1, rows_a_day: 1, keep_ms: null })
  expect(features.find(({ feature }) => feature === 'spend')?.online_bytes).toBeGreaterThan(0)
  expect(savings.map(({ setting }) => setting)).toEqual(['30d', '90d', '400d'].map((keep) => `FABRA_HISTORY_KEEP=${keep}`))
  expect(is_estimate).toBe(false)
})

test('what is recorded is exported by those who administer, and there is no data file to copy', async () => {
  const path = join(folder.path, 'score.parquet')
  const exported = (key: string) => served.ask('/v1/history?feature=score', { headers: { 'x-api-key': key } })
  expect((await exported('fab_reader')).status).toBe(403)
  await Bun.write(path, await exported('fab_admin'))
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const read = await connection.runAndReadAll(`SELECT user_id, entity_key, value, origin, seq > 0 FROM read_parquet('${path}')`)
  expect(read.getRows()).toEqual([['u1', 'u1', '"high"', 'pushed', true]])
  connection.closeSync()
  expect((await served.ask('/v1/backup', { headers: { 'x-api-key': 'fab_admin' } })).status).toBe(404)
})

test('texts of definitions and names of keys are for those who administer', async () => {
  const [seen, all] = await Promise.all(
    ['fab_reader', 'fab_admin'].map((key) =>
      until('the definition to be noted', 30_000, async () => {
        const definition = await served.get<Definition>('/v1/features/spend/definition', key)
        return definition.versions.length > 0 ? definition : undefined
      }),
    ),
  )
  expect(seen).toMatchObject({ text: null, sql: null, version_number: 1, versions: [{ text: null }] })
  expect(all?.text?.lines.join('\n')).toContain('FROM events')
  const kinds = (key: string) =>
    served
      .get<Changes>('/v1/changes', key)
      .then(({ changes }) => changes.filter(({ kind }) => kind === 'key').map(({ subject }) => subject))
  expect(await kinds('fab_reader')).toEqual([null, null])
  expect((await kinds('fab_admin')).sort()).toEqual(['admin of the test', 'reader of the test'])
  const readers = async (key: string) => (await served.get<Lineage>('/v1/lineage', key)).edges.filter(({ to }) => to.startsWith('key:'))
  expect(await readers('fab_reader')).toEqual([])
  expect((await readers('fab_admin')).map(({ from, to }) => `${from} ${to}`)).toContain('feature:spend key:reader of the test')
})

test('live traffic shows ids and names only to those who administer', async () => {
  const watch = async (key: string) => {
    const response = await served.ask('/v1/events?kinds=requests', { headers: { 'x-api-key': key } })
    await served.get('/v1/features/spend?entity_id=u3', 'fab_reader')
    const events = await readEvents(response, ({ kind, data }) => kind === 'requests' && data.requests.length > 0)
    return events.flatMap(({ kind, data }) => (kind === 'requests' ? data.requests : []))[0]
  }
  expect(await watch('fab_reader')).toMatchObject({ key: null, entity: null, asked_for: ['spend'], states: { fresh: 1 } })
  expect(await watch('fab_admin')).toMatchObject({ key: 'reader of the test', entity: { entity: 'User', key: { user_id: 'u3' } } })
})

test('the page of a key is read from PostgreSQL, in the past too', async () => {
  const page = await served.get<EntityPage>('/v1/entities/User/u1?history=7d', 'fab_reader')
  expect(page.last_reads).toBeNull()
  expect(page.sources).toMatchObject([{ source: 'events', rows: 2 }])
  const score = page.features.find(({ feature }) => feature === 'score')
  expect(score).toMatchObject({ value: 'high', history: [{ value: 'high' }], before: null })
  const { last_reads: reads } = await served.get<EntityPage>('/v1/entities/User/u1?history=7d', 'fab_admin')
  expect(reads?.map(({ key }) => key)).toContain('reader of the test')
  const past = await served.get<EntityPage>('/v1/entities/User/u1?as_of=2026-01-01T12:00:00Z', 'fab_reader')
  const spend = past.features.find(({ feature }) => feature === 'spend')
  expect(spend).toMatchObject({ value: { total: 2.5, times: 1 }, status: 'fresh', method: 'recompute' })
})

test('runs are told to readers, and begun by those who may write', async () => {
  const { runs } = await served.get<Runs>('/v1/runs?feature=spend', 'fab_reader')
  // A window of the schedule may have begun meanwhile.
  expect(runs.find(({ reason }) => reason === 'request')).toMatchObject({ state: 'done', keys: 1, done: 1 })
  const refused = await served.ask('/v1/features/spend/refresh', { method: 'POST', headers: { 'x-api-key': 'fab_reader' } })
  expect(refused.status).toBe(403)
})

test('what a function threw is told to those who administer, and to others that it failed', async () => {
  const body = JSON.stringify({ rows: [{ user_id: 'u1' }] })
  await served.ask('/v1/features/broken/refresh', { method: 'POST', body, headers: { 'x-api-key': 'fab_admin' } })
  const errorsSeen = async (key: string) => {
    const { runs } = await served.get<Runs>('/v1/runs?feature=broken', key)
    const { attention } = await served.get<Overview>('/v1/overview', key)
    return [runs[0]?.error, attention.find(({ feature }) => feature === 'broken')?.reason.message]
  }
  const failed = 'feature "broken" failed for key "u1"'
  expect(await errorsSeen('fab_reader')).toEqual([`${failed}.`, '1 of 1 keys failed: key "u1"; the log has the reason.'])
  const thrown = 'Error: nothing is known of u1'
  expect(await errorsSeen('fab_admin')).toEqual([`${failed}: ${thrown}`, `1 of 1 keys failed: key "u1": ${thrown}`])
})

test('who pushed is told by the name of the key, to those who administer', async () => {
  const { entries } = await served.get<Audit>('/v1/audit?action=values.push', 'fab_admin')
  const id = createHash('sha256').update('fab_admin').digest('hex').slice(0, 12)
  expect(entries).toMatchObject([{ subject: 'score', by: { kind: 'key', name: 'admin of the test', id }, rows: 1, result: 'ok' }])
  const { entries: steps } = await served.get<Audit>('/v1/audit?action=schema.migrate', 'fab_admin')
  expect(steps).toMatchObject([{ by: { kind: 'user', name: expect.any(String) }, detail: { steps: expect.stringContaining('audit') } }])
  expect((await served.ask('/v1/audit', { headers: { 'x-api-key': 'fab_reader' } })).status).toBe(403)
})
