/** Features whose past can be recomputed as it was served are recorded for some keys only: what is served and trained is the same. */
import { describe, expect, test } from 'bun:test'
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
      logins_seen: ['auto', 'recorded as it changes: the source "logins" does not say when its rows arrived (available)'],
      answer: ['auto', 'recorded as it changes: a function computes it'],
    })
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
    const key = others[0] ?? ''
    const value = async () => {
      const { text } = await app.get(`/v1/features/events_seen?entity_id=${key}`)
      return (JSON.parse(text) as { value: number }).value
    }
    const push = async (pushed: number, event_timestamp: string) => {
      const { status } = await app.post('/v1/features/events_seen/values', { rows: [{ user_id: key, value: pushed, event_timestamp }] })
      expect(status).toBe(200)
    }
    const now = () => new Date().toISOString()
    expect(await value()).toBe(0)
    await push(7, now())
    expect(await value()).toBe(7)
    await app.restart()
    expect(await value()).toBe(7)
    await app.post('/v1/features/events_seen/refresh', { rows: [{ user_id: key }] })
    await until('the computed value', 0, async () => (await value()) === 0 || undefined)
    await app.restart()
    expect(await value()).toBe(0)
    // It came too late: what was computed is newer, though history has nothing of it yet.
    await app.post('/v1/features/events_seen/refresh', { rows: [{ user_id: key }] })
    await push(8, new Date(Date.now() - 2_000).toISOString())
    await app.restart()
    expect(await value()).toBe(0)
  })
})

describe('a training set of what was served', () => {
  test('refuses rows that are not recorded, or tells which they are', async () => {
    const labels = ['user_id,event_timestamp', ...KEYS.map((key) => `${key},2099-01-01T00:00:00Z`)].join('\n')
    await using app = await realApp({ 'features.ts': FEATURES.replaceAll("timeout: '20s', sql }", "timeout: '20s', default: 9, sql }") }, HALF)
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
    const told = await train('as_served=true&with_status=true')
    const lines = told.text.trim().split('\n').slice(1)
    expect(lines.map((line) => line.replace(/,\d{4}[^,]*/, ''))).toEqual(
      KEYS.map((key) => (sampled.includes(key) ? `${key},0,stale` : `${key},,not_recorded`)),
    )
    expect((await train('')).text.trim().split('\n').slice(1).every((line) => line.endsWith(',0'))).toBe(true)
  })
})
