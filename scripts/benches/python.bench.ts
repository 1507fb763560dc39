import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pythonWorkers } from '../../src/runtime/python/worker.ts'
import { type RunningFabra, startFabra } from '../../test/support/binary.ts'
import type { Bench, Measurement } from './bench.ts'
import { interleaved, peak, quantile } from './load.ts'
import { read, SHARED_CACHE, temporaryFolder } from './server.ts'

const KEYS = 100_000
const STARTS = 5
const ONE_AT_A_TIME = 600
const SECONDS = 3
const RUNS = 3
/** One round of the warm-up, of each feature. */
const WARM_UP_SECONDS = 3
const MOST_ROUNDS = 12
/** The engine compiles what runs often anew, for a minute or more: warm is when a round is no quicker than the best before it, but for so much. */
const FLAT = 1.02
/** A third in a minute would speak against the function. */
const REPLACED = 2
/** Requests for one key that arrive together share a call: so that calls are measured they ask for any of these. */
const ASKED_KEYS = 1000
const FEATURES = ['py_length', 'ts_length', 'py_db', 'py_async_db', 'ts_db', 'py_count', 'ts_count'] as const

const TYPESCRIPT = `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const ts_length = feature({ entity: User, refresh: 0, type: 'int' }, (userId) => userId.length)
export const ts_db = feature({ entity: User, refresh: 0, type: 'int' }, (userId, { db }) => db.fetchval('SELECT 1'))
export const ts_count = feature({ entity: User, refresh: 0, type: 'int' }, (userId, { db }) => db.fetchval('SELECT COUNT(*) FROM events WHERE user_id = $1', userId))
`
const PYTHON = `
import os
from fabra import db, entity, feature, source

User = entity("User", key="user_id")
source("events", timestamp="at", file="events.csv")

@feature(entity=User, refresh=0)
def py_length(user_id: str) -> int:
    return len(user_id)

@feature(entity=User, refresh=0)
def py_db(user_id: str) -> int:
    return db.fetchval("SELECT 1")

@feature(entity=User, refresh=0)
def py_count(user_id: str) -> int:
    return db.fetchval("SELECT COUNT(*) FROM events WHERE user_id = %s", user_id)

@feature(entity=User, refresh=0)
def py_pid(user_id: str) -> int:
    return os.getpid()

@feature(entity=User, refresh=0)
async def py_async_db(user_id: str) -> int:
    return await db.fetchval("SELECT 1")
`
const REFRESHED: Readonly<Record<string, string>> = {
  'ts.ts': `import { entity, feature, source } from 'fabra'
export const users = source('users', { static: true, file: 'users.csv' })
export const User = entity('User', { key: 'user_id', keys: 'SELECT user_id FROM users' })
export const length = feature({ entity: User, refresh: '1d', type: 'int' }, (userId) => userId.length)
`,
  'single.py': `from fabra import entity, feature, source
source("users", static=True, file="users.csv")
User = entity("User", key="user_id", keys="SELECT user_id FROM users")
@feature(entity=User, refresh="1d")
def length(user_id: str) -> int:
    return len(user_id)
`,
  'batch.py': `from fabra import entity, feature, source
source("users", static=True, file="users.csv")
User = entity("User", key="user_id", keys="SELECT user_id FROM users")
@feature(entity=User, refresh="1d", batch=True)
def length(user_ids: list) -> list[int]:
    return [len(user_id) for user_id in user_ids]
`,
}
const LOOP = `
import time
def length(user_id): return len(user_id)
keys = ["u%d" % i for i in range(${KEYS})]
at = time.perf_counter()
values = [length(key) for key in keys]
print(time.perf_counter() - at)
`

