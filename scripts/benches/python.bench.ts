import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
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

const TYPESCRIPT = `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const ts_length = feature({ entity: User, refresh: 0, type: 'int' }, (userId) => userId.length)
export const ts_db = feature({ entity: User, refresh: 0, type: 'int' }, (userId, { db }) => db.fetchval('SELECT 1'))
`
const PYTHON = `
from fabra import db, entity, feature

User = entity("User", key="user_id")

@feature(entity=User, refresh=0)
def py_length(user_id: str) -> int:
    return len(user_id)

@feature(entity=User, refresh=0)
def py_db(user_id: str) -> int:
    return db.fetchval("SELECT 1")

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
  const values: number[] = []
  for (let i = 0; i < STARTS; i++) values.push(await once())
  return [{ what: 'Python worker ready, nothing imported', unit: 'ms', values, atMost: 150 }]
}

async function measureRequests(folder: string): Promise<Measurement[]> {
  writeFileSync(join(folder, 'twins.ts'), TYPESCRIPT)
  writeFileSync(join(folder, 'features.py'), PYTHON)
  const server = await startFabra({ file: 'features.py', cwd: folder, args: [join(folder, 'twins.ts')], env: environment() })
  try {
    const rate = (feature: string) => () => peak({ url: `${server.url}/v1/features/${feature}?entity_id=u1` }, SECONDS)
    const features = ['py_length', 'ts_length', 'py_db', 'py_async_db', 'ts_db']
    for (const feature of features) {
      await read(server, `/v1/features/${feature}?entity_id=u1`)
      peak({ url: `${server.url}/v1/features/${feature}?entity_id=u1` }, 2)
    }
    const [python = [], typescript = [], pythonDb = [], asyncDb = [], typescriptDb = []] = await interleaved(RUNS, features.map(rate))
    const alone = await measureAlone(server)
    return [
      { what: 'realtime Python function, 64 connections', unit: '/s', values: python, atLeast: 20_000 },
      { what: '  its TypeScript twin', unit: '/s', values: typescript },
      { what: '  with one db call', unit: '/s', values: pythonDb, atLeast: 10_000 },
      { what: '  with one db call, async def', unit: '/s', values: asyncDb, atLeast: 10_000 },
      { what: '  its TypeScript twin', unit: '/s', values: typescriptDb },
      { what: '  one at a time, p50 over its twin', unit: 'ms', values: [alone.over], atMost: 0.5 },
      { what: '  one at a time, p50 and p99', unit: 'ms', values: [alone.p50, alone.p99] },
    ]
  } finally {
    await server.stop()
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
      await Bun.sleep(100)
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
