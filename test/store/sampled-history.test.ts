/** Features whose past can be recomputed as it was served are recorded for some keys only: what is served and trained is the same. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isInSample } from '../../src/definition/history-sample.ts'
import { realApp } from '../support/real-app.ts'
import { until } from '../support/until.ts'

/** Of one key in two. */
const HALF = { FABRA_HISTORY_SAMPLE: '0.5' }

const FEATURES = `
import { entity, source, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', {
  columns: { user_id: 'VARCHAR', amount: 'INTEGER', at: 'TIMESTAMPTZ', arrived: 'TIMESTAMPTZ' }, timestamp: 'at', available: 'arrived',
})
export const logins = source('logins', { columns: { user_id: 'VARCHAR', at: 'TIMESTAMPTZ' }, timestamp: 'at' })
const sql = 'SELECT COUNT(*) FROM events WHERE user_id = $user_id'
export const events_seen = feature({ entity: User, refresh: '1h', type: 'int', timeout: '20s', sql })
export const events_all = feature({ entity: User, refresh: '1h', type: 'int', timeout: '20s', history: 'all', sql })
export const logins_seen = feature({ entity: User, refresh: '1h', type: 'int', timeout: '20s', sql: 'SELECT COUNT(*) FROM logins WHERE user_id = $user_id' })
export const answer = feature({ entity: User, refresh: '1h', type: 'int', timeout: '20s' }, () => 42)
`

interface Listed {
  name: string
  history: string
  recorded: string
}

const KEYS = Array.from({ length: 12 }, (_, i) => `u${i}`)
const sampled = KEYS.filter((key) => isInSample(key, 0.5))
const others = KEYS.filter((key) => !sampled.includes(key))

test('which keys are recorded is the same everywhere: XXH32 of their text', () => {
  expect([sampled.length > 2, others.length > 2]).toEqual([true, true])
  // Test values of the hash's specification.
  const share = (hash: number) => hash / 2 ** 32
  for (const [text, hash] of [
    ['', 0x02cc5d05],
    ['a', 0x550d7456],
    ['abc', 0x32d153ff],
  ] as const)
    expect([isInSample(text, share(hash)), isInSample(text, share(hash + 1))]).toEqual([false, true])
})

describe('a store that begins', () => {
  test('records a sample of keys where the past can be recomputed, says so, and computes what it does not have', async () => {
    await using app = await realApp({ 'features.ts': FEATURES }, HALF)
    const json = async <T>(path: string) => JSON.parse((await app.get(path)).text) as T
    const { features } = await json<{ features: Listed[] }>('/v1/features')
    expect(Object.fromEntries(features.map(({ name, history, recorded }) => [name, [history, recorded]]))).toEqual({
      events_seen: ['auto', 'recorded for 50 % of keys: its past can be recomputed'],
      events_all: ['all', 'every value is recorded'],
      logins_seen: ['auto', 'recorded as it changes: a source that it reads does not say when its rows arrived (available)'],
      answer: ['auto', 'recorded as it changes: a function computes it'],
    })
    const { recorded } = await json<Listed>('/v1/features/logins_seen/definition')
    expect(recorded).toBe('recorded as it changes: the source "logins" does not say when its rows arrived (available)')
    const rows = KEYS.map((user_id) => ({ user_id, amount: 1, at: '2026-01-01T00:00:00Z', arrived: '2026-01-01T00:00:00Z' }))
    expect((await app.post('/v1/sources/events/rows', { rows })).status).toBe(200)
    const names = ['events_seen', 'events_all', 'logins_seen', 'answer']
    const read = async () => {
      const { text } = await app.post('/v1/features', { features: names, rows: KEYS.map((user_id) => ({ user_id })) })
      return (JSON.parse(text) as { results: { values: unknown[] }[] }).results.map(({ values }) => values)
    }
    const served = await read()
    expect(served).toEqual(KEYS.map(() => [1, 1, 0, 42]))
    const known = async (name: string, key: string) => {
      const { history, key_is_recorded } = await json<{ history: unknown[]; key_is_recorded: boolean }>(
        `/v1/features/${name}/history?entity_id=${key}`,
      )
      return [history.length, key_is_recorded]
    }
    for (const key of KEYS) {
      expect([key, ...(await known('events_seen', key))]).toEqual([key, sampled.includes(key) ? 1 : 0, sampled.includes(key)])
      expect(await known('logins_seen', key)).toEqual([1, true])
    }
    await app.restart()
    expect(await read()).toEqual(served)
  })

  test('a push to a key that is not recorded lives until its next computation, and does not come back behind it', async () => {
    await using app = await realApp({ 'features.ts': FEATURES }, HALF)
    const [key = '', other = ''] = others
    const value = async (of = key) => {
      const { text } = await app.get(`/v1/features/events_seen?entity_id=${of}`)
      return (JSON.parse(text) as { value: number }).value
    }
    const push = async (user_id: string, pushed: number, at: number) => {
      const rows = [{ user_id, value: pushed, event_timestamp: new Date(at).toISOString() }]
      expect((await app.post('/v1/features/events_seen/values', { rows })).status).toBe(200)
    }
    expect(await value()).toBe(0)
    await push(key, 7, Date.now())
    expect(await value()).toBe(7)
    await app.restart()
    expect(await value()).toBe(7)
    await app.post('/v1/features/events_seen/refresh', { rows: [{ user_id: key }] })
    await until('the computed value', 0, async () => (await value()) === 0 || undefined)
    await app.restart()
    expect(await value()).toBe(0)
    // It comes too late: what was computed is newer, though history had nothing of it.
    expect(await value(other)).toBe(0)
    await push(other, 8, Date.now() - 60_000)
    expect(await value(other)).toBe(0)
    await app.restart()
    expect(await value(other)).toBe(0)
  })
})

