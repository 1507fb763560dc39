import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type RunningFabra, startFabra } from '../../test/support/binary.ts'
import { until } from '../../test/support/until.ts'
import { type Bench, type Measurement, repeat } from './bench.ts'
import { BINARY, EXAMPLE, FIRST_READ, read, SHARED_CACHE, serveExample, temporaryFolder } from './server.ts'

/** Keys of a record of ten columns and of a single value, all recorded. */
const KEYS = 1_000_000
const ROWS_A_PUSH = 10_000
const COLUMNS = Array.from({ length: 10 }, (_, i) => `c${i}`)
const DEFINITIONS = `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const profile = feature({ entity: User, columns: { ${COLUMNS.map((name, i) => `${name}: '${i % 3 === 2 ? 'string' : 'float'}'`).join(', ')} } })
export const score = feature({ entity: User, type: 'float' })
`

/** From the start of the process to the first answered read: in a new data folder each time, and over a long history. */
export const bench: Bench = async () => {
  const toFirstAnswerMs = async (cacheFolder?: string) => {
    const startedAt = performance.now()
    const server = await serveExample(cacheFolder)
    try {
      await read(server, FIRST_READ)
      return performance.now() - startedAt
    } finally {
      await server.stop()
    }
  }
  const toVeryFirstAnswerMs = async () => {
    const cacheFolder = temporaryFolder()
    try {
      return await toFirstAnswerMs(cacheFolder)
    } finally {
      rmSync(cacheFolder, { recursive: true, force: true })
    }
  }
  await toFirstAnswerMs()
  return [
    { what: 'start to first answer', unit: 'ms', values: await repeat(9, () => toFirstAnswerMs()), atMost: 200 },
    { what: 'very first start to first answer', unit: 'ms', values: await repeat(5, toVeryFirstAnswerMs), atMost: 1500 },
    ...(await inNewFolder()),
    ...(await overHistory()),
  ]
}

/** A feature that reads no source, asked from the start of the process on; the others' file is loaded meanwhile. */
async function inNewFolder(): Promise<readonly Measurement[]> {
  const firstMs: number[] = []
  const cpuMs: number[] = []
  for (let run = 0; run < 9; run++) {
    const cwd = temporaryFolder()
    const port = freePort()
    const startedAt = performance.now()
    const env = { ...process.env, FABRA_CACHE_DIR: SHARED_CACHE }
    const child = Bun.spawn([BINARY, 'serve', EXAMPLE, '--port', String(port)], { cwd, env, stdio: ['ignore', 'ignore', 'ignore'] })
    try {
      const url = `http://127.0.0.1:${port}/v1/features/churn_score?entity_id=u1`
      await until('the first answer', 60_000, async () => ((await fetch(url).catch(() => null))?.ok ? true : undefined))
      firstMs.push(performance.now() - startedAt)
      cpuMs.push(cpuSeconds(child.pid) * 1000)
    } finally {
      child.kill()
      await child.exited
      rmSync(cwd, { recursive: true, force: true })
    }
  }
  return [
    { what: 'start in a new folder to first answer of a feature without a file', unit: 'ms', values: firstMs, atMost: 250 },
    { what: '  processor time until then', unit: 'ms', values: cpuMs },
  ]
}

/** Of a moment ago. */
function freePort(): number {
  const server = Bun.serve({ port: 0, fetch: () => new Response() })
  const port = server.port ?? 0
  void server.stop(true)
  return port
}

async function overHistory(): Promise<readonly Measurement[]> {
  const cwd = temporaryFolder()
  const start = () => startFabra({ cwd, file: 'features.ts', env: { FABRA_CACHE_DIR: SHARED_CACHE } })
  try {
    await Bun.write(join(cwd, 'features.ts'), DEFINITIONS)
    const filling = await start()
    for (let from = 0; from < KEYS; from += ROWS_A_PUSH) await fill(filling, from)
    await filling.stop()
    const firstMs: number[] = []
    const wholeS: number[] = []
    const cpuS: number[] = []
    const peakMiB: number[] = []
    for (let run = 0; run < 3; run++) {
      const startedAt = performance.now()
      const server = await start()
      const answer = await read(server, `/v1/features/profile?entity_id=u${KEYS - 1}`)
      firstMs.push(performance.now() - startedAt)
      if (!answer.includes(`"c0":${KEYS - 1}`)) throw new Error(`A wrong first answer: ${answer}`)
      await until('the recovery', 600_000, async () => ((await fetch(`${server.url}/ready`)).ok ? true : undefined))
      wholeS.push((performance.now() - startedAt) / 1000)
      cpuS.push(cpuSeconds(server.pid))
      peakMiB.push(Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) / 1024)
      await server.stop()
    }
    return [
      { what: `start over ${2 * KEYS} recorded rows to first answer`, unit: 'ms', values: firstMs, atMost: 250 },
      { what: '  until everything is back in memory', unit: 's', values: wholeS, atMost: 5 },
      { what: '  processor time until then', unit: 's', values: cpuS },
      { what: '  most memory until then', unit: 'MiB', values: peakMiB },
    ]
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

async function fill(server: RunningFabra, from: number): Promise<void> {
  const users = Array.from({ length: ROWS_A_PUSH }, (_, i) => from + i)
  const profile = users.map((user) => ({
    user_id: `u${user}`,
    value: Object.fromEntries(COLUMNS.map((name, i) => [name, i % 3 === 2 ? `word${user % 1000}` : user / (i + 1)])),
  }))
  const score = users.map((user) => ({ user_id: `u${user}`, value: user / 8 }))
  for (const [name, rows] of [
    ['profile', profile],
    ['score', score],
  ] as const) {
    const init = { method: 'POST', body: JSON.stringify({ rows }), headers: { 'content-type': 'application/json' } }
    const response = await fetch(`${server.url}/v1/features/${name}/values`, init)
    if (!response.ok) throw new Error(`POST ${name}: ${response.status} ${await response.text()}`)
  }
}

/** Of the process and all of its threads. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