/** Python features beside their TypeScript twins, and beside a plain loop over the same function: the difference is what the frames cost. */
export const bench: Bench = async () => {
  const folder = temporaryFolder()
  try {
    return [...(await measureStart(folder)), ...(await measureRequests(folder)), ...(await measureRefreshes(folder))]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureStart(folder: string): Promise<Measurement[]> {
  const file = join(folder, 'empty.py')
  writeFileSync(file, 'from fabra import entity\nUser = entity("User", key="user_id")\n')
  const env = process.env
  const start = pythonWorkers({ env, workerEnv: env, cacheFolders: [SHARED_CACHE], executable: process.execPath, memory: 2 ** 30 })
  const once = async () => {
    const startedAt = performance.now()
    const worker = start({ files: [file], clockOffset: 0, onFrame() {}, onCrash() {}, onSpent() {} })
    await worker.loaded
    const ms = performance.now() - startedAt
    await worker.terminate()
    return ms
  }
  // Finds the interpreter and compiles the package.
  await once()
  const bare = () => {
    const startedAt = performance.now()
    Bun.spawnSync([env['FABRA_PYTHON'] ?? 'python3', '-c', 'pass'])
    return performance.now() - startedAt
  }
  const [values = [], alone = []] = await interleaved(STARTS, [once, bare])
  return [
    { what: 'Python worker ready, nothing imported', unit: 'ms', values, atMost: 150 },
    { what: '  the interpreter alone, by its name on PATH', unit: 'ms', values: alone },
  ]
}

async function measureRequests(folder: string): Promise<Measurement[]> {
  writeFileSync(join(folder, 'twins.ts'), TYPESCRIPT)
  writeFileSync(join(folder, 'features.py'), PYTHON)
  const events = Array.from({ length: 1000 }, (_, i) => `u${i % 100},2026-01-01T00:00:00Z`)
  writeFileSync(join(folder, 'events.csv'), `user_id,at\n${events.join('\n')}\n`)
  const server = await startFabra({ file: 'features.py', cwd: folder, args: [join(folder, 'twins.ts')], env: environment() })
  try {
    const spent = new Map<string, Spent[]>(FEATURES.map((feature) => [feature, []]))
    const load = (feature: string, seconds: number) =>
      peak({ url: `${server.url}/v1/features/${feature}?entity_id=u{any}`, any: ASKED_KEYS }, seconds)
    const ofOneKey = () => peak({ url: `${server.url}/v1/features/py_length?entity_id=u1` }, SECONDS)
    const rate = (feature: string) => () => {
      const before = cpuOf(server.pid)
      const perSecond = load(feature, SECONDS)
      const after = cpuOf(server.pid)
      const calls = perSecond * SECONDS
      spent.get(feature)?.push({ server: (after.server - before.server) / calls, workers: (after.workers - before.workers) / calls })
      return perSecond
    }
    for (const feature of FEATURES) await read(server, `/v1/features/${feature}?entity_id=u1`)
    const rounds = warmUp((feature) => load(feature, WARM_UP_SECONDS))
    const [oneKey = [], ...measured] = await interleaved(RUNS, [ofOneKey, ...FEATURES.map(rate)])
    const rates = new Map(measured.map((values, i) => [FEATURES[i], values]))
    const row = (what: string, feature: (typeof FEATURES)[number], atLeast?: number): Measurement[] => {
      const of = (part: keyof Spent) => (spent.get(feature) ?? []).map((one) => one[part])
      const rows: Measurement[] = [
        { what, unit: '/s', values: rates.get(feature) ?? [], ...(atLeast === undefined ? {} : { atLeast }) },
        { what: '    CPU a call: the server', unit: 'µs', values: of('server') },
      ]
      if (feature.startsWith('py_')) rows.push({ what: '    CPU a call: its Python processes', unit: 'µs', values: of('workers') })
      return rows
    }
    const alone = await measureAlone(server)
    const replaced: number[] = []
    for (let i = 0; i < REPLACED; i++) replaced.push(await measureReplacement(server))
    return [
      { what: 'warm-up until a round is no quicker than those before', unit: 's', values: [rounds * FEATURES.length * WARM_UP_SECONDS] },
      ...row('realtime Python function, 64 connections', 'py_length', 20_000),
      { what: '  all of them for one key', unit: '/s', values: oneKey },
      ...row('  its TypeScript twin', 'ts_length'),
      ...row('  with one db call', 'py_db', 10_000),
      ...row('  with one db call, async def', 'py_async_db', 10_000),
      ...row('  its TypeScript twin', 'ts_db'),
      ...row('  with one db call for its key', 'py_count', 10_000),
      ...row('  its TypeScript twin', 'ts_count'),
      { what: 'a new worker answers after kill -9 of one', unit: 'ms', values: replaced, atMost: 1000 },
      { what: '  one at a time, p50 over its twin', unit: 'ms', values: [alone.over], atMost: 0.5 },
      { what: '  one at a time, p50 and p99', unit: 'ms', values: [alone.p50, alone.p99] },
    ]
  } finally {
    await server.stop()
  }
}

/** Asks all features in turn until their rates are flat. @returns how many rounds that took. */
function warmUp(rateOf: (feature: string) => number): number {
  const best = FEATURES.map(() => 0)
  for (let round = 1; ; round++) {
    let gain = 0
    for (const [i, feature] of FEATURES.entries()) {
      const [rate, before] = [rateOf(feature), best[i] ?? 0]
      gain += (before === 0 ? Number.POSITIVE_INFINITY : rate / before) / FEATURES.length
      best[i] = Math.max(before, rate)
    }
    if (gain <= FLAT || round === MOST_ROUNDS) return round
  }
}

interface Spent {
  readonly server: number
  readonly workers: number
}

/** Microseconds of CPU so far: of the server with all its threads, and of its Python processes. */
function cpuOf(server: number): Spent {
  const statOf = (pid: string | number) => {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { parent: Number(fields[1]), micros: (Number(fields[11]) + Number(fields[12])) * 10_000 }
  }
  let workers = 0
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const { parent, micros } = statOf(pid)
      if (parent === server) workers += micros
    } catch {
      // It has ended meanwhile.
    }
  }
  return { server: statOf(server).micros, workers }
}

