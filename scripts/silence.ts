/** What is read once and never again must leave Redis. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../test/support/binary.ts'
import { askRedis, startPostgres, startRedis } from '../test/support/servers.ts'
import { until } from '../test/support/until.ts'
import { Replica } from './year-parts/replica.ts'

const KEYS = Number(process.argv[2] ?? 1_000_000)
const ROWS = 1_000
const MIB = 1_048_576
const HOUR = 3_600_000_000
/** Of what Redis held before: fragments, buffers of connections, figures of the minute. */
const SHARE = 1.1
const SLACK = 2 * MIB
const SWEEP_LIMIT_MS = 3_600_000
const FEATURES = `import { entity, feature } from 'fabra'
const User = entity('User', { key: 'user_id' })
export const length = feature({ entity: User, type: 'int', refresh: '12h', keep_warm: '2h', history: 'off', timeout: '20s',
  sql: 'SELECT LENGTH($user_id)' })
export const score = feature({ entity: User, type: 'int' })
`

const folder = temporaryFolder()
await using postgres = await startPostgres()
await using redis = await startRedis()
writeFileSync(join(folder, 'features.ts'), FEATURES)
const replica = new Replica({ folder, env: { FABRA_POSTGRES_URL: postgres.url, FABRA_REDIS_URL: redis.url, FABRA_LOG_LEVEL: 'info' } })
const used = async () => Number(/used_memory:(\d+)/.exec(String(await askRedis(redis, 'INFO', 'memory')))?.[1])
const say = async (what: string, from: number) =>
  console.log(
    `${what.padEnd(40)} ${((await used()) / MIB).toFixed(1).padStart(9)} MiB ${((performance.now() - from) / 1_000).toFixed(0).padStart(6)} s`,
  )
try {
  await replica.start()
  await replica.ask('/v1/features/score/values', { rows: [{ user_id: 'pushed', value: 1 }] })
  await replica.ask('/v1/features/length?user_id=first')
  await Bun.sleep(0)
  const before = await used()
  let from = performance.now()
  await say('before', from)
  for (let at = 0; at < KEYS; at += ROWS) {
    const rows = Array.from({ length: Math.min(ROWS, KEYS - at) }, (_, i) => ({ user_id: `user_${at + i}` }))
    await replica.ask('/v1/features', { features: ['length'], rows })
  }
  await say(`${KEYS} keys were read`, from)
  const wanted = SHARE * before + SLACK
  for (const sweep of [1, 2]) {
    from = performance.now()
    await replica.leap(sweep === 1 ? 3 * HOUR : HOUR)
    // A few keys are read as ever.
    let slowest = 0
    await until('the sweep', SWEEP_LIMIT_MS, async () => {
      const askedAt = performance.now()
      await replica.ask('/v1/features/score?user_id=pushed')
      slowest = Math.max(slowest, performance.now() - askedAt)
      await Bun.sleep(200)
      return /a sweep ended|computed values left Redis/.test(replica.log) || (await used()) < wanted ? true : undefined
    })
    await say(`sweep ${sweep}, slowest read ${slowest.toFixed(0)} ms`, from)
    if ((await used()) < wanted) break
  }
  const { value } = await replica.ask<{ readonly value: unknown }>('/v1/features/score?user_id=pushed')
  if (value !== 1) throw new Error(`A pushed value is gone: ${JSON.stringify(value)}`)
  if ((await used()) > wanted) throw new Error(`Redis holds ${((await used()) / MIB).toFixed(1)} MiB, ${(before / MIB).toFixed(1)} before.`)
  console.log('Redis is as small as before, and the pushed value is there.')
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await replica.end('SIGTERM').catch(() => undefined)
  rmSync(folder, { recursive: true, force: true })
}
