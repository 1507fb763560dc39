/** Rows that PostgreSQL refuses for good hold up nothing but themselves; what may be mended refuses nothing for good. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import { type RealApp, realApp } from '../support/real-app.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const FEATURES = `
import { entity, feature } from "fabra";
export const User = entity("User", { key: "user_id" });
export const score = feature({ entity: User, type: "string" });
export const name_of = feature({ entity: User, refresh: "1h", type: "string", timeout: "20s" }, async (id) => "name of " + id);
export const smile = feature({ entity: User, refresh: "1h", type: "string", timeout: "20s" }, async () => "☺");
`
const EMOJI = '😀'

let postgres: TestServer
let app: RealApp
let sql: SQL
let count = 0

beforeAll(async () => {
  postgres = await startPostgres({ withTemplate0: true })
})
afterAll(() => postgres[Symbol.asyncDispose]())
async function close() {
  await app[Symbol.asyncDispose]()
  await sql.close()
}

async function open(encoding: string) {
  const name = `refused_${++count}`
  await using admin = new SQL(postgres.url, { max: 1 })
  await admin.unsafe(`CREATE DATABASE ${name} ENCODING '${encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`)
  const url = postgres.url.replace(/\/[^/]*$/, `/${name}`)
  sql = new SQL(url, { max: 1 })
  app = await realApp({ 'features.ts': FEATURES }, { FABRA_POSTGRES_URL: url })
}

async function push(rows: readonly { readonly user_id: string; readonly value: string }[], feature = 'score') {
  const { status, text } = await app.post(`/v1/features/${feature}/values`, { rows })
  const json = JSON.parse(text)
  return { status, json, code: json.error?.code, message: json.error?.message }
}
const read = async (feature: string, user: string) =>
  JSON.parse((await app.get(`/v1/features/${feature}?entity_id=${encodeURIComponent(user)}`)).text)
const metric = async (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec((await app.get('/metrics')).text)?.[1])
const keysOf = async (feature: string) =>
  (await sql`SELECT entity_key FROM fabra.feature_history WHERE feature = ${feature} ORDER BY entity_key`.values()).map(
    (row: unknown[]) => row[0],
  )
const inHistory = (feature: string, key: string) =>
  until(`${key} in history`, 10_000, async () => ((await keysOf(feature)).includes(key) ? true : undefined))

describe('in a database whose encoding lacks a character', () => {
  afterEach(close)

  test('a key that a reader asks for is served, set aside and told of; other rows go on', async () => {
    await open('LATIN1')
    expect(await read('name_of', `${EMOJI}1`)).toMatchObject({ value: `name of ${EMOJI}1`, status: 'fresh' })
    const others = await Promise.all(['a', 'é', 'b'].map((user) => read('name_of', user)))
    expect(others.map(({ value }) => value)).toEqual(['name of a', 'name of é', 'name of b'])
    expect(await push([{ user_id: 'u1', value: 'é' }])).toMatchObject({ status: 200 })
    for (const key of ['a', 'b', 'é']) await inHistory('name_of', key)
    expect(await keysOf('name_of')).toEqual(['a', 'b', 'é'])
    await until('it is counted', 5_000, async () => ((await metric('fabra_history_rows_set_aside_total')) === 1 ? true : undefined))
    const ready = await app.get('/ready')
    expect(ready.status).toBe(200)
    expect(JSON.parse(ready.text).stores.postgres).toMatch(
      /^ok; 1 rows of history were refused for good and set aside, the last of "name_of": .*encoding/,
    )
    expect(await metric('fabra_history_rows_waiting')).toBe(0)
    expect(await metric('fabra_history_failures_total')).toBe(0)
    expect((await app.get('/metrics')).text).toContain('fabra_store_up{store="postgres"} 1')
    await app.restart()
    expect(await read('name_of', `${EMOJI}1`)).toMatchObject({ value: `name of ${EMOJI}1` })
    expect(await read('score', 'u1')).toMatchObject({ value: 'é' })
  })

  test('a value that a feature computes is served and set aside, however many keys have it', async () => {
    await open('LATIN1')
    const rows = Array.from({ length: 500 }, (_, i) => ({ user_id: `u${i}` }))
    const { text } = await app.post('/v1/features', { features: ['smile', 'name_of'], rows })
    expect(JSON.parse(text).results.every((one: { values: unknown[] }) => one.values[0] === '☺')).toBe(true)
    await until('all are set aside', 10_000, async () => ((await metric('fabra_history_rows_set_aside_total')) === 500 ? true : undefined))
    await until('the others', 10_000, async () => ((await keysOf('name_of')).length === 500 ? true : undefined))
    expect(await keysOf('smile')).toEqual([])
  })

  test('a push with it is refused, row and all, and is never served; pushes beside it are accepted', async () => {
    await open('LATIN1')
    const answers = await Promise.all([
      push([{ user_id: 'a', value: 'x' }]),
      push([
        { user_id: 'b', value: 'x' },
        { user_id: 'c', value: EMOJI },
        { user_id: 'd', value: 'x' },
      ]),
      push([{ user_id: 'e', value: 'x' }]),
      push([{ user_id: EMOJI, value: 'x' }]),
      push([{ user_id: 'a', value: EMOJI }], 'name_of'),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 422, 200, 422, 422])
    expect(answers[1]).toMatchObject({ code: 'invalid_value', message: expect.stringMatching(/^Row 1 cannot be stored: .*encoding/) })
    expect(answers[3]).toMatchObject({ code: 'invalid_value', message: expect.stringMatching(/^Row 0 /) })
    expect(await keysOf('score')).toEqual(['a', 'e'])
    for (const user of ['b', 'c', 'd', EMOJI]) expect(await read('score', user)).toMatchObject({ status: 'missing' })
    expect(await read('score', 'e')).toMatchObject({ value: 'x' })
    expect(await metric('fabra_history_rows_set_aside_total')).toBe(0)
    // Part of what was refused, without the rest.
    expect(await push([{ user_id: 'b', value: 'x' }])).toMatchObject({ status: 200, json: { accepted: 1 } })
  })
})

/** History that refuses keys beginning with "bad", with an error of the code in the table `refusal`. */
const REFUSING = `
CREATE TABLE public.refusal AS SELECT NULL::text AS state;
CREATE FUNCTION public.refuse_bad() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE code text;
BEGIN
  SELECT state INTO code FROM public.refusal;
  IF code IS NOT NULL AND NEW.entity_key LIKE 'bad%' THEN RAISE EXCEPTION 'secret words' USING ERRCODE = code; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refuse_bad BEFORE INSERT ON fabra.history_packed FOR EACH ROW EXECUTE FUNCTION public.refuse_bad()`