/** Kills a worker that answers, under calls, until another one than before answers. Milliseconds. */
async function measureReplacement(server: RunningFabra): Promise<number> {
  const ask = async () => {
    const response = await fetch(`${server.url}/v1/features/py_pid?entity_id=u${Math.random()}`)
    const { value } = (await response.json()) as { value?: number }
    return value
  }
  const known = new Set<number | undefined>()
  for (let asked = 0; asked < 1000 && known.size < 2; asked++)
    for (const pid of await Promise.all(Array.from({ length: 8 }, ask))) known.add(pid)
  const [victim] = [...known].filter((pid) => pid !== undefined)
  if (victim === undefined) throw new Error('No Python worker answers.')
  const killedAt = performance.now()
  process.kill(victim, 'SIGKILL')
  for (;;) {
    const pids = await Promise.all(Array.from({ length: 8 }, ask))
    if (pids.some((pid) => pid !== undefined && !known.has(pid))) return performance.now() - killedAt
    if (performance.now() - killedAt > 30_000) throw new Error('No new Python worker answers.')
  }
}

async function measureAlone(server: RunningFabra): Promise<{ over: number; p50: number; p99: number }> {
  const times: Record<'py' | 'ts', number[]> = { py: [], ts: [] }
  for (let i = 0; i < 2 * ONE_AT_A_TIME; i++) {
    const language = i % 2 === 0 ? 'py' : 'ts'
    const startedAt = performance.now()
    await read(server, `/v1/features/${language}_length?entity_id=u1`)
    times[language].push(performance.now() - startedAt)
  }
  const [python, typescript] = [times.py, times.ts].map((values) => values.sort((a, b) => a - b)) as [number[], number[]]
  return { over: quantile(python, 0.5) - quantile(typescript, 0.5), p50: quantile(python, 0.5), p99: quantile(python, 0.99) }
}

async function measureRefreshes(folder: string): Promise<Measurement[]> {
  const seconds = new Map<string, number>()
  for (const [name, text] of Object.entries(REFRESHED)) seconds.set(name, await refreshed(join(folder, `refresh-${name}`), name, text))
  const loop = Bun.spawnSync([process.env['FABRA_PYTHON'] ?? 'python3', '-c', LOOP]).stdout.toString()
  const of = (name: string) => [seconds.get(name) ?? Number.NaN]
  return [
    { what: `refresh of ${KEYS} keys, one call each`, unit: 's', values: of('single.py'), atMost: 10 },
    { what: '  with batch=True', unit: 's', values: of('batch.py'), atMost: 2 },
    { what: '  its TypeScript twin, one call each', unit: 's', values: of('ts.ts') },
    { what: '  a plain Python loop', unit: 's', values: [Number(loop)] },
  ]
}

/** The run that the schedule starts by itself, because the entity lists its keys. */
async function refreshed(folder: string, name: string, text: string): Promise<number> {
  mkdirSync(folder)
  writeFileSync(join(folder, name), text)
  writeFileSync(join(folder, 'users.csv'), `user_id\n${Array.from({ length: KEYS }, (_, i) => `u${i}`).join('\n')}\n`)
  const server = await startFabra({ file: name, cwd: folder, env: environment() })
  try {
    for (;;) {
      const { runs } = (await (await fetch(`${server.url}/v1/runs?feature=length`)).json()) as { runs: Run[] }
      const ended = runs.find((run) => run.duration_ms !== null && run.keys >= KEYS)
      if (ended && (ended.failed > 0 || ended.error !== null)) throw new Error(JSON.stringify(ended))
      if (ended) return ended.duration_ms / 1000
      // To ask costs the server some of its time.
      await Bun.sleep(500)
    }
  } finally {
    await server.stop()
  }
}

function environment(): Record<string, string> {
  const { PATH = '', HOME = '', FABRA_PYTHON } = process.env
  return { FABRA_CACHE_DIR: SHARED_CACHE, PATH, HOME, ...(FABRA_PYTHON === undefined ? {} : { FABRA_PYTHON }) }
}

interface Run {
  readonly duration_ms: number
  readonly keys: number
  readonly failed: number
  readonly error: string | null
}
