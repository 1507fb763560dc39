/** What becomes of three times as many requests as can be answered. Prints a row for each kind of request, with what is not as promised. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startFabra, temporaryFolder } from '../test/support/binary.ts'
import { startRedis } from '../test/support/servers.ts'
import { peak, pinServer } from './benches/load.ts'
import type { Flooded, Stretch } from './overload-parts/flooded.ts'
import { delayedPathTo } from './soak-parts/delayed-path.ts'

const SECONDS = Number(process.env['SECONDS'] ?? 8)
const CONNECTIONS = Number(process.env['CONNECTIONS'] ?? 1_500)
const BINARY = process.env['BINARY']
const LOAD_CORE = '1'
const PEAK_SECONDS = 3
const KEYS = 10_000
/** Of features without a timeout of their own. */
const DEADLINE_MS = 1_000
const RECOVERY_MS = 2_000
/** Of the peak, while three times as much is asked. */
const GOODPUT = 0.7
const PROBED_EVERY_MS = 100

const TYPESCRIPT = `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'at', file: 'events.csv' })
export const score = feature({ entity: User, type: 'int' })
export const counted = feature({ entity: User, refresh: 0, sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const busy = feature({ entity: User, refresh: 0, type: 'int' }, () => { let n = 0; for (let i = 0; i < 3e5; i++) n = (n + i) % 7; return n })
export const quick = feature({ entity: User, refresh: 0, type: 'int' }, (userId) => userId.length)
export const waits = feature({ entity: User, refresh: 0, type: 'int' }, async () => { await new Promise((resolve) => setTimeout(resolve, 200)); return 1 })
`
const PYTHON = `from fabra import entity, feature

User = entity("User", key="user_id")

@feature(entity=User, refresh=0)
def py_quick(user_id: str) -> int:
    return len(user_id)

@feature(entity=User, refresh=0)
def py_busy(user_id: str) -> int:
    return sum(i % 7 for i in range(6000))
`

interface Kind {
  readonly feature: string
  /** With which its peak is measured. Default 64: where a few keep it busy, so many ask for too much already. */
  readonly connections?: number
  /** Redis is there, and each answer of it comes so late. */
  readonly redisDelayMs?: number
}

