/** Keys are limited where they come in, below what history's index takes, on both engines and at every door. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { InvalidDefinitions } from '../../src/definition/problems.ts'
import { type RealApp, realApp } from '../support/real-app.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const LONGEST_NAME = `f${'n'.repeat(199)}`
const FEATURES = `
import { entity, feature, source } from "fabra";
export const Trio = entity("Trio", { key: ["a", "b", "c"] });
export const events = source("events", { timestamp: "at", columns: { a: "VARCHAR", b: "VARCHAR", c: "VARCHAR", at: "TIMESTAMPTZ" } });
export const counted = feature({ name: "${LONGEST_NAME}", entity: Trio, refresh: "1h", type: "int", sql: "SELECT COUNT(*) FROM events WHERE a = $a AND b = $b AND c = $c" });
export const pushed = feature({ entity: Trio, type: "int" });
`
/** Letters that do not compress. */
function letters(length: number): string {
  let text = ''
  while (text.length < length) text += new Bun.CryptoHasher('sha512').update(`${length} ${text.length}`).digest('base64url')
  return text.slice(0, length)
}
const LONGEST = { a: letters(1_024), b: letters(1_024), c: `${letters(148)}\u00e9` }
const TOO_LONG: readonly [string, Readonly<Record<'a' | 'b' | 'c', string>>][] = [
  ['three columns of 900 letters', { a: letters(900), b: letters(901), c: letters(902) }],
  ['a byte more than there may be', { ...LONGEST, c: letters(151) }],
  ['characters that are escaped', { a: ':'.repeat(400), b: '%'.repeat(400), c: 'x' }],
  ['one long column', { a: letters(1_025), b: 'b', c: 'c' }],
]

let postgres: TestServer
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())

describe.each(['DuckDB', 'PostgreSQL'])('on %s', (engine) => {
  let app: RealApp
  beforeAll(async () => {
    app = await realApp({ 'features.ts': FEATURES }, engine === 'DuckDB' ? {} : { FABRA_POSTGRES_URL: postgres.url })
  })
  afterAll(() => app[Symbol.asyncDispose]())
  const stamp = new Date(Date.now() - 60_000).toISOString()
  const waiting = async () => /fabra_history_rows_waiting (\d+)/.exec((await app.get('/metrics')).text)?.[1]

  test.each(TOO_LONG)('%s are a 422 at every door', async (_, key) => {
    const query = new URLSearchParams(key)
    const labels = { rows: [{ ...key, event_timestamp: stamp }], features: [LONGEST_NAME] }
    const answers = await Promise.all([
      app.get(`/v1/features/${LONGEST_NAME}?${query}`),
      app.get(`/v1/features/pushed/history?${query}`),
      app.get(`/v1/entities/Trio/-?${query}`),
      app.post('/v1/features', { features: [LONGEST_NAME], rows: [{ a: 'a', b: 'b', c: 'c' }, key] }),
      app.post('/v1/features/pushed/values', {
        rows: [
          { a: 'a', b: 'b', c: 'c', value: 1 },
          { ...key, value: 1 },
        ],
      }),
      app.post('/v1/sources/events/rows', {
        rows: [
          { a: 'a', b: 'b', c: 'c', at: stamp },
          { ...key, at: stamp },
        ],
      }),
      app.post(`/v1/features/${LONGEST_NAME}/refresh`, { rows: [key] }),
      app.post('/v1/training-sets', labels),
    ])
    for (const { status, text } of answers) {
      expect(status, text).toBe(422)
      expect(JSON.parse(text).error.code).toBe('invalid_key')
      expect(text).toMatch(/bytes/)
    }
    for (const at of [3, 4, 5]) expect(answers[at]?.text).toContain('Row 1: ')
    expect(answers[7]?.text).toContain('Row 0 of the labels')
  })

  test('the longest key is taken, by every door, and history has it', async () => {
    const query = new URLSearchParams(LONGEST)
    expect((await app.post('/v1/sources/events/rows', { rows: [{ ...LONGEST, at: stamp }] })).status).toBe(200)
    expect(JSON.parse((await app.get(`/v1/features/${LONGEST_NAME}?${query}`)).text).value).toBe(1)
    expect((await app.post('/v1/features/pushed/values', { rows: [{ ...LONGEST, value: 7 }] })).status).toBe(200)
    await until('all are committed', 10_000, async () => ((await waiting()) === '0' ? true : undefined))
    expect((await app.get('/metrics')).text).toContain('\nfabra_history_rows_set_aside_total 0\n')
    const { text } = await app.get(`/v1/features/${LONGEST_NAME}/history?${query}`)
    expect(JSON.parse(text).history).toMatchObject([{ value: 1 }])
    const path = `/v1/entities/Trio/-?${query}`
    expect((await app.app.fetch(new Request(`http://127.0.0.1:8000${path}`, { method: 'DELETE' }))).status).toBe(200)
  })
})

test('a name that leaves no room for keys is refused when definitions are read', async () => {
  const wrong = FEATURES.replace(LONGEST_NAME, `${LONGEST_NAME}n`).replaceAll('Trio', 'T'.repeat(201))
  const failure = await realApp({ 'features.ts': wrong }).catch((error: unknown) => error)
  expect((failure as InvalidDefinitions).problems.map(({ message }) => message)).toEqual([
    'its name has 201 characters.',
    'its name has 201 characters.',
  ])
})
