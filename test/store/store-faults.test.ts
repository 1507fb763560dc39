/** Faults of stores that their own tests do not cause: what others do in them, and passwords that change. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import { FabraError } from '../../src/errors.ts'
import type { OnlineStore } from '../../src/store/ports/online-store.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { storeErrors } from '../../src/store/postgres/connection/store-errors.ts'
import { createRedisOnlineStore } from '../../src/store/redis/online-store.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { askRedis, startPostgres, startRedis } from '../support/servers.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(120_000)
const LIMIT_MS = 180_000
const value = { texts: ['1'], eventAt: 10, availableAt: 10, seq: 1, origin: 'computed', oldestInputAt: null } as const
const write = (store: OnlineStore) => store.write([{ entity: 'User', key: 'u1', field: 'f@1', value }])
const read = async (store: OnlineStore) => store.read('User', ['u1'], ['f@1'], undefined)
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof FabraError ? error.code : String(error)),
  )
const isDown = (store: OnlineStore) =>
  until('calls to be refused', LIMIT_MS, async () => ((await codeOf(read(store))) === 'store_unavailable' ? true : undefined))
const worksAgain = (store: OnlineStore) =>
  until('Redis to be usable', LIMIT_MS, async () =>
    (await codeOf(write(store))) === 'done' && (await codeOf(read(store))) === 'done' ? true : undefined,
  )

describe('a Redis that', () => {
  test('is busy with a script that never ends, every call has an answer, and calls succeed when it is over', async () => {
    await using server = await startRedis({ args: ['--busy-reply-threshold', '10'] })
    const store = createRedisOnlineStore(await openRedis({ url: server.url }))
    await write(store)
    const script = askRedis(server, 'EVAL', 'while true do end', '0').catch(() => 'killed')
    try {
      await isDown(store)
      expect(await Promise.all([read(store), read(store), write(store)].map(codeOf))).toEqual(Array(3).fill('store_unavailable'))
    } finally {
      await askRedis(server, 'SCRIPT', 'KILL')
    }
    await script
    await worksAgain(store)
    await store.close()
  })

  test('has another password, it is told without either, and works when it is right again', async () => {
    await using server = await startRedis({ args: ['--requirepass', 'first-password'] })
    const admin = (password: string) => ({ port: server.port, password, url: server.url.replace('//', `//:${password}@`) })
    const said: string[] = []
    const redis = await openRedis({
      url: admin('first-password').url,
      onProblem: (message, cause) => void said.push(`${message} ${cause}`),
    })
    const store = createRedisOnlineStore(redis)
    await write(store)
    await askRedis(admin('first-password'), 'CONFIG', 'SET', 'requirepass', 'second-password')
    await askRedis(admin('second-password'), 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await isDown(store)
    expect(`${said.join('\n')} ${redis.status()}`).not.toMatch(/first-password|second-password/)
    expect(redis.status()).not.toBe('ok')
    await askRedis(admin('second-password'), 'CONFIG', 'SET', 'requirepass', 'first-password')
    await worksAgain(store)
    await store.close()
  })
})

describe('a PostgreSQL that', () => {
  test('ends one of two transactions that wait for each other, and it is told as something to try again', async () => {
    await using server = await startPostgres({ settings: ['deadlock_timeout=50ms'] })
    const postgres = openPostgres({ url: server.url, maxConnections: 3 })
    await postgres.run('CREATE TABLE pairs AS SELECT n AS id, 0 AS changes FROM generate_series(1, 2) AS n', [], { timeoutMs: LIMIT_MS })
    const change = 'UPDATE pairs SET changes = changes + 1 WHERE id = $1::int'
    let holding = 0
    const { promise: bothHold, resolve } = Promise.withResolvers<void>()
    const inOrder = (first: number, second: number) =>
      storeErrors(() =>
        postgres.transaction({ timeoutMs: LIMIT_MS }, async (statements) => {
          await statements.run(change, [first])
          if (++holding === 2) resolve()
          await bothHold
          await statements.run(change, [second])
        }),
      )
    const outcomes = await Promise.allSettled([inOrder(1, 2), inOrder(2, 1)])
    const [refused, ...others] = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
    expect(others).toEqual([])
    expect([refused instanceof FabraError && refused.code, refused.retryable]).toEqual(['store_unavailable', true])
    // Of the one that was ended nothing is there.
    const { rows } = await postgres.run('SELECT changes FROM pairs ORDER BY id', [], { timeoutMs: LIMIT_MS })
    expect(rows).toEqual([['1'], ['1']])

    const other = new SQL(server.url, { max: 1 })
    const holder = await other.reserve()
    await holder`BEGIN`
    await holder`LOCK TABLE pairs`
    expect(await codeOf(storeErrors(() => postgres.run(change, [1], { timeoutMs: 300 })))).not.toBe('done')
    await holder`COMMIT`
    holder.release()
    await other.close()
    expect(await codeOf(storeErrors(() => postgres.run(change, [1], { timeoutMs: LIMIT_MS })))).toBe('done')
    const after = await postgres.run('SELECT changes FROM pairs ORDER BY id', [], { timeoutMs: LIMIT_MS })
    // What was given up at its deadline was given up on the server, too.
    expect(after.rows).toEqual([['2'], ['1']])
    await postgres.close()
  })
})
