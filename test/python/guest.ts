import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseExact } from '../../src/definition/exact-json.ts'
import { temporaryFolder } from '../support/binary.ts'
import { interpreters } from '../support/interpreters.ts'
import { until } from '../support/until.ts'

const PACKAGE = join(import.meta.dir, '../../src/python')
const LIMIT_MS = 180_000

export type Json = null | undefined | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }
export interface Frame {
  readonly t: string
  // biome-ignore lint/suspicious/noExplicitAny: frames are looked at, not relied on
  readonly [name: string]: any
}

/** A worker as its interpreter runs it, spoken to frame by frame. */
export interface Guest {
  readonly folder: string
  readonly frames: readonly Frame[]
  readonly exited: Promise<number>
  readonly pid: number
  readonly loaded: Frame
  send(...frames: readonly Json[]): void
  /** The first frame, from `from` on, that `wanted` takes. */
  frame(what: string, wanted: (frame: Frame) => boolean, from?: number): Promise<Frame>
  /** Calls a function, answering what it asks. */
  call(feature: string, key: Json, options?: CallOptions): Promise<Frame>
  /** As the server does when it stops the worker. */
  close(): void
  kill(): void
  printed(): Promise<string>
  [Symbol.asyncDispose](): Promise<void>
}

export interface CallOptions {
  readonly inputs?: Json
  readonly mode?: 'present' | 'past'
  readonly asOf?: number
  /** What the server says to a question of the call. */
  readonly answer?: (question: Frame) => { readonly [name: string]: Json }
}

export interface GuestOptions {
  readonly python?: string
  readonly load?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly frame?: Readonly<Record<string, Json>>
  /** Key, columns, … of functions whose draft does not tell it all. */
  readonly define?: Readonly<Record<string, Readonly<Record<string, Json>>>>
}

/** The oldest and the newest of this machine. */
export function someInterpreters(): readonly string[] {
  const all = interpreters()
  return [...new Set([all[0], all.at(-1)].flatMap((one) => (one === undefined ? [] : [one.path])))]
}

/** Starts a worker on files, and waits for what they define. */
export async function startGuest(files: Readonly<Record<string, string>>, options: GuestOptions = {}): Promise<Guest> {
  const folder = temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const code = `import sys; sys.path.insert(0, ${JSON.stringify(PACKAGE)}); from fabra._worker import main; main()`
  const python = Bun.spawn([options.python ?? interpreters().at(-1)?.path ?? 'python3', '-c', code], {
    cwd: folder,
    env: { ...process.env, FABRA_WORKER: '1', PYTHONDONTWRITEBYTECODE: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'socket-fd'],
  })
  const output = Promise.all([new Response(python.stdout).text(), new Response(python.stderr).text()])
  const wire = await openWire(python.stdio[3] as unknown as number)
  const frame = async (what: string, wanted: (frame: Frame) => boolean, from = 0): Promise<Frame> => {
    const found = await until(what, LIMIT_MS, async () => {
      const hit = wire.frames.slice(from).find(wanted)
      if (hit !== undefined) return { hit }
      if (python.exitCode !== null || python.signalCode !== null) return { hit: null }
      return undefined
    })
    if (found.hit !== null) return found.hit
    throw new Error(`The worker ended before ${what}: ${(await output).join('\n')}`)
  }
  const load = (options.load ?? Object.keys(files).slice(0, 1)).map((name) => join(folder, name))
  await frame('hello', (one) => one.t === 'hello')
  wire.send({
    t: 'load',
    version: 1,
    files: load,
    clockOffset: 0,
    limits: { memory: null, threads: 32, maxThreads: 256, valueBytes: 65_536 },
    slots: null,
    ...options.frame,
  })
  const loaded = await frame('what it defines', (one) => one.t === 'loaded')
  wire.send({ t: 'define', functions: definitionRows(loaded, options.define ?? {}) })
  let id = 0
  return {
    folder,
    frames: wire.frames,
    exited: python.exited,
    pid: python.pid,
    loaded,
    send: wire.send,
    frame,
    async call(feature, key, { inputs = null, mode = 'present', asOf = 1_700_000_000_000_000, answer } = {}) {
      const own = ++id
      const from = wire.frames.length
      const many = Array.isArray(key) && Array.isArray(key[0])
      wire.send({ t: 'call', id: own, feature, ...(many ? { keys: key } : { key }), inputs, asOf, mode })
      for (let seen = from; ; seen++) {
        const next = await frame(`the answer of ${feature}`, (one) => (one.t === 'result' || one.t === 'ask') && one['id'] === own, seen)
        seen = wire.frames.indexOf(next)
        if (next.t === 'result') return next
        wire.send({ t: 'answer', ask: next.ask, ...answer?.(next['question']) })
      }
    },
    close: wire.close,
    kill: () => python.kill('SIGKILL'),
    async printed() {
      return (await output).join('')
    },
    async [Symbol.asyncDispose]() {
      python.kill('SIGKILL')
      await python.exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Wire {
  readonly frames: Frame[]
  send(...frames: readonly Json[]): void
  close(): void
}

async function openWire(fd: number): Promise<Wire> {
  const frames: Frame[] = []
  let held: Buffer = Buffer.alloc(0)
  let backlog: Buffer = Buffer.alloc(0)
  const flush = () => {
    if (backlog.length > 0) backlog = backlog.subarray(socket.write(backlog))
  }
  const socket = await Bun.connect({
    fd,
    socket: {
      data(_: unknown, chunk: Buffer) {
        held = Buffer.concat([held, chunk])
        while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
          const end = 4 + held.readUInt32BE(0)
          frames.push(...(parseExact(held.subarray(4, end).toString()) as Frame[]))
          held = held.subarray(end)
        }
      },
      drain: flush,
    },
  } as never as Parameters<typeof Bun.connect>[0])
  return {
    frames,
    send(...sent) {
      const body = Buffer.from(JSON.stringify(sent))
      const head = Buffer.alloc(4)
      head.writeUInt32BE(body.length)
      backlog = Buffer.concat([backlog, head, body])
      flush()
    },
    close: () => void socket.end(),
  }
}

/** What the server tells after it has checked the drafts, as far as tests need it. */
function definitionRows(loaded: Frame, more: Readonly<Record<string, Readonly<Record<string, Json>>>>): Json[] {
  return loaded['drafts']
    .filter((draft: Frame) => draft['function'] !== null)
    .map((draft: Frame) => {
      const options = draft['options']
      const feature = options.name ?? draft['name']
      const entity = loaded['drafts'].find((one: Frame) => one['id'] === options.entity?.$ref)
      const key = Object.entries(
        typeof entity?.options.key === 'string' ? { [entity.options.key]: 'string' } : (entity?.options.key ?? { id: 'string' }),
      )
      const columns = Object.entries(options.columns ?? {}).map(([name, type]) => ({ name, type }))
      return {
        feature,
        definition: draft['id'],
        key: key.map(([name, type]) => ({ name, type })),
        columns: columns.length > 0 ? columns : [{ name: null, type: options.type ?? 'json' }],
        inputs: options.inputs ?? {},
        batch: options.batch === true ? 1000 : (options.batch ?? null),
        nan: options.nan ?? 'error',
        ...more[feature],
      }
    })
}
