import { describe, expect, test } from 'bun:test'
import { type RealApp, realApp } from '../support/real-app.ts'
import { until } from '../support/until.ts'

const HEAD = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const Pair = entity("Pair", { key: ["user_id", "shop_id"] });
export const City = entity("City", { key: { city: "int" } });
`
/** Every way a feature can hang on a source. */
const FEATURES = `${HEAD}
export const events = source("events", { timestamp: "created_at", id: "id", file: "./events.csv" });
export const total = feature({ entity: User, refresh: "1h", type: "float", sql: "SELECT COALESCE(SUM(amount), 0) FROM events WHERE user_id = $user_id" });
export const here = feature({ entity: Pair, refresh: "1h", type: "int", sql: "SELECT COUNT(*) FROM events WHERE user_id = $user_id AND shop_id = $shop_id" });
export const everywhere = feature({ entity: City, refresh: "1h", type: "int", sql: "SELECT COUNT(*) FROM events WHERE $city > 0" });
export const now_count = feature({ entity: User, refresh: 0, type: "int", timeout: "20s" }, async (id, { db }) => db.fetchval("SELECT COUNT(*) FROM events WHERE user_id = $1", id));
export const asked = feature({ entity: User, refresh: "1h", type: "int" }, async (id, { db }) => db.fetchval("SELECT COUNT(*) FROM events WHERE user_id = $1", id));
export const twice = feature({ entity: User, refresh: "1h", type: "float", uses: [total] }, async (id, { get }) => 2 * (await get(total)));
export const through = feature({ entity: User, refresh: 0, type: "float", uses: [twice] }, async (id, { get }) => await get(twice));
export const last = feature({ entity: User, refresh: "1h", type: "float", uses: [through] }, async (id, { get }) => 1 + (await get(through)));
`
const CSV = 'id,user_id,shop_id,amount,created_at\ne1,u1,s1,1.5,2026-01-01T00:00:00Z\n'

const ago = (ms: number) => new Date(Date.now() - ms).toISOString()

async function valueAt(app: RealApp, path: string): Promise<unknown> {
  const { status, text } = await app.get(`/v1/features/${path}`)
  expect(status, text).toBe(200)
  return JSON.parse(text).value
}

async function post(app: RealApp, source: string, rows: readonly unknown[], headers: Record<string, string> = {}) {
  const response = await app.app.fetch(
    new Request(`http://localhost/v1/sources/${source}/rows`, { method: 'POST', body: JSON.stringify({ rows }), headers }),
  )
  return { status: response.status, retryAfter: response.headers.get('retry-after'), json: JSON.parse(await response.text()) }
}

/** Asked for again and again, as a client would, until it is what it should be. */
async function becomes(app: RealApp, path: string, wanted: unknown): Promise<void> {
  await until(`${path} to be ${wanted}`, 5_000, async () => ((await valueAt(app, path)) === wanted ? true : undefined))
}

