/** What a push is told is what becomes of it, whatever PostgreSQL and the network before it do. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import { type ProxyMode, startPostgresProxy } from '../support/postgres-proxy.ts'
import { realApp } from '../support/real-app.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created, and pushes wait for five seconds.
setDefaultTimeout(180_000)

const FEATURES = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const score = feature({ entity: User, type: "int" });
export const buys = source("buys", { timestamp: "at", id: "id", columns: { id: "VARCHAR", user_id: "VARCHAR", at: "TIMESTAMPTZ" } });
export const clicks = source("clicks", { timestamp: "at", columns: { user_id: "VARCHAR", at: "TIMESTAMPTZ" } });
`
/** Five seconds, and what a busy machine takes besides. */
const DEADLINE_MS = 30_000
const AT = '2026-01-02T00:00:00Z'

let postgres: TestServer
let count = 0

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())

/** A database of its own behind a proxy, and Fabra over both: the tests mostly wait, and so run at once. */
async function world() {
  const name = `push_${++count}`
  await using admin = new SQL(postgres.url, { max: 1 })
  await admin.unsafe(`CREATE DATABASE ${name}`)
  const url = postgres.url.replace(/\/[^/]*$/, `/${name}`)
  const sql = new SQL(url, { max: 1 })
  const proxy = await startPostgresProxy({ url, port: postgres.port })
  const app = await realApp({ 'features.ts': FEATURES }, { FABRA_POSTGRES_URL: proxy.url })

  async function push(user: string, value: number | null, options: { at?: string | undefined; feature?: string } = { at: AT }) {
    const stamp = options.at === undefined ? {} : { event_timestamp: options.at }
    const what = value === null ? { delete: true } : { value }
    const began = performance.now()
    const { status, text } = await app.post(`/v1/features/${options.feature ?? 'score'}/values`, {
      rows: [{ user_id: user, ...what, ...stamp }],
    })
    const json = JSON.parse(text)
    return { status, code: json.error?.code, message: json.error?.message, json, tookMs: performance.now() - began }
  }

  async function append(source: 'buys' | 'clicks', user_id: string) {
    const began = performance.now()
    const row = { user_id, at: AT, ...(source === 'buys' ? { id: user_id } : {}) }
    const { status, text } = await app.post(`/v1/sources/${source}/rows`, { rows: [row] })
    const json = JSON.parse(text)
    return { status, code: json.error?.code, json, tookMs: performance.now() - began }
  }

  return {
    sql,
    proxy,
    app,
    push,
    append,
    read: async (user: string) => JSON.parse((await app.get(`/v1/features/score?entity_id=${user}`)).text),
    rowsOf: async (user: string) =>
      (await sql`SELECT value, seq FROM fabra.feature_history WHERE entity_key = ${user} ORDER BY seq`.values()).map(
        (row: unknown[]) => row[0],
      ),
    eventsOf: async (source: string, user: string) =>
      Number((await sql.unsafe(`SELECT COUNT(*) FROM ${source} WHERE user_id = '${user}'`).values())[0]?.[0]),
    forget: () => app.app.fetch(new Request('http://127.0.0.1:8000/v1/entities/User/u1', { method: 'DELETE' })),
    works: () =>
      until('pushes are taken', 15_000, async () => ((await push('probe', 1, { at: undefined })).status === 200 ? true : undefined)),
    async [Symbol.asyncDispose]() {
      proxy.set('pass')
      await app[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
      await sql.close()
    },
  }
}

describe.concurrent('a push that is refused is neither served nor in history, then and later', () => {
  test.each<[string, ProxyMode]>([
    ['PostgreSQL cannot be reached', 'refuse'],
    ['the network to PostgreSQL hangs', 'hold'],
  ])('when %s', async (_, mode) => {
    await using its = await world()
    const { proxy, app, push, read, rowsOf, works } = its
    await push('u1', 1, { at: '2026-01-01T00:00:00Z' })
    proxy.set(mode)
    const [value, tombstone, first] = await Promise.all([push('u1', 2), push('u1', null, { at: '2026-01-03T00:00:00Z' }), push('u2', 3)])
    for (const one of [value, tombstone, first]) {
      expect(one).toMatchObject({ status: 503, code: 'store_unavailable' })
      expect(one.tookMs).toBeLessThan(DEADLINE_MS)
    }
    expect(await read('u1')).toMatchObject({ value: 1 })
    expect(await read('u2')).toMatchObject({ status: 'missing' })
    proxy.set('pass')
    await works()
    expect(await read('u1')).toMatchObject({ value: 1 })
    expect(await read('u2')).toMatchObject({ status: 'missing' })
    expect([await rowsOf('u1'), await rowsOf('u2')]).toEqual([['1'], []])
    expect(await push('u1', 2)).toMatchObject({ status: 200, json: { accepted: 1, duplicates: 0 } })
    expect(await read('u1')).toMatchObject({ value: 2 })
    await app.restart()
    expect(await read('u1')).toMatchObject({ value: 2 })
  })

  test('though the statement was under way when time was up', async () => {
    await using its = await world()
    const { sql, push, read, rowsOf, works } = its
    await push('u1', 1, { at: '2026-01-01T00:00:00Z' })
    // A lock on history: the INSERT waits.
    const hold = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const holding = sql.begin(async (transaction) => {
      await transaction`LOCK TABLE fabra.feature_history IN ACCESS EXCLUSIVE MODE`
      held.resolve()
      await hold.promise
    })
    await held.promise
    const refused = await push('u1', 2)
    expect(refused).toMatchObject({ status: 503, code: 'store_unavailable' })
    expect(refused.tookMs).toBeLessThan(DEADLINE_MS)
    hold.resolve()
    await holding
    await works()
    expect(await read('u1')).toMatchObject({ value: 1 })
    expect(await rowsOf('u1')).toEqual(['1'])
  })

  test('and a forgotten key is not forgotten by halves', async () => {
    await using its = await world()
    const { proxy, push, read, rowsOf, forget, works } = its
    await push('u1', 1)
    proxy.set('refuse')
    expect((await forget()).status).toBe(503)
    expect(await read('u1')).toMatchObject({ value: 1 })
    proxy.set('pass')
    await works()
    expect(await read('u1')).toMatchObject({ value: 1 })
    expect((await forget()).status).toBe(200)
    expect(await read('u1')).toMatchObject({ status: 'missing' })
    expect(await rowsOf('u1')).toEqual([])
  })
})

test.concurrent('a key whose forgetting is not answered is forgotten, or is when it is sent again', async () => {
  await using its = await world()
  const { proxy, app, push, read, forget, works } = its
  await push('u1', 1)
  proxy.set('hold after commits')
  // On a busy machine the time may be over before the commit is sent, and the outcome known.
  const unknown = await until('an outcome that is not known', DEADLINE_MS, async () => {
    const answer = await forget()
    return answer.status === 503 ? undefined : answer
  })
  expect([unknown.status, ((await unknown.json()) as { error: { code: string } }).error.code]).toEqual([504, 'outcome_unknown'])
  proxy.set('pass')
  await works()
  expect((await forget()).status).toBe(200)
  expect(await read('u1')).toMatchObject({ status: 'missing' })
  await app.restart()
  expect(await read('u1')).toMatchObject({ status: 'missing' })
})

describe.concurrent('the answer of a commit', () => {
  test('that is lost is asked for again: the push is accepted, once', async () => {
    await using its = await world()
    const { proxy, push, read, rowsOf } = its
    // The month's partition is there, and rows without a time are looked up nowhere: the COMMIT that is lost is that of the row.
    await push('u0', 1, { at: undefined })
    proxy.set('lose answers of commits')
    const pushed = push('u1', 1, { at: undefined })
    await until('a COMMIT', 10_000, async () => (proxy.commits() > 0 ? true : undefined))
    proxy.set('pass')
    expect(await pushed).toMatchObject({ status: 200, json: { accepted: 1 } })
    expect(await read('u1')).toMatchObject({ value: 1 })
    expect(await rowsOf('u1')).toEqual(['1'])
  })

  test.each<[string, ProxyMode, number]>([
    ['after it was stored', 'hold after commits', 1],
    ['before it was stored', 'hold before commits', 0],
  ])('that does not come, %s, is an unknown outcome; repeating the push ends in one state', async (_, mode, stored) => {
    await using its = await world()
    const { proxy, app, push, read, rowsOf, works } = its
    await push('u1', 1, { at: '2026-01-01T00:00:00Z' })
    proxy.set(mode)
    const pushed = push('u1', 2)
    await until('a COMMIT', 10_000, async () => (proxy.commits() > 0 ? true : undefined))
    const undated = push('u3', 5, { at: undefined })
    const unknown = await pushed
    expect(unknown).toMatchObject({ status: 504, code: 'outcome_unknown' })
    expect(unknown.tookMs).toBeLessThan(DEADLINE_MS)
    // It came too late for that commit.
    expect((await undated).status).toBe(503)
    expect((await rowsOf('u1')).length).toBe(1 + stored)
    // While it hangs, what comes is refused, and what was unknown stays so.
    const [again, fresh] = await Promise.all([push('u1', 2), push('u2', 1)])
    expect([again.status, fresh.status]).toEqual([504, 503])
    proxy.set('pass')
    await works()
    expect(await push('u1', 2)).toMatchObject({ status: 200, json: { accepted: 0, duplicates: 1 } })
    expect(await read('u1')).toMatchObject({ value: 2 })
    expect(await rowsOf('u1')).toEqual(['1', '2'])
    expect(await rowsOf('u2')).toEqual([])
    expect(await rowsOf('u3')).toEqual([])
    await app.restart()
    expect([await read('u1'), await read('u3')]).toMatchObject([{ value: 2 }, { status: 'missing' }])
  })
})

test.concurrent('a push that repeats one under way is answered as that one is', async () => {
  await using its = await world()
  const { proxy, push, rowsOf, works } = its
  const answers = await Promise.all(Array.from({ length: 20 }, () => push('u1', 1)))
  expect(answers.reduce((sum, { json }) => sum + json.accepted, 0)).toBe(1)
  proxy.set('refuse')
  const refused = await Promise.all(Array.from({ length: 20 }, () => push('u2', 1)))
  expect(refused.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 503))
  proxy.set('pass')
  await works()
  expect(await rowsOf('u2')).toEqual([])
})