const refuseBad = (state: string | null) => sql`UPDATE public.refusal SET state = ${state}`

describe('an error of the server', () => {
  // One database for all: each has keys of its own.
  beforeAll(async () => {
    await open('UTF8')
    await sql.unsafe(REFUSING)
  })
  afterAll(close)

  const counted = () => metric('fabra_history_rows_set_aside_total')
  test.each(['22003', '22P05', '23505', '23514', '44000', '54000', 'P0001'])(
    '%s is the row: its push gets a 422, what is computed of it is set aside, others go on',
    async (state) => {
      const before = await counted()
      await refuseBad(state)
      const own = (name: string) => `${name}-${state}`
      expect(await read('name_of', own('bad'))).toMatchObject({ value: `name of ${own('bad')}`, status: 'fresh' })
      const answers = await Promise.all(['a', 'bad1', 'b', 'bad2', 'c'].map((name) => push([{ user_id: own(name), value: 'x' }])))
      expect(answers.map(({ status }) => status)).toEqual([200, 422, 200, 422, 200])
      expect(JSON.stringify(answers)).not.toContain('secret')
      expect(await read('score', own('bad1'))).toMatchObject({ status: 'missing' })
      await read('name_of', own('good'))
      await inHistory('name_of', own('good'))
      expect((await keysOf('score')).filter((key: unknown) => String(key).endsWith(state))).toEqual(['a', 'b', 'c'].map(own))
      await until('it is counted', 5_000, async () => ((await counted()) === before + 1 ? true : undefined))
    },
  )

  test.each(['53100', '57P03', '42501', '40001', 'XX000', '25006'])(
    '%s is an outage: a push is refused for now, what is computed waits, nothing is set aside',
    async (state) => {
      const [before, failures] = [await counted(), await metric('fabra_history_failures_total')]
      await refuseBad(state)
      const own = (name: string) => `${name}-${state}`
      expect(await push([{ user_id: own('bad1'), value: 'x' }])).toMatchObject({ status: 503, code: 'store_unavailable' })
      expect(await read('name_of', own('bad'))).toMatchObject({ value: `name of ${own('bad')}`, status: 'fresh' })
      await until('it is tried', 5_000, async () => ((await metric('fabra_history_failures_total')) > failures + 3 ? true : undefined))
      expect(JSON.parse((await app.get('/ready')).text).stores.postgres).toContain('history cannot be written')
      await refuseBad(null)
      await inHistory('name_of', own('bad'))
      expect((await keysOf('score')).filter((key: unknown) => String(key).endsWith(state))).toEqual([])
      expect(await read('score', own('bad1'))).toMatchObject({ status: 'missing' })
      expect(await counted()).toBe(before)
    },
  )
})