describe('rows posted to a source', () => {
  test('are in the next realtime read, and reach every feature that hangs on the source', async () => {
    await using app = await realApp({ 'features.ts': FEATURES, 'events.csv': CSV })
    const paths = {
      'total?user_id=u1': [1.5, 4],
      'here?user_id=u1&shop_id=s1': [1, 2],
      'everywhere?city=7': [1, 2],
      'asked?user_id=u1': [1, 2],
      'twice?user_id=u1': [3, 8],
      'last?user_id=u1': [4, 9],
      'total?user_id=u2': [0, 0],
    } as const
    for (const [path, [before]] of Object.entries(paths)) expect(await valueAt(app, path)).toBe(before)
    const row = { id: 'e2', user_id: 'u1', shop_id: 's1', amount: 2.5, created_at: ago(5) }
    expect((await post(app, 'events', [row])).json).toEqual({ accepted: 1, duplicates: 0 })
    expect(await valueAt(app, 'now_count?user_id=u1')).toBe(2)
    for (const [path, [, after]] of Object.entries(paths)) await becomes(app, path, after)
  })

  test('survive a restart, and the file loaded again; a row of the file and one of a request are united', async () => {
    await using app = await realApp({ 'features.ts': FEATURES, 'events.csv': CSV })
    const rows = [2, 3].map((n) => ({ id: `e${n}`, user_id: 'u1', shop_id: 's1', amount: n, created_at: ago(1000) }))
    await post(app, 'events', rows)
    expect(await valueAt(app, 'now_count?user_id=u1')).toBe(3)
    await app.restart()
    expect(await valueAt(app, 'now_count?user_id=u1')).toBe(3)
    app.folder.write({ 'events.csv': `${CSV}e9,u1,s1,1,2026-01-02T00:00:00Z\ne3,u1,s1,3,2026-01-02T00:00:00Z\n` })
    await app.restart()
    // e3 is in the file now too, and counts once.
    expect(await valueAt(app, 'now_count?user_id=u1')).toBe(4)
    expect((await post(app, 'events', rows)).json).toEqual({ accepted: 0, duplicates: 2 })
    app.folder.write({ 'events.csv': CSV.replace('amount', 'price') })
    app.folder.write({ 'features.ts': FEATURES.replaceAll('amount', 'price') })
    await app.restart()
    expect(await valueAt(app, 'now_count?user_id=u1')).toBe(3)
  })

  test('of an id that is known are dropped: from the file, from before, from the same request; rows without an id are not', async () => {
    await using app = await realApp({ 'features.ts': FEATURES, 'events.csv': CSV })
    const row = (id: string | null) => ({ id, user_id: 'u1', shop_id: 's1', amount: 1, created_at: ago(1000) })
    expect((await post(app, 'events', [row('e1'), row('e2'), row('e2'), row(null), row(null)])).json).toEqual({
      accepted: 3,
      duplicates: 2,
    })
    expect((await post(app, 'events', [row('e2')])).json).toEqual({ accepted: 0, duplicates: 1 })
    expect(await valueAt(app, 'now_count?user_id=u1')).toBe(4)
    const together = await Promise.all(Array.from({ length: 8 }, () => post(app, 'events', [row('e5')])))
    expect(together.reduce((sum, { json }) => sum + json.accepted, 0)).toBe(1)
  })

  test('with an Idempotency-Key are appended once, also across a restart, and the key stands for one content', async () => {
    const features = FEATURES.replace(' id: "id",', '')
    await using app = await realApp({ 'features.ts': features, 'events.csv': CSV })
    const rows = [{ id: 'x', user_id: 'u1', created_at: '2026-01-01T00:00:00Z' }]
    const key = { 'idempotency-key': 'order 1' }
    const together = await Promise.all(Array.from({ length: 4 }, () => post(app, 'events', rows, key)))
    expect(together.reduce((sum, { json }) => sum + json.accepted, 0)).toBe(1)
    await app.restart()
    expect((await post(app, 'events', rows, key)).json).toEqual({ accepted: 0, duplicates: 1 })
    expect(await post(app, 'events', [{ ...rows[0], user_id: 'u2' }], key)).toMatchObject({
      status: 422,
      json: { error: { code: 'invalid_input' } },
    })
    expect((await post(app, 'events', rows, { 'idempotency-key': 'order 2' })).json).toEqual({ accepted: 1, duplicates: 0 })
    expect((await post(app, 'events', rows)).json).toEqual({ accepted: 1, duplicates: 0 })
    expect(await valueAt(app, 'now_count?user_id=u1')).toBe(4)
    expect((await post(app, 'events', rows, { 'idempotency-key': 'k'.repeat(256) })).status).toBe(422)
  })

  test('are not seen before their delay has passed, and then without being asked for', async () => {
    const features = `${HEAD}
export const events = source("events", { timestamp: "created_at", delay: "2s", available: "ingested_at",
  columns: { user_id: "VARCHAR", created_at: "TIMESTAMPTZ", ingested_at: "TIMESTAMPTZ" } });
export const total = feature({ entity: User, refresh: "1h", type: "int", sql: "SELECT COUNT(*) FROM events WHERE user_id = $user_id" });`
    await using app = await realApp({ 'features.ts': features })
    expect(await valueAt(app, 'total?user_id=u1')).toBe(0)
    const created = Date.now() - 1_000
    await post(app, 'events', [{ user_id: 'u1', created_at: new Date(created).toISOString() }])
    await becomes(app, 'total?user_id=u1', 1)
    expect(Date.now() - created).toBeGreaterThanOrEqual(2_000)
  })

  test('of a table made by columns stay when the project is opened again', async () => {
    const features = `${HEAD}
export const clicks = source("shop.clicks", { timestamp: "at", columns: { user_id: "VARCHAR", at: "TIMESTAMPTZ", n: "DECIMAL(9,2)", tags: "VARCHAR[]", day: "DATE", raw: "JSON", ok: "BOOLEAN", big: "HUGEINT", one: "UUID" } });
export const seen = feature({ entity: User, refresh: 0, type: "json", sql: {
  duckdb: "SELECT to_json(list({n: CAST(n AS VARCHAR), tags: tags, day: CAST(day AS VARCHAR), raw: raw, ok: ok, big: CAST(big AS VARCHAR), one: CAST(one AS VARCHAR)})) FROM shop.clicks WHERE user_id = $user_id",
  postgres: "SELECT json_agg(json_build_object('n', n::text, 'tags', tags, 'day', day::text, 'raw', raw, 'ok', ok, 'big', big::text, 'one', one::text) ORDER BY at) FROM shop.clicks WHERE user_id = $user_id" } });`
    await using app = await realApp({ 'features.ts': features })
    const one = '00112233-4455-6677-8899-aabbccddeeff'
    const row = {
      user_id: 'u1',
      at: ago(1000),
      n: '12.30',
      tags: ['a', 'b'],
      day: '2026-02-03',
      raw: { x: [1, null] },
      ok: true,
      big: 12,
      one,
    }
    expect((await post(app, 'shop.clicks', [row, { user_id: 'u1', at: ago(900) }])).json).toEqual({ accepted: 2, duplicates: 0 })
    await app.restart()
    const empty = { n: null, tags: null, day: null, raw: null, ok: null, big: null, one: null }
    const full = { n: '12.30', tags: ['a', 'b'], day: '2026-02-03', raw: { x: [1, null] }, ok: true, big: '12', one }
    expect(await valueAt(app, 'seen?user_id=u1')).toEqual([full, empty])
  })
})