describe('a store that recorded every change', () => {
  test('keeps to that until it is told, and never takes what it recorded then for the latest value', async () => {
    // What begins under changes is as a store of an earlier release.
    await using app = await realApp({ 'features.ts': FEATURES }, { FABRA_HISTORY: 'changes' })
    const [key = ''] = others
    const json = async <T>(path: string) => JSON.parse((await app.get(path)).text) as T
    const words = async () => (await json<{ features: Listed[] }>('/v1/features')).features[0]?.recorded
    const savings = async () =>
      (await json<{ savings: { setting: string; bytes_in_a_year: number }[] }>('/v1/storage')).savings.filter(
        ({ setting, bytes_in_a_year }) => setting === 'FABRA_HISTORY=auto' && bytes_in_a_year > 0,
      ).length
    const count = async () => (await json<{ value: number }>(`/v1/features/events_seen?entity_id=${key}`)).value
    const recorded = async () => (await json<{ history: unknown[] }>(`/v1/features/events_seen/history?entity_id=${key}`)).history.length
    const addAndSee = async (expected: number) => {
      const rows = [{ user_id: key, amount: 1, at: '2026-01-01T00:00:00Z', arrived: '2026-01-01T00:00:00Z' }]
      await app.post('/v1/sources/events/rows', { rows })
      await until(`${expected} events`, 0, async () => (await count()) === expected || undefined)
    }
    await count()
    expect(await words()).toBe('recorded as it changes')
    await app.restart(HALF)
    expect(await words()).toContain('this store was begun so (FABRA_HISTORY=auto')
    await addAndSee(1)
    expect(await recorded()).toBe(2)
    expect(await savings()).toBe(1)
    await app.restart({ ...HALF, FABRA_HISTORY: 'auto' })
    expect(await words()).toBe('recorded for 50 % of keys: its past can be recomputed')
    expect(await savings()).toBe(0)
    await addAndSee(2)
    expect(await recorded()).toBe(2)
    // What history has is older than what was served.
    await app.restart({ ...HALF, FABRA_HISTORY: 'auto' })
    expect(await count()).toBe(2)
    await addAndSee(3)
    await app.restart({ FABRA_HISTORY: 'auto', FABRA_HISTORY_SAMPLE: '1' })
    expect(await count()).toBe(3)
    await addAndSee(4)
    expect(await recorded()).toBeGreaterThan(2)
    await app.restart()
    expect(await count()).toBe(4)
  })
})

