/**
 * Two replicas over one PostgreSQL and one Redis, under a load of reads and pushes, while one of the stores fails. After each fault: how many
 * answers, later than a second after it, contradict an acknowledged push; how long until every replica told of the fault, and how long from
 * its end until all was as before.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RunningFabra, startFabra, temporaryFolder } from '../test/support/binary.ts'
import { startPostgres, startRedis } from '../test/support/servers.ts'
import { type Fault, faults } from './chaos-parts/faults.ts'
import { Ledger } from './chaos-parts/ledger.ts'
import { nextTime, startLoad } from './chaos-parts/load.ts'
import { statusOf, whole } from './chaos-parts/whole.ts'

const KEYS = Number(process.env['KEYS'] ?? 20_000)
const RATE = Number(process.env['RATE'] ?? 500)
/** Another executable than the one just built. */
const BINARY = process.env['BINARY']
const SECONDS = Number(process.env['SECONDS'] ?? 4)
const LIMIT_MS = 300_000
const PRELOAD = 5_000

const FEATURES = `
import { entity, feature } from "fabra";
export const User = entity("User", { key: "user_id" });
export const score = feature({ entity: User, type: "int" });
`

const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
const folder = temporaryFolder()
writeFileSync(join(folder, 'features.ts'), FEATURES)
const replicas: RunningFabra[] = []
let contradictions = 0
try {
  for (const name of ['a', 'b']) {
    const cwd = join(folder, name)
    mkdirSync(cwd)
    const env = { FABRA_POSTGRES_URL: postgres.url, FABRA_REDIS_URL: redis.url }
    replicas.push(await startFabra({ cwd, file: join(folder, 'features.ts'), env, ...(BINARY === undefined ? {} : { binary: BINARY }) }))
  }
  const ledger = new Ledger()
  await preload(ledger)
  const known = faults(redis, postgres)
  const wanted = process.argv.slice(2)
  const unknown = wanted.filter((name) => !known.some((fault) => fault.name === name))
  if (unknown.length > 0) throw new Error(`No fault "${unknown.join('", "')}". Known: ${known.map(({ name }) => name).join(', ')}.`)
  console.log(`${KEYS} keys, ${RATE} requests/s: 60 % reads of a key, 20 % reads of 20 keys, 20 % pushes; two replicas.\n`)
  console.log('fault                             answers  contradictions  told (ms)    recovered (ms)  failures')
  for (const fault of wanted.length === 0 ? known : known.filter(({ name }) => wanted.includes(name))) await run(fault, ledger)
} finally {
  for (const replica of replicas) await replica.stop()
  await Promise.all([postgres[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()])
  rmSync(folder, { recursive: true, force: true })
}
console.log(`\n${contradictions} contradictions.`)
process.exitCode = contradictions === 0 ? 0 : 1

async function preload(ledger: Ledger): Promise<void> {
  const url = replicas[0]?.url
  for (let from = 0; from < KEYS; from += PRELOAD) {
    const event_timestamp = nextTime()
    const some = Array.from({ length: Math.min(PRELOAD, KEYS - from) }, (_, i) => from + i)
    const writes = some.map((n) => ledger.begin(`k${n}`, n))
    const rows = some.map((n) => ({ user_id: `k${n}`, value: n, event_timestamp }))
    const response = await fetch(`${url}/v1/features/score/values`, { method: 'POST', body: JSON.stringify({ rows }) })
    if (!response.ok) throw new Error(`The keys could not be pushed: ${response.status} ${await response.text()}`)
    for (const write of writes) ledger.end(write, 200)
  }
}

async function run(fault: Fault, ledger: Ledger): Promise<void> {
  await fault.prepare?.()
  const before = { checked: ledger.checked, contradictions: ledger.contradictions.length }
  const load = startLoad(
    replicas.map(({ url }) => url),
    ledger,
    { keys: KEYS, rate: RATE },
  )
  await Bun.sleep(1000 * SECONDS)
  const beganAt = performance.now()
  const begun = fault.begin()
  const incidents = replicas.map(({ url }) => toldOf(url, beganAt))
  await begun
  await Bun.sleep(fault.lastsMs)
  await fault.end()
  const endedAt = performance.now()
  const recovered = await Promise.all(replicas.map(({ url }) => isWhole(url, endedAt)))
  // What is contradicted from now on counts too.
  await Bun.sleep(1000 * SECONDS)
  await load.stop()
  const found = ledger.contradictions.slice(before.contradictions)
  contradictions += found.length
  const failures = [...load.failures].map(([what, count]) => `${what}: ${count}`).join(', ')
  const columns = [
    fault.name.padEnd(32),
    String(ledger.checked - before.checked).padStart(8),
    String(found.length).padStart(15),
    (await Promise.all(incidents))
      .map((ms) => (ms === undefined ? '–' : ms.toFixed(0)))
      .join(' ')
      .padStart(10),
    recovered
      .map((ms) => ms.toFixed(0))
      .join(' ')
      .padStart(17),
    ` ${failures || 'none'}; slowest ${load.slowestMs.toFixed(0)} ms`,
  ]
  console.log(columns.join(' '))
  for (const { key, answered, expected, at } of found.slice(0, 5)) {
    console.log(`  ${key} at ${(at - beganAt).toFixed(0)} ms: ${answered ?? 'nothing'} instead of ${expected}`)
  }
}

/** Milliseconds until the replica said that it is degraded; undefined: it did not in time. */
async function toldOf(url: string, beganAt: number): Promise<number | undefined> {
  for (;;) {
    const word = await statusOf(url)
    if (word === 'degraded') return performance.now() - beganAt
    if (performance.now() - beganAt > 10_000) return undefined
    await Bun.sleep(5)
  }
}

/** Milliseconds until the replica said that all is well, and served from Redis again. */
async function isWhole(url: string, endedAt: number): Promise<number> {
  await whole([url], `/v1/features/score?user_id=k${KEYS - 1}`, LIMIT_MS)
  return performance.now() - endedAt
}
