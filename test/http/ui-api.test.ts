/** What the server tells of itself on a laptop: one project, one start, and a second one to see what is kept. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type {
  Changes,
  Definition,
  EntityPage,
  FeatureList,
  FeatureStatistics,
  Lineage,
  Me,
  Overview,
  Runs,
  TrainingPreview,
  TrainingSets,
} from '../../src/http/wire.ts'
import { schemaProblems } from '../support/json-schema.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { BROKEN_LINE, readEvents, type Served, serveFolder, UI_EVENTS, UI_FEATURES } from '../support/ui-project.ts'
import { until } from '../support/until.ts'

let folder: ProjectFolder
let served: Served
beforeAll(async () => {
  folder = projectFolder({ 'features.ts': UI_FEATURES, 'events.csv': UI_EVENTS })
  served = await serveFolder(folder)
  await until('the server to be warm', 30_000, async () => ((await served.ask('/ready')).ok ? true : undefined))
  // What changed is read a moment after the start.
  await until('versions to be known', 30_000, async () => ((await featureOf('spend')).version_number === 1 ? true : undefined))
})
afterAll(async () => {
  await served.app.close()
  folder[Symbol.dispose]()
})

const post = (path: string, body: unknown) => served.ask(path, { method: 'POST', body: JSON.stringify(body) })
const featureOf = async (name: string) => {
  const { features } = await served.get<FeatureList>('/v1/features?statistics=1h')
  const found = features.find((feature) => feature.name === name)
  if (!found) throw new Error(`No ${name}.`)
  return found
}

test('who asks, and whom', async () => {
  const me = await served.get<Me>('/v1/me')
  expect(me).toMatchObject({ key: null, scopes: ['read', 'train', 'write', 'admin'], mode: 'laptop', project: 'project', statistics: true })
  expect(me.coverage).toEqual({ processes: 1, of: 1 })
})

test('before anything is read, a feature is missing or shows its default, and no figures are made up', async () => {
  expect(await featureOf('spend')).toMatchObject({ state: 'missing', reason: null, reads: null, version_number: 1 })
  expect(await featureOf('score')).toMatchObject({ state: 'default', refreshed: { at: null, interval_ms: null } })
  const { features, traffic } = await served.get<Overview>('/v1/overview')
  expect(features).toEqual({ fresh: 2, stale: 0, missing: 2, default: 1, error: 0 })
  expect(traffic?.requests_per_second).toBe(0)
  expect(traffic?.states).toBeNull()
  expect(traffic?.hour.p50_ms.every((figure) => figure === null)).toBe(true)
})

describe('after some reads', () => {
  beforeAll(async () => {
    for (const user of ['u1', 'u2', 'u3', 'u9']) await served.get(`/v1/features/spend?entity_id=${user}`)
    await post('/v1/features', { feature_set: 'risk', rows: [{ user_id: 'u1' }, { user_id: 'u2' }] })
    await served.get('/v1/features/twice?entity_id=u1')
    await served.ask('/v1/features/broken?entity_id=u1')
    await served.ask('/v1/features/nowhere?entity_id=u1')
    await post('/v1/features/score/values', { rows: [{ user_id: 'u1', value: 'high' }] })
    await post('/v1/features/broken/refresh', { rows: [{ user_id: 'u1' }, { user_id: 'u2' }] })
  })

  test('figures of a feature are those of what was served', async () => {
    const { reads, state } = await featureOf('spend')
    expect(state).toBe('fresh')
    expect(reads?.reads).toBe(6)
    expect(reads?.states).toEqual({ fresh: 6, stale: 0, missing: 0, default: 0, error: 0 })
    const [total, times] = reads?.columns ?? []
    // Of the two rows of the set one is looked at: 6 or 10.
    expect(total).toMatchObject({ name: 'spend.total', type: 'float', measure: 'number', null_share: 1 / 5, sample: { seen: 5, kept: 5 } })
    expect(total?.quantiles).toMatchObject({ min: 6, max: 30 })
    expect(total?.bins?.counts.reduce((sum, count) => sum + count, 0)).toBe(4)
    expect(times).toMatchObject({ name: 'spend.times', null_share: 0, bins: { edges: [0, 1, 2, 3] } })
    expect(reads?.latency_ms.p99).toBeGreaterThan(0)
    const metrics = await (await served.ask('/metrics')).text()
    expect(metrics).toContain('fabra_values_served_total{status="default"} 2\n')
    expect(metrics).toContain('fabra_values_served_total{status="error"} 1\n')
    const score = await featureOf('score')
    expect(score.reads?.states).toEqual({ fresh: 0, stale: 0, missing: 0, default: 2, error: 0 })
    expect(score).toMatchObject({ state: 'fresh', refreshed: { interval_ms: null } })
  })

  test('over time they stand in the step that is under way', async () => {
    const statistics = await served.get<FeatureStatistics>('/v1/features/spend.total/statistics?window=24h')
    expect(statistics).toMatchObject({ feature: 'spend', entity: 'User', window_ms: 86_400_000, keys_in_use: 4, against: null })
    expect(statistics.over_time.step_ms).toBe(900_000)
    expect(statistics.over_time.reads_per_second).toHaveLength(96)
    expect(statistics.over_time.reads_per_second.slice(-2).some((rate) => (rate ?? 0) > 0)).toBe(true)
    expect(statistics.over_time.fresh_share.findLast((share) => share !== null)).toBe(1)
    expect(statistics.over_time.columns.map(({ name }) => name)).toEqual(['spend.total', 'spend.times'])
    expect(statistics.over_time.versions).toMatchObject([{ number: 1, version: statistics.over_time.versions[0]?.version }])
  })

  test('what fails wants attention, with the line at fault', async () => {
    const { attention, features, traffic } = await served.get<Overview>('/v1/overview')
    const [first] = attention
    expect(first).toMatchObject({
      feature: 'broken',
      state: 'error',
      reason: {
        code: 'failing',
        now: 1,
        usual: 0,
        unit: 'runs',
        place: { file: 'features.ts', line: BROKEN_LINE },
        error_code: 'feature_failed',
      },
    })
    expect(first?.reason.message).toBe('2 of 2 keys failed: key "u1"; the log has the reason.')
    // Over the minutes: whichever of them it was read in.
    expect(Math.max(...(first?.trend?.values ?? []).map((value) => value ?? 0))).toBeGreaterThan(0)
    expect(features.error).toBe(1)
    expect(traffic?.errors_per_second).toBeGreaterThan(0)
    expect(traffic?.hour.latency.counts.flat().reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0)
  })

  test('runs tell their state, their progress and where they failed', async () => {
    const { runs } = await served.get<Runs>('/v1/runs?state=failed,partly_failed&feature=broken')
    expect(runs).toHaveLength(1)
    expect(runs[0]).toMatchObject({
      state: 'failed',
      keys: 2,
      done: 2,
      failed: 2,
      error_code: 'feature_failed',
      file: 'features.ts',
      line: BROKEN_LINE,
    })
    expect(Date.parse(runs[0]?.next_at ?? '')).toBeGreaterThan(Date.now())
    expect((await served.get<Runs>('/v1/runs?state=running')).runs).toEqual([])
    expect((await served.get<Runs>(`/v1/runs?since=${new Date(Date.now() + 60_000).toISOString()}`)).runs).toEqual([])
    for (const wrong of ['state=asleep', 'since=yesterday', 'limit=0', 'colour=red'])
      expect([wrong, (await served.ask(`/v1/runs?${wrong}`)).status]).toEqual([wrong, 422])
  })

  test('definitions are told as they were written, with the line at fault', async () => {
    const definition = await served.get<Definition>('/v1/features/spend/definition')
    expect(definition.text).toMatchObject({ file: 'features.ts', language: 'typescript', line: 5 })
    expect(definition.text?.lines[0]).toBe('/** What a user has spent. */')
    expect(definition.text?.lines.at(-1)).toBe('})')
    expect(definition.options).toMatchObject({ refresh: '5m', columns: { total: 'float', times: 'int' } })
    expect(definition.sql?.duckdb).toContain('FROM events')
    expect(definition).toMatchObject({ fault: null, version_number: 1 })
    const broken = await served.get<Definition>('/v1/features/broken/definition')
    expect(broken.fault).toMatchObject({ file: 'features.ts', line: BROKEN_LINE, code: 'feature_failed' })
  })

  test('lineage leads from sources through features, those that functions were seen to read too, to sets', async () => {
    const { nodes, edges } = await served.get<Lineage>('/v1/lineage')
    expect(nodes.find(({ id }) => id === 'source:events')).toMatchObject({ rows: 4, newest_row_at: '2026-01-03T10:00:00Z' })
    expect(nodes.find(({ id }) => id === 'set:risk')).toMatchObject({ features: ['spend', 'score'], state: 'fresh' })
    const pairs = edges.map(({ from, to }) => `${from} ${to}`)
    expect(pairs.sort()).toEqual([
      'feature:score set:risk',
      'feature:spend feature:twice',
      'feature:spend set:risk',
      'source:events feature:spend',
    ])
    const near = await served.get<Lineage>('/v1/lineage?feature=twice')
    expect(near.nodes.map(({ id }) => id).sort()).toEqual(['feature:spend', 'feature:twice', 'source:events'])
  })

  test('everything of one key: what is recorded, what lies behind it, and who read it', async () => {
    await post('/v1/features/score/values', { rows: [{ user_id: 'u1', value: 'low' }] })
    const page = await served.get<EntityPage>('/v1/entities/User/u1?history=1d')
    const score = page.features.find(({ feature }) => feature === 'score')
    expect(score).toMatchObject({ value: 'low', status: 'fresh', before: { value: 'high' }, history_is_cut: false })
    expect(score?.history?.map(({ value }) => value)).toEqual(['high', 'low'])
    expect(page.changes?.counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(3)
    expect(page.sources).toMatchObject([{ source: 'events', rows: 2, newest_row_at: '2026-01-02T10:00:00Z' }])
    expect(page.last_reads?.map(({ asked_for: asked }) => asked)).toContainEqual(['risk'])
    const before = (await featureOf('spend')).reads?.reads
    await served.get<EntityPage>('/v1/entities/User/u1?history=7d')
    expect((await featureOf('spend')).reads?.reads).toBe(before)
    expect(await served.get<EntityPage>('/v1/entities/User/u1')).not.toHaveProperty('changes')
    expect((await featureOf('spend')).reads?.reads).toBe((before ?? 0) + 1)
  })

  test('a key that is only looked at does not come into use, nor do the parts of its values', async () => {
    const inUse = async () => (await served.get<FeatureStatistics>('/v1/features/spend/statistics?window=1h')).keys_in_use
    const before = await inUse()
    const whole = async () => {
      const { features, pending } = await served.get<EntityPage>('/v1/entities/User/looked-at?history=1d')
      return pending === 0 && features.some(({ feature, served_from: from }) => feature === 'twice' && from === 'computed')
        ? true
        : undefined
    }
    await until('a look to be whole', 60_000, whole)
    expect(await inUse()).toBe(before)
    await served.get('/v1/features/twice?entity_id=looked-at')
    expect(await inUse()).toBe((before ?? 0) + 1)
  })

  test('as of a past moment it is what a training set has', async () => {
    const at = '2026-01-01T12:00:00Z'
    const page = await until('all of the past', 60_000, async () => {
      const some = await served.get<EntityPage>(`/v1/entities/User/u1?as_of=${at}`)
      expect(some.pending).toBe(some.features.filter(({ pending }) => pending).length)
      return some.pending === 0 ? some : undefined
    })
    const values = Object.fromEntries(page.features.map(({ feature, value, status, method }) => [feature, { value, status, method }]))
    expect(page.as_of).toBe(at)
    const made = await post('/v1/training-sets?format=jsonl', {
      features: ['spend', 'score', 'twice'],
      rows: [{ user_id: 'u1', event_timestamp: at }],
      with_status: true,
    })
    const row = (await made.json()) as Record<string, unknown>
    expect(values['spend']).toEqual({
      value: { total: row['spend.total'], times: row['spend.times'] },
      status: 'fresh',
      method: 'recompute',
    })
    expect(values['spend']?.value).toEqual({ total: 2.5, times: 1 })
    expect(values['twice']).toEqual({ value: row['twice'], status: 'fresh', method: 'replay' })
    expect(values['score']).toEqual({ value: row['score'], status: row['score__status'] as string, method: 'history' } as never)
    expect(values['ratio']).toMatchObject({ status: 'missing', method: null })
    expect(page.features.find(({ feature }) => feature === 'ratio')?.needs_inputs).toEqual(['amount'])
    for (const wrong of ['as_of=2999-01-01T00:00:00Z', 'as_of=noon', 'history=always', 'history=900d'])
      expect([wrong, (await served.ask(`/v1/entities/User/u1?${wrong}`)).status]).toEqual([wrong, 422])
  })

  test('events tell of requests and runs as they happen, and go on behind the last one seen', async () => {
    const first = await served.ask('/v1/events?kinds=requests,runs&feature=spend')
    expect(first.headers.get('content-type')).toStartWith('text/event-stream')
    await served.get('/v1/features/spend?entity_id=u1')
    await served.get('/v1/features/twice?entity_id=u1')
    const seen = await readEvents(first, ({ kind, data }) => kind === 'requests' && data.requests.length > 0)
    expect(seen[0]).toMatchObject({ kind: 'hello', data: { requests: true, one_in: 1 } })
    const requests = seen.flatMap(({ kind, data }) => (kind === 'requests' ? data.requests : []))
    expect(requests).toMatchObject([
      { asked_for: ['spend'], rows: 1, states: { fresh: 1 }, entity: { entity: 'User', key: { user_id: 'u1' } }, error_code: null },
    ])
    await post('/v1/features/spend/refresh', { rows: [{ user_id: 'u1' }] })
    const again = await served.ask('/v1/events?kinds=runs&feature=spend', { headers: { 'last-event-id': seen.at(-1)?.id ?? '' } })
    // One that was asked for before may end meanwhile.
    const begun = new Set<unknown>()
    const missed = await readEvents(again, ({ kind, data }) => {
      if (kind === 'run' && data.state === 'running') begun.add(data.id)
      return kind === 'run' && data.state === 'done' && begun.has(data.id)
    })
    expect(missed[0]?.kind).toBe('hello')
    const last = missed.filter(({ kind, data }) => kind === 'run' && data.id === missed.at(-1)?.data.id)
    expect(last.map(({ data }) => data.state)).toEqual([...last.slice(0, -1).map(() => 'running'), 'done'] as never)
    const lost = await served.ask('/v1/events', { headers: { 'last-event-id': 'elsewhere-7' } })
    expect((await readEvents(lost, ({ kind }) => kind === 'gap')).map(({ kind }) => kind)).toEqual(['hello', 'gap'])
    expect((await served.ask('/v1/events?kinds=weather')).status).toBe(422)
  })

  test('a training set is looked at before it is made, and what leaks is told', async () => {
    const rows = Array.from({ length: 60 }, (_, i) => ({
      user_id: i % 2 ? 'u1' : 'u3',
      event_timestamp: `2026-01-0${4 + (i % 5)}T00:00:00Z`,
      fraud: i % 2,
    }))
    const preview = (await (await post('/v1/training-sets?limit=40', { features: ['risk'], rows })).json()) as TrainingPreview
    expect(preview.rows).toBe(60)
    expect(preview.preview).toHaveLength(40)
    const column = preview.columns.find(({ name }) => name === 'spend.total')
    expect(column).toMatchObject({ feature: 'spend', method: 'recompute', null_share: 0, distribution: { quantiles: { min: 6, max: 30 } } })
    expect(column?.warnings.map(({ code }) => code)).toContain('leak')
    expect(preview.columns.find(({ name }) => name === 'fraud')?.feature).toBeNull()
    const [row] = preview.preview
    expect(row?.values[preview.columns.findIndex(({ name }) => name === 'user_id')]).toBe(rows[row?.row ?? 0]?.user_id as string)
    const before = await served.get<TrainingSets>('/v1/training-sets')
    expect(before.training_sets.every(({ rows: count }) => count === 1)).toBe(true)
  })

  test('what is served is compared with what a training set held, and wants attention once it drifted', async () => {
    const rows = Array.from({ length: 240 }, (_, i) => ({ user_id: i % 2 ? 'u1' : 'u2', event_timestamp: '2026-02-01T00:00:00Z' }))
    const id = 'set-to-compare-with'
    const body = JSON.stringify({ features: ['spend'], rows, format: 'csv' })
    const made = await served.ask('/v1/training-sets', { method: 'POST', body, headers: { 'x-request-id': id } })
    expect((await made.text()).split('\n').length).toBeGreaterThan(240)
    // Of each request one row is looked at.
    const readMany = (user: string) => Promise.all(Array.from({ length: 60 }, () => served.get(`/v1/features/spend?entity_id=${user}`)))
    const against = () => served.get<FeatureStatistics>(`/v1/features/spend/statistics?against=${id}`)
    expect((await served.get<TrainingSets>('/v1/training-sets')).training_sets.find((set) => set.id === id)?.has_samples).toBe(true)
    expect((await against()).against?.columns.map(({ name }) => name)).toEqual(['spend.total', 'spend.times'])
    await until('drift to be told', 50_000, async () => {
      await readMany('u3')
      const [total] = (await against()).against?.columns ?? []
      const { attention } = await served.get<Overview>('/v1/overview')
      const drifted = attention.find(({ feature, reason }) => feature === 'spend' && reason.code === 'drifted')
      return (total?.psi ?? 0) > 1 && drifted?.reason.unit === 'psi' && drifted.reason.message.includes('spend.total') ? true : undefined
    })
    expect((await served.ask(`/v1/features/broken/statistics?against=${id}`)).status).toBe(404)
    expect((await served.ask('/v1/features/spend/statistics?against=nothing')).status).toBe(404)
  })

  test('a training set that is being made is stopped', async () => {
    const rows = Array.from({ length: 200 }, (_, i) => ({ user_id: `u${i}`, event_timestamp: '2026-01-04T00:00:00Z' }))
    const making = served.ask('/v1/training-sets?format=jsonl', {
      method: 'POST',
      headers: { 'x-request-id': 'to-be-stopped' },
      body: JSON.stringify({ features: ['twice'], rows: Array.from({ length: 50 }, () => rows).flat() }),
    })
    await until('the set to be under way', 30_000, async () => {
      const { training_sets: sets } = await served.get<TrainingSets>('/v1/training-sets')
      return sets.some(({ id, state, rows: count }) => id === 'to-be-stopped' && state === 'running' && count !== null) || undefined
    })
    expect((await served.ask('/v1/training-sets/to-be-stopped', { method: 'DELETE' })).status).toBe(200)
    expect((await making).status).toBe(504)
    const { training_sets: sets } = await served.get<TrainingSets>('/v1/training-sets')
    expect(sets.find(({ id }) => id === 'to-be-stopped')).toMatchObject({ state: 'cancelled', features: ['twice'] })
    expect((await served.ask('/v1/training-sets/nobody', { method: 'DELETE' })).status).toBe(404)
  })

  test('every answer is as /openapi.json says', async () => {
    const document = await served.get<
      Readonly<Record<string, unknown>> & {
        readonly paths: Record<string, Record<string, { responses: Record<string, { content: Record<string, { schema: unknown }> }> }>>
      }
    >('/openapi.json')
    const asked = [
      ['/v1/me', '/v1/me'],
      ['/v1/overview', '/v1/overview'],
      ['/v1/storage', '/v1/storage'],
      ['/v1/changes', '/v1/changes'],
      ['/v1/features', '/v1/features?statistics=7d'],
      ['/v1/features/{name}/statistics', '/v1/features/spend/statistics?window=30d'],
      ['/v1/features/{name}/definition', '/v1/features/broken/definition'],
      ['/v1/runs', '/v1/runs'],
      ['/v1/lineage', '/v1/lineage'],
      ['/v1/entities/{entity}/{id}', '/v1/entities/User/u1?history=7d&as_of=2026-01-02T12:00:00Z'],
      ['/v1/training-sets', '/v1/training-sets'],
    ] as const
    for (const [path, address] of asked) {
      const schema = document.paths[path]?.['get']?.responses['200']?.content['application/json']?.schema
      expect([path, schemaProblems(document, schema, await served.get(address))]).toEqual([path, []])
    }
  })
})

