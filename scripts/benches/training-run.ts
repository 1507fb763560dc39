/** Whole training sets by the executable: labels from Parquet, features, Parquet out, the start of the process included. */
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { BINARY, temporaryFolder } from '../../test/support/binary.ts'
import type { Measurement } from './bench.ts'
import { SHARED_CACHE } from './server.ts'

const MONTH_US = 30 * 86_400_000_000
const WATCH_EVERY_MS = 100
const START_US = Date.parse('2026-01-01T00:00:00Z') * 1000

export interface Shape {
  readonly events: number
  readonly keys: number
  /** One key in ten events and labels. */
  readonly hot: boolean
}

export interface Wanted {
  readonly labels: number
  readonly atMost?: number
}

export function keyOf(i: string, { keys, hot }: Shape): string {
  const key = `'u' || (hash(${i}) % ${keys})`
  return hot ? `CASE WHEN ${i} % 10 = 0 THEN 'u0' ELSE ${key} END` : key
}

export function timeOf(i: string): string {
  return `make_timestamptz(CAST(${START_US} + hash(${i}) % ${MONTH_US} AS BIGINT))`
}

/** A project of its own, whose data folder goes with it. */
export async function withProject<T>(features: string, work: (cwd: string) => Promise<T>): Promise<T> {
  const cwd = temporaryFolder()
  try {
    await Bun.write(join(cwd, 'features.ts'), features)
    return await work(cwd)
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
}

/** An engine of nobody's, for data that benchmarks are made of. */
export async function withEngine<T>(work: (run: (sql: string) => Promise<void>) => Promise<T>): Promise<T> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    return await work(async (sql) => void (await connection.run(`SET TimeZone = 'UTC'; ${sql}`)))
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

export function writeLabels(path: string, count: number, shape: Shape): Promise<void> {
  const select = `SELECT ${keyOf('i', shape)} AS user_id, ${timeOf('i + 99')} AS event_timestamp, i % 2 AS label FROM range(${count}) r(i)`
  return withEngine((run) => run(`COPY (${select}) TO '${path}' (FORMAT parquet)`))
}

export type CommandEnvironment = Readonly<Record<string, string>>

export interface Ran {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMiB: number
  readonly stdout: string
}

/** A command to its end, with nothing else of it left. */
export async function timed(command: readonly string[], cwd: string, env: CommandEnvironment = {}): Promise<Ran> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(FABRA_|PORT$|DATABASE_URL$|REDIS_URL$)/.test(name))
  const started = performance.now()
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...Object.fromEntries(inherited), FABRA_CACHE_DIR: SHARED_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let peakMiB = 0
  const watch = setInterval(() => {
    peakMiB = Math.max(peakMiB, peakOf(child.pid))
  }, WATCH_EVERY_MS)
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
  clearInterval(watch)
  const seconds = (performance.now() - started) / 1000
  if (code !== 0) throw new Error(`${command.slice(0, 2).join(' ')} ended with ${code}: ${stderr}`)
  const cpuSeconds = Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1e6
  return { seconds, cpuSeconds, peakMiB, stdout }
}

/** What Linux says of a running process. (What it says of one that has ended may be the peak of its parent.) */
function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

export function fabra(args: readonly string[], cwd: string): Promise<Ran> {
  return timed([BINARY, ...args], cwd)
}

/** Each number of labels once. */
export async function trained(
  cwd: string,
  {
    shape,
    features,
    wanted,
    name,
  }: { shape: Shape; features: readonly string[]; wanted: readonly Wanted[]; name: (labels: string) => string },
): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (const { labels, atMost } of wanted) {
    await writeLabels(join(cwd, 'labels.parquet'), labels, shape)
    const { seconds, peakMiB, stdout } = await fabra(
      ['train', 'labels.parquet', '--features', features.join(','), '-o', 'train.parquet', '--json'],
      cwd,
    )
    if ((JSON.parse(stdout) as { rows: number }).rows !== labels) throw new Error('The training set does not have the rows of the labels.')
    const what = name(labels.toLocaleString('en'))
    const promise = atMost === undefined ? {} : { atMost }
    measurements.push({ what, unit: 's', values: [seconds], ...promise })
    if (atMost !== undefined) measurements.push({ what: `${what}: memory`, unit: 'MiB', values: [peakMiB], atMost: 4096 })
  }
  return measurements
}
