import { type Belief, MARK_FIELDS, MARK_KEY, type Marks } from '../integrity/marks.ts'
import type { RedisConnection } from '../redis.ts'
import type { Callbacks, HashRead } from './raw-socket.ts'
import type { Places } from './servers.ts'
import type { Command, Connections, Socket } from './socket.ts'
import { unavailable } from './unavailable.ts'

/** Keys of one caller that go together; the rest follow them. */
const MAX_KEYS_OF_ONE = 250
/** A lot is full with so many keys. */
const MAX_KEYS_A_BATCH = 500
/** Lots under way. While they are, the next one gathers: what many requests cost is the number of times that the socket is used. */
const MAX_BATCHES = 2
/** Later the next one leaves all the same, where few keys are under way: Redis then answers what is there at once, instead of one lot after the other. */
const LONGEST_COLLECTING_MS = 1

/** Makes what was asked for of rows, of which those of the ask begin at `from`. `isSure`: none of them was lost. */
type Take<Answer> = (rows: readonly Buffer[], from: number, isSure: boolean) => Answer

interface ReadRequest extends HashRead {
  readonly requestedAt: number
  readonly take: Take<unknown>
  resolve(answer: unknown): void
  reject(error: unknown): void
}

/** Asks that go together. */
class ReadBatch implements Command<readonly Buffer[]> {
  readonly keys: number
  private readonly requests: readonly ReadRequest[]
  private readonly options: ReadsOptions
  private readonly over: (batch: ReadBatch) => void
  private belief: Belief | undefined
  private isSure = true

  constructor(requests: readonly ReadRequest[], options: ReadsOptions, over: (batch: ReadBatch) => void) {
    let keys = 0
    for (const request of requests) keys += request.keys.length
    this.keys = keys
    this.requests = requests
    this.options = options
    this.over = over
  }

  put({ client, rawSocket }: Connections, callbacks: Callbacks<readonly Buffer[]>): void {
    if (!rawSocket) {
      this.putToNodes(client, callbacks)
      return
    }
    this.belief = this.options.marks.of(MARK_KEY)
    rawSocket.hashes(this.requests, callbacks)
  }

  /** Each node gets its own pipeline, and its mark is the last in it: ioredis sorts the commands of one turn by node. */
  private putToNodes(client: Connections['client'], callbacks: Callbacks<readonly Buffer[]>): void {
    const { marks, places } = this.options
    const rows = this.requests.flatMap(({ keys, fields }) => keys.map(async (key) => oneRow(await client.hmgetBuffer(key, ...fields))))
    const asked = new Set(this.requests.flatMap(({ keys }) => keys.map((key) => places.of(key))))
    const checks = [...asked].map(async (place) => {
      const belief = place === undefined ? undefined : marks.of(place)
      // Nothing is known of the node: its rows are not sure whatever the mark says.
      if (place === undefined || belief === undefined) return false
      return marks.check(place, belief, oneRow(await client.hmgetBuffer(place, ...MARK_FIELDS)))
    })
    Promise.all([Promise.all(rows), Promise.all(checks)]).then(
      ([found, sure]) => {
        this.isSure = sure.every(Boolean)
        callbacks.answered(found)
      },
      (error) => callbacks.failed(error),
    )
  }

  answered(rows: readonly Buffer[]): void {
    const isSure = this.isSure && (this.options.places.isOne ? this.options.marks.check(MARK_KEY, this.belief, rows[this.keys]) : true)
    let from = 0
    for (const request of this.requests) {
      settle(request, rows, from, isSure)
      from += request.keys.length
    }
    this.over(this)
  }

  failed(error: unknown): void {
    for (const request of this.requests) request.reject(error)
    this.over(this)
  }
}

const LINE_END = Buffer.from('\r\n')

function oneRow(fields: readonly (Buffer | null)[]): Buffer {
  return Buffer.concat(fields.flatMap((bytes) => (bytes ? [bytes, LINE_END] : [])))
}

/** Rows that one of the asks cannot use are no reason to leave the others without. */
function settle({ take, resolve, reject }: ReadRequest, rows: readonly Buffer[], from: number, isSure: boolean): void {
  try {
    resolve(take(rows, from, isSure))
  } catch (error) {
    reject(error)
  }
}

export interface ReadsOptions {
  readonly timeoutMs: number
  readonly marks: Marks
  readonly places: Places
}

/**
 * Reads of one turn of the event loop, and of the time that earlier ones are under way, go to Redis together. Never more than a few hundred
 * keys at once, so that the deadline of a lot measures Redis and not how much there is to do here.
 */
export function createReads(socket: Pick<Socket, 'issue'>, options: ReadsOptions): RedisConnection['readHashes'] {
  const { timeoutMs } = options
  let waiting: ReadRequest[] = []
  let batches = 0
  let keysUnderWay = 0
  let sentAt = 0
  let isLeaving = false
  let isCollecting = false

  const mayLeave = (now: number) => batches < MAX_BATCHES || (keysUnderWay < MAX_KEYS_A_BATCH && now - sentAt >= LONGEST_COLLECTING_MS)

  function leave(): void {
    isLeaving = false
    while (waiting.length > 0 && mayLeave(performance.now())) {
      const requests = takeRequests()
      if (requests.length > 0) send(new ReadBatch(requests, options, over))
    }
    if (waiting.length > 0) collect()
  }

  /** Redis may be far away: who waits does not wait for its answer to others. */
  function collect(): void {
    if (isCollecting) return
    isCollecting = true
    setTimeout(() => {
      isCollecting = false
      leave()
    }, LONGEST_COLLECTING_MS)
  }

  function takeRequests(): ReadRequest[] {
    const oldest = performance.now() - timeoutMs
    const requests: ReadRequest[] = []
    let keys = 0
    let next = 0
    for (; next < waiting.length && keys < MAX_KEYS_A_BATCH; next++) {
      const request = waiting[next] as ReadRequest
      if (request.requestedAt < oldest) {
        request.reject(unavailable('Too many reads wait.'))
        continue
      }
      requests.push(request)
      keys += request.keys.length
    }
    waiting = next === waiting.length ? [] : waiting.slice(next)
    return requests
  }

  function send(batch: ReadBatch): void {
    batches++
    keysUnderWay += batch.keys
    sentAt = performance.now()
    socket.issue(batch)
  }

  function over(batch: ReadBatch): void {
    batches--
    keysUnderWay -= batch.keys
    if (waiting.length > 0) leave()
  }

  const request = <Answer>(keys: readonly string[], fields: readonly string[], take: Take<Answer>) =>
    new Promise<Answer>((resolve, reject) => {
      const requestedAt = performance.now()
      waiting.push({ keys, fields, requestedAt, take, resolve: resolve as ReadRequest['resolve'], reject })
      if (isLeaving) return
      if (!mayLeave(requestedAt)) return collect()
      isLeaving = true
      setImmediate(leave)
    })

  return (keys, fields, take) => (keys.length <= MAX_KEYS_OF_ONE ? request(keys, fields, take) : inTurns(keys, fields, take))

  async function inTurns<Answer>(keys: readonly string[], fields: readonly string[], take: Take<Answer>): Promise<Answer> {
    const all: Buffer[] = []
    let isSure = true
    for (let first = 0; first < keys.length; first += MAX_KEYS_OF_ONE) {
      const some = keys.slice(first, first + MAX_KEYS_OF_ONE)
      await request(some, fields, (rows, from, areSure) => {
        isSure &&= areSure
        for (let i = 0; i < some.length; i++) all.push(rows[from + i] as Buffer)
      })
    }
    return take(all, 0, isSure)
  }
}