test('what changed is kept, and statistics can be off', async () => {
  await served.app.close()
  folder.write({ 'features.ts': UI_FEATURES.replace("refresh: '5m'", "refresh: '10m'").replace('SUM(amount)', '2 * SUM(amount)') })
  served = await serveFolder(folder, { FABRA_STATISTICS: 'off' })
  const versions = await until('the new version', 30_000, async () => {
    const { versions: found } = await served.get<Definition>('/v1/features/spend/definition')
    return found.length > 1 ? found : undefined
  })
  expect(versions.map(({ number }) => number)).toEqual([2, 1])
  expect(versions.map(({ text }) => text?.lines.find((line) => line.includes('refresh')))).toEqual([
    "  refresh: '10m',",
    "  refresh: '5m',",
  ])
  // What the old version had in use is computed for the new one; features that did not change are left alone.
  const warming = await until('values of the new version', 30_000, async () => {
    const { runs } = await served.get<Runs>('/v1/runs')
    return runs.some(({ reason, state }) => reason === 'new version' && state === 'done') ? runs : undefined
  })
  expect(warming.flatMap(({ feature, reason }) => (reason === 'new version' ? [feature] : []))).toEqual(['spend'])
  const { changes } = await served.get<Changes>('/v1/changes')
  const listed = changes.map(({ kind, subject, message }) => [kind, subject, message])
  expect(listed).toContainEqual(['version', 'spend', 'has version 2'])
  expect(listed).toContainEqual(['push', 'score', '2 values pushed'])
  expect(listed).toContainEqual(['source', 'events', 'was loaded from its file'])
  expect(changes.filter(({ kind }) => kind === 'start')).toHaveLength(2)
  expect(changes.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at)).map(({ at }) => at)).toEqual(changes.map(({ at }) => at))
  const me = await served.get<Me>('/v1/me')
  const overview = await served.get<Overview>('/v1/overview')
  await served.get('/v1/features/spend?entity_id=u1')
  expect([me.statistics, overview.traffic]).toEqual([false, null])
  const { features } = await served.get<FeatureList>('/v1/features?statistics=1h')
  expect(features.map(({ reads }) => reads)).toEqual(features.map(() => null))
  // Known from the runs and pushes of the first start.
  expect(features.find(({ name }) => name === 'broken')).toMatchObject({ state: 'error', reason: { code: 'failing' } })
  expect(features.find(({ name }) => name === 'score')).toMatchObject({ state: 'fresh' })
})
