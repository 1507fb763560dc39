import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import type { Micros } from '../../src/clock.ts'
import { until } from '../../test/support/until.ts'

const LIMIT_MS = 300_000
const MOST_TRIES = 8
const PAUSE_MS = 250

type Message =
  | { readonly kind: 'listening'; readonly url: string; readonly now: Micros }
  | { readonly kind: 'leapt'; readonly now: Micros }
  | { readonly kind: 'swept' }
  | { readonly kind: 'reloaded'; readonly problem: string | null }

export interface ReplicaOptions {
  /** With features.ts in it. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
}

/** A server whose clock leaps. It may be ended, and started again at the time at which it was. */
export class Replica {
  url = ''
  logBytes = 0
  /** The last of the log. */
  log = ''
  private ahead: Micros = nextMonth()
  private child: Subprocess | undefined
  private readonly options: ReplicaOptions
  private readonly messages: Message[] = []

  constructor(options: ReplicaOptions) {
    this.options = options
    mkdirSync(this.temporary, { recursive: true })
  }

  get temporary(): string {
    return join(this.options.folder, 'tmp')
  }

  get pid(): number {
    if (this.child === undefined) throw new Error('It does not run.')
    return this.child.pid
  }

  now(): Micros {
    return Date.now() * 1_000 + this.ahead
  }

  async start(): Promise<void> {
    const { folder, env } = this.options
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'server.ts'), join(folder, 'features.ts')], {
      cwd: folder,
      // With a thread for each core DuckDB turns round and round while it waits, on a machine that has other things to do.
      env: {
        SLURM_CPUS_ON_NODE: '1',
        ...process.env,
        FABRA_PORT: '0',
        FABRA_LOG_FORMAT: 'json',
        TMPDIR: this.temporary,
        ...env,
        YEAR_OFFSET: String(this.ahead),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
      ipc: (message: Message) => void this.messages.push(message),
    })
    this.child = child
    void this.read(child.stderr)
    const { url } = await this.next('listening')
    this.url = url
    await until('it to be ready', LIMIT_MS, async () => ((await fetch(`${url}/ready`).catch(() => null))?.ok === true ? true : undefined))
  }

  /** Resolves when what is due has begun. */
  async leap(by: Micros): Promise<void> {
    this.ahead += by
    this.child?.send({ leap: by })
    await this.next('leapt')
  }

  /** Resolves when what is too old has left. */
  async swept(): Promise<void> {
    this.child?.send({})
    await this.next('swept')
  }

  /** After the definitions were written anew. */
  async reloaded(): Promise<void> {
    const { problem } = await this.next('reloaded')
    if (problem !== null) throw new Error(`The definitions were not taken: ${problem}`)
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.child
    this.child = undefined
    child?.kill(signal)
    const code = await child?.exited
    this.messages.length = 0
    if (signal === 'SIGTERM' && code !== undefined && code !== 0) throw new Error(`It ended with ${code}.\n${this.log}`)
  }

  /** As every client does, it asks again what was refused for now: a busy machine makes stores late. */
  async ask<Answer>(path: string, body?: object, method = body === undefined ? 'GET' : 'POST'): Promise<Answer> {
    const headers = { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() }
    for (let tries = 1; ; tries++) {
      const response = await fetch(`${this.url}${path}`, {
        ...{ method, signal: AbortSignal.timeout(LIMIT_MS) },
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers }),
      })
      if (response.ok) return (await response.json()) as Answer
      const text = await response.text()
      if (tries === MOST_TRIES || ![503, 504].includes(response.status)) throw new Error(`${method} ${path}: ${response.status} ${text}`)
      await Bun.sleep(PAUSE_MS * tries)
    }
  }

  private next<Kind extends Message['kind']>(kind: Kind): Promise<Extract<Message, { kind: Kind }>> {
    return until(`"${kind}"`, LIMIT_MS, async () => {
      if (this.child === undefined || this.child.exitCode !== null) throw new Error(`The server ended.\n${this.log}`)
      const at = this.messages.findIndex((message) => message.kind === kind)
      if (at < 0) return undefined
      return this.messages.splice(at, 1)[0] as Extract<Message, { kind: Kind }>
    })
  }

  private async read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of stream) {
      this.logBytes += chunk.length
      this.log = (this.log + decoder.decode(chunk, { stream: true })).slice(-4_000)
    }
  }
}

/** From now. History is kept by months: each run goes through them alike, whatever day it is. */
function nextMonth(): Micros {
  const now = new Date()
  return (Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1) - now.getTime()) * 1_000
}