describe('rows are refused whole', () => {
  const good = { id: 'e7', user_id: 'u1', shop_id: 's1', amount: 1, created_at: '2026-01-01T00:00:00Z' }
  const wrong: [what: string, row: unknown, code: string, says: RegExp][] = [
    ['no object', 'x', 'invalid_body', /^Row 1: it is not an object/],
    ['an unknown column', { ...good, amuont: 1 }, 'invalid_body', /^Row 1: "events" has no column "amuont"/],
    ['no timestamp', { ...good, created_at: null }, 'invalid_value', /^Row 1: it has no "created_at"/],
    ['a timestamp left out', { user_id: 'u1' }, 'invalid_value', /^Row 1: it has no "created_at"/],
    [
      'a timestamp without a zone',
      { ...good, created_at: '2026-01-01 00:00:00' },
      'invalid_time',
      /^Row 1: column "created_at": .*no time zone/,
    ],
    ['a timestamp of no such day', { ...good, created_at: '2026-02-30T00:00:00Z' }, 'invalid_time', /^Row 1: column "created_at"/],
    ['a timestamp that is a number', { ...good, created_at: 17 }, 'invalid_value', /^Row 1: column "created_at": expected a time/],
    ['a time far ahead', { ...good, created_at: '2200-01-01T00:00:00Z' }, 'invalid_time', /^Row 1: column "created_at": .*5 minutes ahead/],
    ['a text where a number belongs', { ...good, amount: '1' }, 'invalid_value', /^Row 1: column "amount": expected a number, got "1"/],
    ['a number where a text belongs', { ...good, shop_id: 1 }, 'invalid_value', /^Row 1: column "shop_id": expected a text, got 1/],
    ['a list where a text belongs', { ...good, user_id: ['u1'] }, 'invalid_value', /^Row 1: column "user_id": expected a text/],
  ]
  // One project for all: what is refused leaves nothing behind.
  test('with the row and the column named, and nothing is written', async () => {
    await using app = await realApp({
      'features.ts': FEATURES.replace('export const Pair', 'export const Shop = entity("Shop", { key: { x: "int" } });\nexport const Pair')
        .replace('"shop_id"]', '"shop"]')
        .replaceAll('shop_id = $shop_id', 'shop_id = $shop'),
      'events.csv': CSV,
    })
    for (const [what, row, code, says] of wrong) {
      const { status, json } = await post(app, 'events', [good, row, good])
      expect({ what, status, code: json.error.code }).toEqual({ what, status: 422, code })
      expect(json.error.message).toMatch(says)
      expect(json.error.hint?.length, what).toBeGreaterThan(5)
    }
    expect(await valueAt(app, 'now_count?user_id=u1')).toBe(1)
    expect((await post(app, 'events', [{ ...good, user_id: 7 }])).json).toEqual({ accepted: 1, duplicates: 0 })
    expect(await valueAt(app, 'now_count?user_id=7')).toBe(1)
    expect(await post(app, 'event', [good])).toMatchObject({
      status: 404,
      json: { error: { code: 'unknown_source', hint: 'Did you mean "events"?' } },
    })
  })
})

test('a forgotten key keeps its rows in sources, which are named; a function may have read any of them', async () => {
  await using app = await realApp({ 'features.ts': FEATURES, 'events.csv': CSV })
  expect(await valueAt(app, 'total?user_id=u1')).toBe(1.5)
  const remove = async (path: string) => {
    const response = await app.app.fetch(new Request(`http://localhost/v1/entities/${path}`, { method: 'DELETE' }))
    return { status: response.status, json: JSON.parse(await response.text()) }
  }
  const { status, json } = await remove('User/u1')
  expect({ status, ...json, forgotten_at: '' }).toEqual({
    status: 200,
    entity: { user_id: 'u1' },
    forgotten_at: '',
    online_values: 1,
    history_rows: 1,
    sources_untouched: ['events'],
  })
  expect((await remove('Pair/-?user_id=u1&shop_id=s1')).json.entity).toEqual({ user_id: 'u1', shop_id: 's1' })
  expect((await remove('Pair/u1')).json.error.code).toBe('invalid_key')
  expect((await remove('Pair/-?user_id=u1')).json.error.code).toBe('invalid_key')
  expect((await remove('User/u1?x=1')).json.error.code).toBe('invalid_key')
  expect((await remove('City/nowhere')).json.error.code).toBe('invalid_key')
  expect((await remove('Usr/u1')).json.error).toMatchObject({ code: 'unknown_entity', hint: 'Did you mean "User"?' })
  // Whoever asks again gets what the source still says.
  expect(await valueAt(app, 'total?user_id=u1')).toBe(1.5)
})
