/**
 * `fabra serve --workers N`: N processes of the executable share one port, and this one watches over them.
 *
 *   - The first is started alone: it finds out whether the port is free, and which one it is (`--port 0`). What it cannot do, such as load the
 *     definitions, none could, so when it ends before it listens everything ends with its exit code.
 *   - A worker that ends by itself is started again, after a pause that grows while it keeps ending.
 *   - Asked to stop, it tells every worker, and waits until all have drained. Workers are told by a message and not by a signal: a terminal's
 *     Ctrl-C reaches them all by itself, and a second signal would mean "at once".
 *   - When this process is gone without a word, workers stop by themselves: nobody could stop them later.
 */
import { backoff } from '../../collections/backoff.ts'
import type { Logger } from '../../observability/logger.ts'
import { begin, isFromWorker, type Listening, stop } from './worker-messages.ts'

const PAUSE_MS = { first: 100, longest: 10_000 }
/** A worker that listened for so long was well: the next pause is short again. */
const WELL_AFTER_MS = 30_000

export interface WorkersOptions {
  readonly count: number
  /** The arguments of a worker's process, the executable first. @param port The one that the first listens on; null: it is the first. */
  readonly command: (port: number | null) => readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** What local commands show to any of the workers. */
  readonly localKey: string
  /** Longest wait for workers that were told to stop; then they are killed. */
  readonly graceMs: number
  readonly log: Logger
}

export interface Workers {
  /** Resolves when every worker listens or has ended once, or with an exit code when the first could not begin. */
  start(): Promise<Listening | { readonly exitCode: number }>
  /** Safe to call while they start. @returns the exit code: 0 when every worker has drained. */
  stop(): Promise<number>
}

type Child = ReturnType<typeof spawn>

interface Slot {
  readonly number: number
  child: Child | undefined
  restart: ReturnType<typeof setTimeout> | undefined
  /** Ends in a row. */
  ends: number
  listeningSince: number | null
}

export function createWorkers(options: WorkersOptions): Workers {
  const { log } = options
  const slots = Array.from({ length: options.count }, (_, i): Slot => {
    return { number: i + 1, child: undefined, restart: undefined, ends: 0, listeningSince: null }
  })
  let port: number | null = null
  let stopping = false

  /** Resolves when it listens, or with its exit code when it ended before. */
  function run(slot: Slot): Promise<Listening | { readonly exitCode: number }> {
    const { promise, resolve } = Promise.withResolvers<Listening | { readonly exitCode: number }>()
    slot.listeningSince = null
    const child = spawn(options, port, (message) => {
      if (!isFromWorker(message)) return
      if (message.kind === 'hello') {
        child.send(begin({ localKey: options.localKey, isFirst: port === null, processes: options.count }))
        if (stopping) child.send(stop())
        return
      }
      slot.listeningSince = performance.now()
      resolve(message)
    })
    slot.child = child
    void child.exited.then((exitCode) => {
      slot.child = undefined
      resolve({ exitCode })
      if (port !== null && !stopping) startAgain(slot, child.signalCode ?? exitCode)
    })
    return promise
  }

  function startAgain(slot: Slot, reason: string | number): void {
    const wasWell = slot.listeningSince !== null && performance.now() - slot.listeningSince >= WELL_AFTER_MS
    slot.ends = wasWell ? 1 : slot.ends + 1
    const pauseMs = backoff(slot.ends, PAUSE_MS)
    log.warn(`worker ${slot.number} of ${options.count} ended (${reason}) and is started again in ${pauseMs} ms`)
    slot.restart = setTimeout(() => void run(slot), pauseMs)
  }

  return {
    async start() {
      const [first, ...others] = slots
      const began = first ? await run(first) : { exitCode: 1 }
      if ('exitCode' in began || stopping) return began
      port = began.port
      await Promise.all(others.map(run))
      return began
    },
    async stop() {
      stopping = true
      for (const { restart } of slots) clearTimeout(restart)
      const children = slots.flatMap(({ child }) => child ?? [])
      for (const child of children) child.send(stop())
      const timer = setTimeout(() => {
        for (const child of children) child.kill('SIGKILL')
      }, options.graceMs)
      const codes = await Promise.all(children.map((child) => child.exited))
      clearTimeout(timer)
      return codes.find((code) => code !== 0) ?? 0
    },
  }
}

function spawn({ command, cwd, env }: WorkersOptions, port: number | null, onMessage: (message: unknown) => void) {
  return Bun.spawn([...command(port)], {
    cwd,
    env: { ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
    ipc: onMessage,
    serialization: 'json',
  })
}
