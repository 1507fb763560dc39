import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PATIENT } from './patience.ts'
import { productionAddresses } from './production-mode.ts'
import { until } from './until.ts'

const PROJECT = resolve(import.meta.dir, '../..')
export const BINARY = join(PROJECT, 'dist', 'fabra')

/** Everything the executable is made of. */
const INPUTS = [
  'src',
  'package.json',
  'bun.lock',
  'scripts/build.ts',
  'scripts/executable.ts',
  'scripts/duckdb-plugin.ts',
  'scripts/python-plugin.ts',
  'scripts/ui-plugin.ts',
]
const START_LIMIT_MS = 180_000
const STOP_LIMIT_MS = 120_000
const RUN_LIMIT_MS = 120_000

let isBuilt = false

/** Builds dist/fabra where it is older than its sources, which are looked through once: nobody changes them under tests. @returns its path. */
export function builtBinary(): string {
  if (isBuilt) return BINARY
  buildWhereOld()
  isBuilt = true
  return BINARY
}

function buildWhereOld(): void {
  const builtAtMs = statSync(BINARY, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (builtAtMs > Math.max(...INPUTS.map((path) => newestMs(join(PROJECT, path))))) return
  const build = Bun.spawnSync([process.execPath, join(PROJECT, 'scripts/build.ts')], { cwd: PROJECT })
  if (build.exitCode !== 0) throw new Error(`The build failed.\n${build.stdout}${build.stderr}`)
}

function newestMs(path: string): number {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))))
}

/** A folder of its own, for a test to use up. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'fabra-test-'))
}

export interface Finished {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  /** Default: dist/fabra, built where it is older than its sources. */
  readonly binary?: string
  readonly cwd?: string
  /** Added to PATH, HOME and the like; FABRA_… variables of the machine are not passed on. An undefined one is removed. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Until it is killed. Default two minutes: how fast a busy machine is, no test asserts. */
  readonly timeoutMs?: number
}

/** Runs a command of the executable to its end. One that does not end is killed. */
export async function runFabra(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = Bun.spawn([options.binary ?? builtBinary(), ...args], {
    cwd: options.cwd ?? PROJECT,
    env: cleanEnvironment({ ...(options.cwd === undefined ? {} : await productionAddresses(options.cwd)), ...options.env }),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? RUN_LIMIT_MS,
    killSignal: 'SIGKILL',
  })
  const [exitCode, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
  return { exitCode, stdout, stderr }
}

export interface RunningFabra {
  /** Without a slash at the end. */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Its current folder, with the data folder .fabra in it. */
  readonly cwd: string
  /** What it has printed so far. */
  stdout(): string
  stderr(): string
  /** The exit code, once it has ended by itself or by a signal of the test's own. */
  readonly exited: Promise<number>
  /** SIGTERM, then waits. @returns the exit code. Safe to call twice. Removes the folder, unless `cwd` was given. */
  stop(): Promise<number>
  /** SIGKILL, then waits: as if the machine had taken the process away. The folder stays, so that it can be started again. */
  kill(): Promise<void>
}

interface StartOptions extends RunOptions {
  /** The features file. */
  readonly file: string
  /** More arguments for `serve`. */
  readonly args?: readonly string[]
  /** Default: any free one. Null: the one of the environment. */
  readonly port?: number | null
  /** Default: a minute. */
  readonly startLimitMs?: number
}

/**
 * `fabra serve` on a free port, in a temporary folder unless `cwd` is given; has said its address and answers when the promise resolves.
 * @throws Error with everything it printed, if it ends before it is ready.
 */
export async function startFabra(options: StartOptions): Promise<RunningFabra> {
  const cwd = options.cwd ?? temporaryFolder()
  const removeFolder = () => options.cwd === undefined && rmSync(cwd, { recursive: true, force: true })
  const serve = [
    'serve',
    resolve(cwd, options.file),
    ...(options.port === null ? [] : ['--port', String(options.port ?? 0)]),
    ...(options.args ?? []),
  ]
  const child = Bun.spawn([options.binary ?? builtBinary(), ...serve], {
    cwd,
    env: cleanEnvironment({ ...(await productionAddresses(cwd)), ...options.env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stdout = collect(child.stdout)
  const stderr = collect(child.stderr)
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal)
    const watchdog = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
    const [exitCode] = await Promise.all([child.exited, stdout.ended, stderr.ended])
    clearTimeout(watchdog)
    return exitCode
  }
  const printedUrl = async () => {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`fabra serve ended with ${child.exitCode ?? child.signalCode}.`)
    const url = /http:\/\/[^\s"'/]+:\d+/.exec(stdout.text())?.[0]
    if (url === undefined || !stdout.text().endsWith('\n')) return undefined
    const response = await fetch(`${url}/health`).catch(() => undefined)
    return response?.ok === true ? url : undefined
  }
  try {
    const url = await until('fabra serve', options.startLimitMs ?? START_LIMIT_MS, printedUrl)
    return {
      url,
      port: Number(new URL(url).port),
      pid: child.pid,
      cwd,
      stdout: stdout.text,
      stderr: stderr.text,
      exited: child.exited,
      stop: () => end('SIGTERM').finally(removeFolder),
      kill: async () => void (await end('SIGKILL')),
    }
  } catch (error) {
    await end('SIGKILL')
    removeFolder()
    throw new Error(`${error instanceof Error ? error.message : error}\n${stdout.text()}${stderr.text()}`)
  }
}

function collect(stream: ReadableStream<Uint8Array>): { text: () => string; ended: Promise<void> } {
  const decoder = new TextDecoder()
  let text = ''
  const read = async () => {
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true })
  }
  return { text: () => text, ended: read() }
}

function cleanEnvironment(extra: RunOptions['env'] = {}): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(FABRA_|NODE_ENV$|PORT$|DATABASE_URL$|REDIS_URL$)/.test(name))
  const entries = Object.entries({ ...Object.fromEntries(inherited), NO_COLOR: '1', ...PATIENT, ...extra })
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined))
}
