import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { FabraError } from '../../src/errors.ts'
import { SqlError } from '../../src/store/ports/source-engine.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { PostgresSqlError } from '../../src/store/postgres/connection/errors.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { readConnectionUrl } from '../../src/store/postgres/connection/url.ts'
import { startPgBouncer, startPostgres, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const LONG = { timeoutMs: 60_000 }

let server: TestServer
let bouncer: TestServer
let direct: Postgres
let pooled: Postgres
beforeAll(async () => {
  server = await startPostgres()
  bouncer = await startPgBouncer(server)
  direct = openPostgres({ url: server.url, maxConnections: 3 })
  pooled = openPostgres({ url: bouncer.url, maxConnections: 3 })
})
afterAll(async () => {
  await Promise.all([direct.close(), pooled.close()])
  await bouncer[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const failure = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  if (!(error instanceof SqlError)) throw new Error(`Not a SqlError: ${String(error)}`)
  return error
}

describe.each([
  ['PostgreSQL', () => direct],
  ['PgBouncer in transaction mode', () => pooled],
] as const)('%s', (_, client) => {
  let postgres: Postgres
  beforeAll(() => {
    postgres = client()
  })
  test('values come as the server wrote them: nothing is rounded', async () => {
    const { rows, columns, count } = await postgres.run(
      `SELECT 9007199254740993::bigint AS big, 0.1::numeric(40,30) AS exact, timestamptz '2026-01-02 03:04:05.123456+02' AS at,
        true AS yes, '{"a":1.0}'::jsonb AS doc, null::int AS nothing, ARRAY[1,2]::bigint[] AS list, 0.1::float8 AS f, interval '1 day 2 h' AS i`,
      [],
      LONG,
    )
    expect(columns.map(({ name, type }) => [name, type]).slice(0, 3)).toEqual([
      ['big', 20],
      ['exact', 1700],
      ['at', 1184],
    ])
    expect(rows).toEqual([
      [
        '9007199254740993',
        '0.100000000000000000000000000000',
        '2026-01-02 01:04:05.123456+00',
        't',
        '{"a": 1.0}',
        null,
        '{1,2}',
        '0.1',
        '1 day 02:00:00',
      ],
    ])
    expect(count).toBe(1)
  })

  test('parameters are bound, lists and odd texts too', async () => {
    const odd = ['a"b', 'c\\d', '{,}', 'NULL', null, '', "it's; --", 'é😀\n']
    const { rows } = await postgres.run(
      'SELECT x, $2::bigint, $3::boolean, $4::text, $5::float8 FROM unnest($1::text[]) AS x',
      [odd, 9007199254740993n, true, null, 0.1],
      LONG,
    )
    expect(rows).toEqual(odd.map((text) => [text, '9007199254740993', 't', null, '0.1']))
  })

  test('the types of parameters can be told, and a statement described without running', async () => {
    const typed = await postgres.transaction(LONG, (tx) => tx.run('SELECT pg_typeof($1), $1', ['7'], [20]))
    expect(typed.rows).toEqual([['bigint', '7']])
    const described = await postgres.transaction(LONG, (tx) => tx.describe('SELECT $1::uuid AS id, $2 || $2 AS t, 1/0 AS n', [0, 25]))
    expect(described).toEqual({
      parameters: [2950, 25],
      columns: [
        { name: 'id', type: 2950 },
        { name: 't', type: 25 },
        { name: 'n', type: 23 },
      ],
    })
  })

  test('a text with two statements is refused', async () => {
    expect((await failure(postgres.run('SELECT 1; SELECT 2', [], LONG))).kind).toBe('syntax')
  })

  test('errors say what kind they are, where, and with which state', async () => {
    const binding = await failure(postgres.run("SELECT '😀', nothing", [], LONG))
    expect(binding).toMatchObject({ kind: 'binding', state: '42703', message: 'column "nothing" does not exist' })
    expect(binding.position).toBe("SELECT '😀', ".length)
    expect(await failure(postgres.run('SELEC 1', [], LONG))).toMatchObject({ kind: 'syntax', position: 0 })
    expect(await failure(postgres.run('SELECT 1/0', [], LONG))).toMatchObject({ kind: 'runtime' })
    expect((await postgres.run('SELECT 1', [], LONG)).rows).toEqual([['1']])
  })

  test('a transaction is committed whole or not at all', async () => {
    await postgres.run('DROP TABLE IF EXISTS kept', [], LONG)
    await postgres.run('CREATE TABLE kept (x int)', [], LONG)
    const half = postgres.transaction(LONG, async (tx) => {
      await tx.run('INSERT INTO kept VALUES (1)')
      throw new Error('mine')
    })
    expect(half).rejects.toThrow('mine')
    await half.catch(() => undefined)
    const hidden = postgres.transaction(LONG, async (tx) => {
      await tx.run('INSERT INTO kept VALUES (2)')
      await tx.run('SELECT 1/0').catch(() => undefined)
    })
    expect(await failure(hidden)).toMatchObject({ state: '25P02' })
    expect(await postgres.transaction(LONG, async (tx) => (await tx.run('INSERT INTO kept VALUES (3), (4)')).count)).toBe(2)
    expect((await postgres.run('SELECT x FROM kept ORDER BY x', [], LONG)).rows).toEqual([['3'], ['4']])
  })

  test('read-only work cannot write', async () => {
    const write = postgres.run('CREATE TABLE forbidden (x int)', [], { ...LONG, readOnly: true })
    expect(await failure(write)).toMatchObject({ kind: 'binding', state: '25006' })
  })

  test('a slow statement ends at its deadline, on the server too', async () => {
    expect((await failure(postgres.run('SELECT pg_sleep(60)', [], { timeoutMs: 150 }))).kind).toBe('timeout')
    await nothingRuns()
  })

  test('an aborted statement frees its caller, and the server stops', async () => {
    const giveUp = new AbortController()
    const slow = failure(postgres.run('SELECT pg_sleep(60)', [], { timeoutMs: 60_000, signal: giveUp.signal }))
    await until('the statement runs', 10_000, async () => (await running()) > 0 || undefined)
    giveUp.abort()
    expect((await slow).kind).toBe('interrupted')
    await nothingRuns()
    expect((await failure(postgres.run('SELECT 1', [], { ...LONG, signal: giveUp.signal }))).kind).toBe('interrupted')
  })

  test('a hundred statements at once share the connections', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => postgres.run('SELECT $1::int', [i], LONG)))
    expect(answers.map(({ rows }) => Number(rows[0]?.[0]))).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  const running = async () => {
    const text = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"
    return Number((await postgres.run(text, [], LONG)).rows[0]?.[0])
  }
  const nothingRuns = () => until('nothing sleeps on the server', 10_000, async () => (await running()) === 0 || undefined)
})

describe('a PostgreSQL server', () => {
  test("a user's table is neither looked for nor made in Fabra's schema, though the role is called like it", async () => {
    await direct.run('CREATE SCHEMA fabra', [], LONG)
    await direct.run('CREATE TABLE fabra.runs (x int)', [], LONG)
    await direct.run('CREATE TABLE runs AS SELECT 7 AS x', [], LONG)
    const fresh = openPostgres({ url: server.url })
    for (const client of [direct, fresh]) expect((await client.run('SELECT x FROM runs', [], LONG)).rows).toEqual([['7']])
    expect((await fresh.run("SELECT to_regclass('public.runs') IS NOT NULL", [], LONG)).rows).toEqual([['t']])
    await fresh.close()
  })

  test('the wait for a connection counts, and only so many may wait', async () => {
    const narrow = openPostgres({ url: server.url, maxConnections: 1, maxWaiting: 1 })
    const held = Promise.withResolvers<void>()
    const first = narrow.transaction(LONG, () => held.promise)
    const second = failure(narrow.run('SELECT 1', [], { timeoutMs: 100 }))
    expect((await failure(narrow.run('SELECT 1', [], LONG))).kind).toBe('unavailable')
    expect((await second).kind).toBe('timeout')
    held.resolve()
    await first
    expect((await narrow.run('SELECT 1', [], LONG)).rows).toEqual([['1']])
    await narrow.close()
  })

  test('what is urgent has the next connection, whoever waits already and however many', async () => {
    const narrow = openPostgres({ url: server.url, maxConnections: 1, maxWaiting: 1 })
    const held = Promise.withResolvers<void>()
    const holding = narrow.transaction(LONG, () => held.promise)
    const order: string[] = []
    const ask = async (name: string, isUrgent: boolean) => {
      await narrow.run('SELECT 1', [], { ...LONG, isUrgent })
      order.push(name)
    }
    const waiting = [ask('first', false), ask('urgent', true)]
    held.resolve()
    await Promise.all([holding, ...waiting])
    expect(order).toEqual(['urgent', 'first'])
    await narrow.close()
  })

  test('a stalled server costs its callers their deadline, and is used again when it goes on', async () => {
    const pid = Number((await direct.run('SELECT pg_backend_pid()', [], LONG)).rows[0]?.[0])
    process.kill(pid, 'SIGSTOP')
    try {
      const answers = await Promise.all([1, 2, 3, 4].map(() => direct.run('SELECT 1', [], { timeoutMs: 300 }).catch((error) => error.kind)))
      expect(answers).toContain('timeout')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    expect((await direct.run('SELECT 1', [], LONG)).rows).toEqual([['1']])
  })

  test('a server that is down is told at once, and found again when it is back', async () => {
    const other = await startPostgres()
    const client = openPostgres({ url: other.url })
    await Promise.all([1, 2].map(() => client.run('SELECT 1', [], LONG)))
    await other.kill()
    // Its children answer for a moment longer.
    const down = await until('it is noticed', 5_000, () =>
      client.run('SELECT 1', [], LONG).then(
        () => undefined,
        (error: SqlError) => error,
      ),
    )
    expect(down).toMatchObject({ kind: 'unavailable' })
    expect(`${down.message}${String(down.cause)}`).not.toContain('SELECT')
    await other.start()
    expect((await client.run('SELECT 1', [], { ...LONG, readOnly: true })).rows).toEqual([['1']])
    await other.stop()
    await other.start()
    // Every connection is dead, and no statement has found it out yet.
    expect((await client.run('SELECT 1', [], { ...LONG, readOnly: true })).rows).toEqual([['1']])
    await client.close()
    await other[Symbol.asyncDispose]()
  })

  test('a server that opens the door and shuts it without a word is given up', async () => {
    const rude = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { open: (socket) => void socket.end(), data: () => undefined } })
    const client = openPostgres({ url: `postgres://u@127.0.0.1:${rude.port}/d`, connectTimeoutMs: 200 })
    expect((await failure(client.run('SELECT 1', [], { timeoutMs: 60_000 }))).kind).toBe('unavailable')
    expect((await failure(client.transaction({ timeoutMs: 60_000 }, (tx) => tx.run('SELECT 1')))).kind).toBe('unavailable')
    await client.close()
    rude.stop(true)
  })

  test('what is told to the server at the start of a session holds', async () => {
    const client = openPostgres({ url: `${server.url}?options=${encodeURIComponent('-c search_path=pg_catalog -c work_mem=7MB')}` })
    expect((await client.run("SELECT current_setting('work_mem')", [], LONG)).rows).toEqual([['7MB']])
    await client.close()
  })

  test('what is missing on the server is told without names', async () => {
    const wrong = openPostgres({ url: server.url.replace(/\/fabra$/, '/nowhere') })
    const error = await failure(wrong.run('SELECT 1', [], LONG))
    expect(error).toBeInstanceOf(PostgresSqlError)
    expect(error).toMatchObject({ kind: 'unavailable', message: 'PostgreSQL has no database of that name.' })
    await wrong.close()
  })

  test('after closing nothing is asked any more', async () => {
    const closed = openPostgres({ url: server.url })
    await closed.run('SELECT 1', [], LONG)
    await closed.close()
    expect((await failure(closed.run('SELECT 1', [], LONG))).kind).toBe('unavailable')
  })
})

describe('a connection URL', () => {
  test.each([
    ['postgres://u:p@h:1/d', { hosts: [{ host: 'h', port: 1 }], user: 'u', password: 'p', database: 'd', tls: 'prefer' }],
    ['postgresql://u@h/d', { hosts: [{ host: 'h', port: 5432 }], user: 'u', password: undefined }],
    ['postgresql+asyncpg://u:p%40%2F@h/d?ssl=require', { password: 'p@/', tls: 'require' }],
    ['postgresql+psycopg://u@h/d?sslmode=verify-full', { tls: { rejectUnauthorized: true } }],
    [
      'postgres://u@a:1,b:2/d?target_session_attrs=primary',
      {
        hosts: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
        ],
        sessionAttributes: 'primary',
      },
    ],
    ['postgres://u@[::1]:7/d?sslmode=prefer', { hosts: [{ host: '::1', port: 7 }], tls: 'prefer' }],
    ['postgres:///d?host=/var/run/postgresql', { hosts: [{ host: '/var/run/postgresql', port: 5432 }], database: 'd', tls: false }],
    ['postgres://h/d?ssl=true&connect_timeout=3', { tls: 'require', connectTimeoutMs: 3000 }],
  ])('%s is understood', (url, wanted) => {
    expect(readConnectionUrl(url)).toMatchObject(wanted)
  })

  test.each([
    ['mysql://u:secret@h/d'],
    ['postgres://u:sec#ret@h/d'],
    ['postgres://u:secret%zz@h/d'],
    ['postgres://u:secret@h/d?sslmode=maybe'],
    ['u:secret@h'],
  ])('%s is refused, and never repeated', (url) => {
    const read = () => readConnectionUrl(url)
    expect(read).toThrow(FabraError)
    try {
      read()
    } catch (error) {
      expect(String(error)).not.toContain('sec')
    }
  })
})
