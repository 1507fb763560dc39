import { Cluster, Command, type Redis } from 'ioredis'
import type { RedisConnection, Socket } from './connection.ts'
import { unavailable } from './unavailable.ts'

/** Keys of one caller that go together; the rest follow them. */
const MAX_KEYS_OF_ONE = 250
/** A lot is full with so many keys. */
const MAX_KEYS_A_LOT = 500
/** Lots under way. While they are, the next one gathers: what many requests cost is the number of times that the socket is used. */
const MAX_LOTS = 2
/** Later the next one leaves all the same, where few keys are under way: Redis then answers what is there at once, instead of one lot after the other. */
const LONGEST_GATHERING_MS = 1

type Rows = readonly (readonly (Buffer | null)[])[]

interface Ask {
  readonly keys: readonly string[]
  readonly fields: readonly string[]
  readonly askedAt: number
  resolve(found: Rows): void
  reject(error: unknown): void
}

/**
 * Reads of one turn of the event loop, and of the time that earlier ones are under way, go to Redis together. Never more than a few hundred
 * keys at once, so that the deadline of a lot measures Redis and not how much there is to do here.
 */
export function createReads(socket: Socket, timeoutMs: number): RedisConnection['readHashes'] {
  let waiting: Ask[] = []
  let lots = 0
  let keysUnderWay = 0
  let sentAt = 0
  let isLeaving = false
  const wireOf = createWires()

  const mayLeave = (now: number) => lots < MAX_LOTS || (keysUnderWay < MAX_KEYS_A_LOT && now - sentAt >= LONGEST_GATHERING_MS)

  function leave(): void {
    isLeaving = false
    while (waiting.length > 0 && mayLeave(performance.now())) {
      const lot = takeLot()
      if (lot.length > 0) void send(lot)
    }
  }

  function takeLot(): Ask[] {
    const oldest = performance.now() - timeoutMs
    const lot: Ask[] = []
    let keys = 0
    let next = 0
    for (; next < waiting.length && keys < MAX_KEYS_A_LOT; next++) {
      const ask = waiting[next] as Ask
      if (ask.askedAt < oldest) {
        ask.reject(unavailable('Too many reads wait.'))
        continue
      }
      lot.push(ask)
      keys += ask.keys.length
    }
    waiting = next === waiting.length ? [] : waiting.slice(next)
    return lot
  }

  async function send(lot: readonly Ask[]): Promise<void> {
    const keys = lot.reduce((sum, ask) => sum + ask.keys.length, 0)
    lots++
    keysUnderWay += keys
    sentAt = performance.now()
    try {
      const found = await socket.ask((client) => pipelined(client, lot, wireOf))
      if (lot.length === 1) lot[0]?.resolve(found)
      else {
        let from = 0
        for (const ask of lot) {
          ask.resolve(found.slice(from, from + ask.keys.length))
          from += ask.keys.length
        }
      }
    } catch (error) {
      for (const ask of lot) ask.reject(error)
    }
    lots--
    keysUnderWay -= keys
    if (waiting.length > 0) leave()
  }

  const ask = (keys: readonly string[], fields: readonly string[]) =>
    new Promise<Rows>((resolve, reject) => {
      const askedAt = performance.now()
      waiting.push({ keys, fields, askedAt, resolve, reject })
      if (isLeaving || !mayLeave(askedAt)) return
      isLeaving = true
      setImmediate(leave)
    })

  return (keys, fields) => (keys.length <= MAX_KEYS_OF_ONE ? ask(keys, fields) : inTurns(keys, (some) => ask(some, fields)))
}

async function inTurns(keys: readonly string[], ask: (keys: readonly string[]) => Promise<Rows>): Promise<Rows> {
  const found: Rows[number][] = []
  for (let from = 0; from < keys.length; from += MAX_KEYS_OF_ONE) {
    for (const row of await ask(keys.slice(from, from + MAX_KEYS_OF_ONE))) found.push(row)
  }
  return found
}

function pipelined(client: Redis | Cluster, lot: readonly Ask[], wireOf: (fields: readonly string[]) => Wire): Promise<Rows> {
  if (!(client instanceof Cluster)) return inOneWrite(client, lot, wireOf)
  // Each node gets its own pipeline: ioredis sorts the commands of one turn by node.
  return Promise.all(lot.flatMap(({ keys, fields }) => keys.map((key) => client.hmgetBuffer(key, ...fields))))
}

/**
 * What a pipeline of ioredis does, without its promises and its tracing for each command: a lot has one promise, and one write to the socket.
 * Answers stay bytes, for most are compared with what is known and never read.
 */
function inOneWrite(client: Redis, lot: readonly Ask[], wireOf: (fields: readonly string[]) => Wire): Promise<Rows> {
  const { promise, resolve, reject } = Promise.withResolvers<Rows>()
  const rows: Rows[number][] = []
  let unanswered = 0
  let text = ''
  const gathered = {
    isPipeline: true as const,
    destination: { redis: client },
    write: (command: string | Buffer) => {
      text += command
    },
  }
  for (const { keys, fields } of lot) {
    const { head, tail } = wireOf(fields)
    for (const key of keys) {
      const place = unanswered++
      const command = new Command('hmget', [key])
      command.isTraced = true
      command.toWritable = () => `${head}$${Buffer.byteLength(key)}\r\n${key}\r\n${tail}`
      command.resolve = (row: Rows[number]) => {
        rows[place] = row
        if (--unanswered === 0) resolve(rows)
      }
      command.reject = reject
      client.sendCommand(command, gathered)
    }
  }
  if (text !== '') client.stream.write(text)
  return promise
}

/** What is sent before and after the key; RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec */
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
