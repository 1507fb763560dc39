import type { Redis } from 'ioredis'
import { identify, MARK_FIELDS, MARK_KEY } from '../integrity/marks.ts'
import { type Reply, RespReader } from './resp-reader.ts'

/** Some fields of some hashes. */
export interface HashRead {
  readonly keys: readonly string[]
  readonly fields: readonly string[]
}

/** Of whoever sent a command. Called once: the first call counts. */
export interface Callbacks<Answer> {
  answered(answer: Answer): void
  failed(error: unknown): void
}

/** The socket of an ioredis client, for HMGET and PING alone: nothing else may be asked of that client. */
export interface RawSocket {
  isOpen(): boolean
  /** When something came last, by performance.now(). */
  heardAt(): number
  /**
   * In one write. Tells of a row for each key, of all reads one after the other, and of the mark's last: what Redis answered. What Redis
   * refuses is told as failed first, and when all is answered as answered nonetheless.
   */
  hashes(reads: readonly HashRead[], callbacks: Callbacks<readonly Buffer[]>): void
  /** Tells of an answer, be it a refusal; of none where the connection is lost. */
  ping(answered: () => void): void
}

interface RawSocketOptions {
  /** A socket on which something was asked and nothing comes for so long is given up: a server that is gone does not always say so. */
  readonly silentMs: number
  readonly database: number
  /** Told of the server's run id. */
  readonly onOpen: (server: string) => void
  /** The database cannot be selected: nothing is said over this connection. */
  readonly onRefused: (error: unknown) => void
}

interface Pending {
  unanswered: number
  readonly rows: Buffer[]
  readonly callbacks: Callbacks<readonly Buffer[]>
}

const PING = '*1\r\n$4\r\nPING\r\n'
const MARK = ['*4', ...['HMGET', MARK_KEY, ...MARK_FIELDS].flatMap((text) => [`$${text.length}`, text]), ''].join('\r\n')
const LOOK_AGAIN_MS = 1_000

/**
 * ioredis connects, logs in, and connects again; what is said over its socket after that is ours. A command of ioredis and what it makes of
 * the reply are some forty objects and closures, as many as all the rest of a read that goes alone.
 */
export function createRawSocket(client: Redis, { silentMs, database, onOpen, onRefused }: RawSocketOptions): RawSocket {
  let stream: Redis['stream'] | undefined
  let pending: Pending[] = []
  let heardAt = 0
  const wireOf = createWires()

  client.on('ready', () => meet(client.stream))
  client.on('close', drop)

  /** The answers to what is asked here, be they refusals, are the last ones that ioredis waits for. */
  function meet(ready: Redis['stream']): void {
    const isGone = () => ready.destroyed || ready !== client.stream
    identify(client, database).then(
      (server) => {
        if (!isGone()) take(ready, server)
      },
      (error) => {
        if (isGone()) return
        onRefused(error)
        setTimeout(() => isGone() || meet(ready), LOOK_AGAIN_MS).unref()
      },
    )
  }

  function take(ready: Redis['stream'], server: string): void {
    const reader = new RespReader(answer)
    ready.removeAllListeners('data')
    ready.on('data', (chunk: Buffer) => {
      heardAt = performance.now()
      try {
        reader.take(chunk)
      } catch (error) {
        ready.destroy(error as Error)
      }
    })
    stream = ready
    onOpen(server)
  }

  function drop(): void {
    const lost = pending
    pending = []
    stream = undefined
    for (const { callbacks } of lost) callbacks.failed(new Error('Connection is closed.'))
  }

  function answer(reply: Reply): void {
    const [first] = pending
    if (!first) throw new Error('Redis answered though nothing was asked.')
    if (reply instanceof Error) first.callbacks.failed(reply)
    else if (typeof reply !== 'string') first.rows.push(reply)
    if (--first.unanswered > 0) return
    pending.shift()
    first.callbacks.answered(first.rows)
  }

  function send(text: string, unanswered: number, callbacks: Pending['callbacks']): void {
    if (!stream) {
      callbacks.failed(new Error('Connection is closed.'))
      return
    }
    if (pending.length === 0) heardAt = performance.now()
    pending.push({ unanswered, rows: [], callbacks })
    stream.write(text)
  }

  return {
    isOpen: () => stream !== undefined,
    heardAt: () => heardAt,
    hashes(reads, callbacks) {
      let text = ''
      let unanswered = 0
      for (const { keys, fields } of reads) {
        const { head, tail } = wireOf(fields)
        for (const key of keys) text += `${head}$${Buffer.byteLength(key)}\r\n${key}\r\n${tail}`
        unanswered += keys.length
      }
      send(text + MARK, unanswered + 1, callbacks)
    },
    ping(answered) {
      if (stream && pending.length > 0 && performance.now() - heardAt > silentMs) {
        stream.destroy(new Error('Socket timeout.'))
        return
      }
      send(PING, 1, { answered, failed: () => undefined })
    },
  }
}

/** What is sent before and after the key; RESP2. */
interface Wire {
  readonly head: string
  readonly tail: string
}

/** Written once for each list of fields: it is the same list object in every read of a plan. */
function createWires(): (fields: readonly string[]) => Wire {
  const known = new WeakMap<readonly string[], Wire>()
  return (fields) => {
    let wire = known.get(fields)
    if (!wire) {
      const tail = fields.map((field) => `$${Buffer.byteLength(field)}\r\n${field}\r\n`).join('')
      wire = { head: `*${fields.length + 2}\r\n$5\r\nhmget\r\n`, tail }
      known.set(fields, wire)
    }
    return wire
  }
}