const KINDS: Readonly<Record<string, Kind>> = {
  memory: { feature: 'score' },
  sql: { feature: 'counted', connections: 500 },
  typescript: { feature: 'quick' },
  'busy-typescript': { feature: 'busy', connections: 8 },
  waiting: { feature: 'waits' },
  python: { feature: 'py_quick' },
  'busy-python': { feature: 'py_busy', connections: 8 },
  redis: { feature: 'score', redisDelayMs: 50, connections: 500 },
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(KINDS)
const unknown = wanted.filter((name) => !Object.hasOwn(KINDS, name))
if (unknown.length > 0) throw new Error(`No kind "${unknown.join('", "')}". Known: ${Object.keys(KINDS).join(', ')}.`)
let broken = 0
for (const name of wanted) broken += (await tried(name, KINDS[name] as Kind)).length
process.exit(broken === 0 ? 0 : 1)

async function tried(name: string, { feature, redisDelayMs, connections = 64 }: Kind): Promise<readonly string[]> {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'features.ts'), TYPESCRIPT)
  writeFileSync(join(folder, 'features.py'), PYTHON)
  const events = Array.from({ length: 100_000 }, (_, i) => `u${i % KEYS},2026-01-01T00:00:00Z`)
  writeFileSync(join(folder, 'events.csv'), `user_id,at\n${events.join('\n')}\n`)
  await using redis = redisDelayMs === undefined ? null : await startRedis()
  await using path = redis && (await delayedPathTo(redis))
  // The deadline that users have, and not that of tests.
  const own = { FABRA_REQUEST_TIMEOUT: `${DEADLINE_MS}ms` }
  const env = path === null ? own : { ...own, FABRA_REDIS_URL: `redis://127.0.0.1:${path.port}` }
  const fabra = await startFabra({
    ...{ cwd: folder, file: 'features.ts', args: [join(folder, 'features.py')], env },
    ...(BINARY === undefined ? {} : { binary: BINARY }),
  })
  try {
    const rows = Array.from({ length: KEYS }, (_, i) => ({ user_id: `u${i}`, value: i }))
    const pushed = await fetch(`${fabra.url}/v1/features/score/values`, { method: 'POST', body: JSON.stringify({ rows }) })
    if (!pushed.ok) throw new Error(await pushed.text())
    if (path !== null && redisDelayMs !== undefined) path.delayMs = redisDelayMs / 2
    for (const pid of [fabra.pid, ...childrenOf(fabra.pid)]) pinServer(pid)
    const url = `${fabra.url}/v1/features/${feature}?user_id=u{any}`
    const rate = measuredPeak(url, connections)
    const probing = probe(fabra.url)
    const flooded = await flood(url, rate)
    return print(name, rate, flooded, await probing.stop())
  } finally {
    await fabra.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function measuredPeak(url: string, connections: number): number {
  peak({ url, any: KEYS }, 1, connections)
  return peak({ url, any: KEYS }, PEAK_SECONDS, connections)
}

function childrenOf(pid: number): number[] {
  return Bun.spawnSync(['pgrep', '-P', String(pid)])
    .stdout.toString()
    .split('\n')
    .filter(Boolean)
    .map(Number)
}

async function flood(url: string, rate: number): Promise<Flooded> {
  const script = join(import.meta.dir, 'overload-parts/flood.ts')
  const args = [url, rate, SECONDS, CONNECTIONS].map(String)
  const child = Bun.spawn(['taskset', '-c', LOAD_CORE, process.execPath, script, ...args], { stdout: 'pipe', stderr: 'inherit' })
  const report = await child.stdout.text()
  if ((await child.exited) !== 0) throw new Error('The flood did not end.')
  return JSON.parse(report) as Flooded
}

interface Probed {
  readonly slowestMs: number
  /** Answers that would have a platform end the process. */
  readonly failed: number
}

/** As platforms do. */
function probe(url: string): { stop(): Promise<Probed> } {
  let isOver = false
  const found = { slowestMs: 0, failed: 0 }
  const ask = async (path: string) => {
    const at = performance.now()
    const response = await fetch(url + path, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
    await response?.arrayBuffer()
    found.slowestMs = Math.max(found.slowestMs, performance.now() - at)
    if (response?.status !== 200) found.failed++
  }
  const running = (async () => {
    while (!isOver) {
      await Promise.all([ask('/health'), ask('/ready')])
      await Bun.sleep(PROBED_EVERY_MS)
    }
  })()
  return {
    async stop() {
      isOver = true
      await running
      return found
    },
  }
}

function print(name: string, rate: number, { stretches, seconds, recoveredMs }: Flooded, probed: Probed): readonly string[] {
  const [before, over, after] = stretches as [Stretch, Stretch, Stretch]
  const ms = (values: readonly (number | null)[]) => values.map((value) => value?.toFixed(0) ?? '–').join(' / ')
  const perSecond = over.served / (seconds[1] ?? 1)
  const others = (stretch: Stretch) => Object.entries(stretch.others).map(([what, count]) => `${count} × ${what}`)
  const broken = [
    ...(perSecond < GOODPUT * rate ? [`only × ${(perSecond / rate).toFixed(2)} of the peak is served`] : []),
    ...((over.latencies[1] ?? 0) > DEADLINE_MS ? ['what is served is late'] : []),
    ...[...others(over), ...others(after)],
    ...(recoveredMs > RECOVERY_MS ? [`as before only after ${recoveredMs} ms`] : []),
    ...(probed.failed > 0 ? [`${probed.failed} probes failed`] : []),
  ]
  console.log(`${name}: peak ${rate.toFixed(0)}/s; before: p50/p99/slowest ${ms(before.latencies)} ms ${others(before).join(', ')}`)
  console.log(
    `  three times that: ${over.sent} sent, ${over.unsent} found no connection; served ${perSecond.toFixed(0)}/s in ${ms(over.latencies)} ms`,
  )
  console.log(`  turned away ${over.shed} in ${ms(over.shedLatencies)} ms; others: ${others(over).join(', ') || 'none'}`)
  console.log(
    `  as before after ${recoveredMs} ms; then ${ms(after.latencies)} ms, ${after.shed} turned away; probes: slowest ${probed.slowestMs.toFixed(0)} ms`,
  )
  console.log(`  ${broken.length === 0 ? 'kept' : `BROKEN: ${broken.join('; ')}`}\n`)
  return broken
}