test('whatever comes, restarts and lost stores too, a feature serves and trains the same whether or not all of its keys are recorded', async () => {
  await using app = await realApp({ 'features.ts': FEATURES }, HALF)
  const seen = new Map<string, number>()
  const read = async (key: string) => {
    const { text } = await app.post('/v1/features', { features: ['events_seen', 'events_all'], rows: [{ user_id: key }] })
    return (JSON.parse(text) as { results: { values: unknown[] }[] }).results[0]?.values
  }
  const check = async (key: string) => {
    const expected = [seen.get(key) ?? 0, seen.get(key) ?? 0]
    const values = await read(key)
    expect({ key, values }).toEqual({ key, values: expected })
  }
  const act = {
    read: check,
    async event(key: string) {
      const at = new Date(Date.UTC(2026, 0, 1 + (seen.get(key) ?? 0))).toISOString()
      await app.post('/v1/sources/events/rows', { rows: [{ user_id: key, amount: 1, at, arrived: at }] })
      const count = (seen.get(key) ?? 0) + 1
      seen.set(key, count)
      await until(`${count} events of ${key}`, 0, async () => ((await read(key))?.every((value) => value === count) ? true : undefined))
    },
    restart: () => app.restart(),
    lost: () => app.loseLatest(),
  }
  const key = fc.constantFrom(...KEYS.slice(0, 6))
  const action = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('read', 'event'), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('restart', 'lost'), key }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 14, maxLength: 14 }), async (actions) => {
      for (const { do: what, key: of } of actions) await act[what](of)
    }),
    { numRuns: 1, endOnFailure: true },
  )
  await app.restart()
  for (const of of KEYS) await check(of)
  const labels = KEYS.flatMap((of) => [1, 2, 3, 9].map((day) => `${of},2026-01-0${day}T12:00:00Z`))
  const response = await app.app.fetch(
    new Request('http://127.0.0.1:8000/v1/training-sets?features=events_seen,events_all&format=csv', {
      method: 'POST',
      body: ['user_id,event_timestamp', ...labels].join('\n'),
      headers: { 'content-type': 'text/csv' },
    }),
  )
  const lines = (await response.text()).trim().split('\n').slice(1)
  expect(lines).toEqual(
    labels.map((label) => {
      const [of = '', time = ''] = label.split(',')
      const count = Math.min(seen.get(of) ?? 0, Number(time.slice(8, 10)))
      return `${label},${count},${count}`
    }),
  )
})

describe('a training set of what was served', () => {
  test('refuses rows that are not recorded, or tells which they are', async () => {
    const labels = ['user_id,event_timestamp', ...KEYS.map((key) => `${key},2099-01-01T00:00:00Z`)].join('\n')
    await using app = await realApp(
      { 'features.ts': FEATURES.replaceAll("timeout: '20s', sql }", "timeout: '20s', default: 9, sql }") },
      HALF,
    )
    for (const key of KEYS) await app.get(`/v1/features/events_seen?entity_id=${key}`)
    const train = async (query: string) => {
      const response = await app.app.fetch(
        new Request(`http://127.0.0.1:8000/v1/training-sets?features=events_seen&format=csv&${query}`, {
          method: 'POST',
          body: labels,
          headers: { 'content-type': 'text/csv' },
        }),
      )
      return { status: response.status, text: await response.text() }
    }
    const refused = await train('as_served=true')
    expect(refused.status).toBe(409)
    expect(refused.text).toContain(`${others.length} of 12 label rows are of keys that are not recorded (it is for 50 % of them)`)
    const withStatus = await train('as_served=true&with_status=true')
    const lines = withStatus.text.trim().split('\n').slice(1)
    expect(lines.map((line) => line.replace(/,\d{4}[^,]*/, ''))).toEqual(
      KEYS.map((key) => (sampled.includes(key) ? `${key},0,stale` : `${key},,not_recorded`)),
    )
    expect(
      (await train('')).text
        .trim()
        .split('\n')
        .slice(1)
        .every((line) => line.endsWith(',0')),
    ).toBe(true)
  })
})
