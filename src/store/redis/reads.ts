import type { Lines, RedisConnection, Socket } from './connection.ts'
import type { HashAsk, HashRow } from './line.ts'
import { unavailable } from './unavailable.ts'

/** Keys of one caller that go together; the rest follow them. */
const MAX_KEYS_OF_ONE = 250
/** A lot is full with so many keys. */
const MAX_KEYS_A_LOT = 500
/** Lots under way. While they are, the next one gathers: what many requests cost is the number of times that the socket is used. */
const MAX_LOTS = 2
/** Later the next one leaves all the same, where few keys are under way: Redis then answers what is there at once, instead of one lot after the other. */
const LONGEST_GATHERING_MS = 1

interface Ask extends HashAsk {
  readonly askedAt: number
  resolve(found: readonly HashRow[]): void
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
  let isGathering = false

  const mayLeave = (now: number) => lots < MAX_LOTS || (keysUnderWay < MAX_KEYS_A_LOT && now - sentAt >= LONGEST_GATHERING_MS)

  function leave(): void {
    isLeaving = false
    while (waiting.length > 0 && mayLeave(performance.now())) {
      const lot = takeLot()
      if (lot.length > 0) send(lot)
    }
    if (waiting.length > 0) gather()
  }

  /** Redis may be far away: who waits does not wait for its answer to others. */
  function gather(): void {
    if (isGathering) return
    isGathering = true
    setTimeout(() => {
      isGathering = false
      leave()
    }, LONGEST_GATHERING_MS)
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

  function send(lot: readonly Ask[]): void {
    let keys = 0
    for (const ask of lot) keys += ask.keys.length
    lots++
    keysUnderWay += keys
    sentAt = performance.now()
    const over = () => {
      lots--
      keysUnderWay -= keys
      if (waiting.length > 0) leave()
    }
    socket.pose<readonly HashRow[]>(
      (lines, answered, failed) => put(lines, lot, answered, failed),
      (found) => {
        let from = 0
        for (const ask of lot) {
          ask.resolve(lot.length === 1 ? found : found.slice(from, from + ask.keys.length))
          from += ask.keys.length
        }
        over()
      },
      (error) => {
        for (const ask of lot) ask.reject(error)
        over()
      },
    )
  }

  const ask = (keys: readonly string[], fields: readonly string[]) =>
    new Promise<readonly HashRow[]>((resolve, reject) => {
      const askedAt = performance.now()
      waiting.push({ keys, fields, askedAt, resolve, reject })
      if (isLeaving) return
      if (!mayLeave(askedAt)) return gather()
      isLeaving = true
      setImmediate(leave)
    })

  return (keys, fields) => (keys.length <= MAX_KEYS_OF_ONE ? ask(keys, fields) : inTurns(keys, (some) => ask(some, fields)))
}

async function inTurns(
  keys: readonly string[],
  ask: (keys: readonly string[]) => Promise<readonly HashRow[]>,
): Promise<readonly HashRow[]> {
  const found: HashRow[] = []
  for (let from = 0; from < keys.length; from += MAX_KEYS_OF_ONE) {
    for (const row of await ask(keys.slice(from, from + MAX_KEYS_OF_ONE))) found.push(row)
  }
  return found
}

function put(
  { client, line }: Lines,
  lot: readonly Ask[],
  answered: (rows: readonly HashRow[]) => void,
  failed: (error: unknown) => void,
): void {
  if (line) line.hashes(lot, answered, failed)
  // Each node gets its own pipeline: ioredis sorts the commands of one turn by node.
  else Promise.all(lot.flatMap(({ keys, fields }) => keys.map((key) => client.hmgetBuffer(key, ...fields)))).then(answered, failed)
}
