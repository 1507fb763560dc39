import { existsSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { type Config, readConfig } from '../config/config.ts'
import { formatTime } from '../definition/time.ts'
import { FabraError } from '../errors.ts'
import type { CliProcess } from './context.ts'
import { featureFiles } from './feature-files.ts'

/** Answers requests of Fabra's HTTP API: a running server, or the definitions opened in this process. */
export interface Client {
  get(path: string): Promise<unknown>
  post(path: string, body: unknown): Promise<unknown>
  /** The answer as it comes, for bodies and answers that are files. @throws FabraError when it is an error. */
  send(path: string, init: RequestInit): Promise<Response>
  close(): Promise<void>
}

export interface ConnectOptions {
  /** The command asks for no latest values, so none need to be brought back from history first. */
  readonly cold?: boolean
}

const HEALTH_CHECK_MS = 1_000
const ANSWER_MS = 60_000
/** A refresh of many keys answers when it has ended. */
const RUN_MS = 3_600_000

/** While a server holds the data folder, commands talk to it; otherwise they open the folder themselves. */
export async function connect(files: readonly string[], host: CliProcess, how: ConnectOptions = {}): Promise<Client> {
  const config = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const server = files.length === 0 ? await runningServer(config.dataDir) : undefined
  // Its state lies apart, so it is never the one that answers.
  const other = await runningServer(join(config.dataDir, 'clock'))
  if (other) host.stderr(otherWorld(other, systemClock()))
  if (server) return remote(server)
  try {
    return await openHere(config, files, host, how)
  } catch (error) {
    if (!(error instanceof FabraError && error.code === 'data_dir_locked')) throw error
    const holder = await holderOf(config.dataDir, featureFiles(files, host.cwd))
    if (!holder) throw error
    host.stderr(`The server at ${holder.url} answers: it serves these files, as it has loaded them.\n`)
    return remote(holder)
  }
}

/** A server that holds the folder and serves the same files. */
async function holderOf(dataDir: string, files: readonly string[]): Promise<RunningServer | undefined> {
  const holder = await runningServer(dataDir)
  const real = (names: readonly string[]) => names.map((name) => (existsSync(name) ? realpathSync(name) : name)).sort()
  return holder?.files && Bun.deepEquals(real(holder.files), real(files)) ? holder : undefined
}

export interface RunningServer {
  readonly url: string
  /** The API key of this machine's user. */
  readonly key: string
  /** Of definitions; servers of earlier versions do not tell. */
  readonly files?: readonly string[]
  /** Microseconds; of a server with another present. */
  readonly clock_offset?: number | null
}

/** Says which world answers, where there are two. */
function otherWorld({ url, clock_offset }: RunningServer, clock: Clock): string {
  const present = formatTime(clock.now() + (clock_offset ?? 0)).replace(/\.\d+Z$/, 'Z')
  return `This is answered for the real present. The server at ${url} takes ${present} for the present (--clock): ask it over HTTP.\n`
}

/** What a server left in the data folder, if it answers. */
export async function runningServer(dataDir: string): Promise<RunningServer | undefined> {
  const note = Bun.file(join(dataDir, 'server.json'))
  if (!(await note.exists())) return undefined
  try {
    const server = (await note.json()) as RunningServer
    const response = await fetch(`${server.url}/health`, { signal: AbortSignal.timeout(HEALTH_CHECK_MS) })
    return response.ok ? server : undefined
  } catch {
    return undefined
  }
}

function remote({ url, key }: RunningServer): Client {
  // Files may take hours: without `timeout: false` Bun gives up after five minutes.
  const ask = (path: string, init: RequestInit, limitMs: number | null) => {
    const headers = new Headers(init.headers)
    headers.set('x-api-key', key)
    const limit = limitMs === null ? { timeout: false } : { signal: AbortSignal.timeout(limitMs) }
    return fetch(`${url}${path}`, { ...init, headers, ...limit } as RequestInit)
  }
  return {
    get: async (path) => answer(await ask(path, {}, ANSWER_MS)),
    post: async (path, body) => answer(await ask(path, posted(body), RUN_MS)),
    send: async (path, init) => checked(await ask(path, init, null)),
    close: async () => {},
  }
}

async function openHere(config: Config, files: readonly string[], host: CliProcess, { cold = false }: ConnectOptions): Promise<Client> {
  // The schema is brought up to date and what is computed is recorded, whatever the command is for.
  await host.mayWrite?.()
  const { openApp } = await import('../app/app.ts')
  const { commandLogger } = await import('./logging.ts')
  // What a server would tell of its doings is not what was asked for.
  const log = commandLogger(config.logLevel === 'info' ? { ...config, logLevel: 'warn' } : config, host)
  const app = await openApp({ files: featureFiles(files, host.cwd), config, log, clockOffset: 0, cold })
  return {
    get: async (path) => answer(await app.fetch(new Request(`http://localhost${path}`))),
    post: async (path, body) => answer(await app.fetch(new Request(`http://localhost${path}`, posted(body)))),
    send: async (path, init) => checked(await app.fetch(new Request(`http://localhost${path}`, init))),
    close: () => app.close(),
  }
}

function posted(body: unknown): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

async function checked(response: Response): Promise<Response> {
  if (!response.ok) await answer(response)
  return response
}

async function answer(response: Response): Promise<unknown> {
  const text = await response.text()
  const { parseExact } = await import('../definition/value.ts')
  const body = parseExact(text) as { error?: { code: string; message: string; hint?: string } }
  if (response.ok) return body
  const { errorCodes } = await import('../errors.ts')
  const code = errorCodes.find((known) => known === body.error?.code) ?? 'internal'
  throw new FabraError(code, body.error?.message ?? `The server answered ${response.status}.`, { hint: body.error?.hint ?? '' })
}
