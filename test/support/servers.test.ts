import { expect, setDefaultTimeout, test } from 'bun:test'
import { RedisClient, SQL } from 'bun'
import { startPostgres, startRedis } from './servers.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

test('a Redis server starts empty, and comes back on its port after it was killed', async () => {
  await using redis = await startRedis()
  const client = new RedisClient(redis.url)
  expect(await client.get('key')).toBeNull()
  await client.set('key', 'value')
  expect(await client.get('key')).toBe('value')
  client.close()
  const pid = redis.pid()
  await redis.kill()
  expect(redis.pid()).toBeUndefined()
  await redis.start()
  expect(redis.pid()).not.toBe(pid)
})

test('a PostgreSQL server starts empty, and keeps its rows over a restart', async () => {
  await using postgres = await startPostgres()
  const before = new SQL(postgres.url)
  await before`CREATE TABLE kept AS SELECT 1 AS value`
  await before.close()
  await postgres.stop()
  await postgres.start()
  const after = new SQL(postgres.url)
  expect([...(await after`SELECT value FROM kept`)]).toEqual([{ value: 1 }])
  await after.close()
})