describe.concurrent.each(['buys', 'clicks'] as const)('events of %s', (source) => {
  test.each<ProxyMode>(['refuse', 'hold'])('that are refused are not in the table, then and later (%s)', async (mode) => {
    await using its = await world()
    const { proxy, append, eventsOf } = its
    expect((await append(source, 'u0')).status).toBe(200)
    proxy.set(mode)
    const refused = await append(source, 'u1')
    expect(refused).toMatchObject({ status: 503, code: 'store_unavailable' })
    expect(refused.tookMs).toBeLessThan(DEADLINE_MS)
    proxy.set('pass')
    await until('events are taken', 15_000, async () => ((await append(source, 'u0')).status === 200 ? true : undefined))
    expect(await eventsOf(source, 'u1')).toBe(0)
  })

  test('whose answer is lost are asked for: accepted, once', async () => {
    await using its = await world()
    const { proxy, append, eventsOf } = its
    expect((await append(source, 'u0')).status).toBe(200)
    proxy.set('lose answers of commits')
    const appended = append(source, 'u1')
    await until('a COMMIT', 10_000, async () => ((await eventsOf(source, 'u1')) > 0 ? true : undefined))
    proxy.set('pass')
    expect(await appended).toMatchObject({ status: 200, json: { accepted: 1, duplicates: 0 } })
    expect(await eventsOf(source, 'u1')).toBe(1)
  })

  test('whose answer does not come are an unknown outcome', async () => {
    await using its = await world()
    const { proxy, append, eventsOf } = its
    expect((await append(source, 'u0')).status).toBe(200)
    proxy.set('hold after commits')
    const unknown = await append(source, 'u1')
    expect(unknown).toMatchObject({ status: 504, code: 'outcome_unknown' })
    expect(unknown.tookMs).toBeLessThan(DEADLINE_MS)
    proxy.set('pass')
    await until('events are taken', 15_000, async () => ((await append(source, 'u0')).status === 200 ? true : undefined))
    if (source === 'buys') expect(await append(source, 'u1')).toMatchObject({ status: 200, json: { accepted: 0, duplicates: 1 } })
    expect(await eventsOf(source, 'u1')).toBe(1)
  })
})
