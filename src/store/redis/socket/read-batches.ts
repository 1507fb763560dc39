import { type Belief, MARK_FIELDS, MARK_KEY, type Marks } from '../integrity/marks.ts'
import type { RedisConnection } from '../redis.ts'
import { tooMuch } from './deadlines.ts'
import type { Callbacks, HashRead } from './raw-socket.ts'
import type { RedisLayout } from './servers.ts'
import type { Command, Connections, Socket } from './socket.ts'
import { unavailable } from './unavailable.ts'

/** Keys of one caller that go together; the rest follow them. */
const MAX_KEYS_OF_ONE = 250
/** A batch is full with so many keys. */
const MAX_KEYS_A_BATCH = 500
/** Batches under way. While they are, the next one gathers: what many requests cost is the number of times that the socket is used. */
const MAX_BATCHES = 2
/** Later the next one leaves all the same, where few keys are under way: Redis then answers what is there at once, instead of one batch after the other. */
const LONGEST_COLLECTING_MS = 1
/** In timeouts. */
const PATIENCE_WHILE_HEARD = 2

/** Makes what was asked for of rows, of which those of the request begin at `from`. `isSure`: none of them was lost. */
type Take<Answer> = (rows: readonly Buffer[], from: number, isSure: boolean, answeredAt: number) => Answer

interface ReadRequest extends HashRead {
  readonly requestedAt: number
  readonly take: Take<unknown>
  resolve(answer: unknown): void
  reject(error: unknown): void
}

/** Requests that go together. */
class ReadBatch implements Command<readonly Buffer[]> {
  readonly keys: number
  private readonly requests: readonly ReadRequest[]
  private readonly options: ReadBatchesOptions
  private readonly queue: Pick<ReadBatches, 'over'>
  private belief: Belief | undefined
  private isSure = true

  constructor(requests: readonly ReadRequest[], options: ReadBatchesOptions, queue: Pick<ReadBatches, 'over'>) {
    let keys = 0
    for (const request of requests) keys += request.keys.length
    this.keys = keys
    this.requests = requests
    this.options = options
    this.queue = queue
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
    const answer = { rows, isSure, at: performance.now() }
    let from = 0
    for (const request of this.requests) {
      settle(request, answer, from)
      from += request.keys.length
    }
    this.queue.over(this, answer.at)
  }

  failed(error: unknown): void {
    for (const request of this.requests) request.reject(error)
    this.queue.over(this, undefined)
  }
}

const LINE_END = Buffer.from('\r\n')

function oneRow(fields: readonly (Buffer | null)[]): Buffer {
  return Buffer.concat(fields.flatMap((bytes) => (bytes ? [bytes, LINE_END] : [])))
}

/** Rows that one of the requests cannot use are no reason to leave the others without. */
function settle(
  { take, resolve, reject }: ReadRequest,
  { rows, isSure, at }: { readonly rows: readonly Buffer[]; readonly isSure: boolean; readonly at: number },
  from: number,
): void {
  try {
    resolve(take(rows, from, isSure, at))
  } catch (error) {
    reject(error)
  }
}

export interface ReadBatchesOptions {
  readonly timeoutMs: number
  readonly marks: Marks
  readonly places: RedisLayout
}

/**
 * Reads of one turn of the event loop, and of the time that earlier ones are under way, go to Redis together. Never more than a few hundred
 * keys at once, so that the deadline of a batch measures Redis and not how much there is to do here.
 */
export class ReadBatches implements Pick<RedisConnection, 'readHashes'> {
  private readonly socket: Pick<Socket, 'issue'>
  private readonly options: ReadBatchesOptions
  private waiting: ReadRequest[] = []
  private batches = 0
  private keysUnderWay = 0
  private sentAt = 0
  private isLeaving = false
  private isCollecting = false
  private answeredAt = Number.NEGATIVE_INFINITY

  constructor(socket: Pick<Socket, 'issue'>, options: ReadBatchesOptions) {
    this.socket = socket
    this.options = options
  }

  readHashes<Answer>(keys: readonly string[], fields: readonly string[], take: Take<Answer>): Promise<Answer> {
    return keys.length <= MAX_KEYS_OF_ONE ? this.request(keys, fields, take) : this.inTurns(keys, fields, take)
  }

  /** A batch was answered then, or has failed. */
  over(batch: ReadBatch, answeredAt: number | undefined): void {
    if (answeredAt !== undefined) this.answeredAt = answeredAt
    this.batches--
    this.keysUnderWay -= batch.keys
    if (this.waiting.length > 0) this.leave()
  }

  private request<Answer>(keys: readonly string[], fields: readonly string[], take: Take<Answer>): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const requestedAt = performance.now()
      this.waiting.push({ keys, fields, requestedAt, take, resolve: resolve as ReadRequest['resolve'], reject })
      if (this.isLeaving) return
      if (!this.mayLeave(requestedAt)) {
        this.collect()
        return
      }
      this.isLeaving = true
      setImmediate(this.leave)
    })
  }

  private async inTurns<Answer>(keys: readonly string[], fields: readonly string[], take: Take<Answer>): Promise<Answer> {
    const all: Buffer[] = []
    let isSure = true
    for (let first = 0; first < keys.length; first += MAX_KEYS_OF_ONE) {
      const some = keys.slice(first, first + MAX_KEYS_OF_ONE)
      await this.request(some, fields, (rows, from, areSure) => {
        isSure &&= areSure
        for (let i = 0; i < some.length; i++) all.push(rows[from + i] as Buffer)
      })
    }
    return take(all, 0, isSure, performance.now())
  }

  private mayLeave(now: number): boolean {
    return this.batches < MAX_BATCHES || (this.keysUnderWay < MAX_KEYS_A_BATCH && now - this.sentAt >= LONGEST_COLLECTING_MS)
  }

  /** Made once: it is handed to the event loop again and again. */
  private readonly leave = (): void => {
    this.isLeaving = false
    while (this.waiting.length > 0 && this.mayLeave(performance.now())) {
      const requests = this.takeRequests()
      if (requests.length > 0) this.send(new ReadBatch(requests, this.options, this))
    }
    if (this.waiting.length > 0) this.collect()
  }

  /** Redis may be far away: who waits does not wait for its answer to others. */
  private collect(): void {
    if (this.isCollecting) return
    this.isCollecting = true
    setTimeout(this.collected, LONGEST_COLLECTING_MS)
  }

  private readonly collected = (): void => {
    this.isCollecting = false
    this.leave()
  }

  private takeRequests(): ReadRequest[] {
    const { waiting } = this
    const now = performance.now()
    const { timeoutMs } = this.options
    // While answers come, Redis is well, and this process is what requests wait for.
    const isHeard = now - this.answeredAt < timeoutMs
    const oldest = now - (isHeard ? PATIENCE_WHILE_HEARD : 1) * timeoutMs
    const requests: ReadRequest[] = []
    let keys = 0
    let next = 0
    for (; next < waiting.length && keys < MAX_KEYS_A_BATCH; next++) {
      const request = waiting[next] as ReadRequest
      if (request.requestedAt < oldest) {
        request.reject(isHeard ? tooMuch() : unavailable('Too many reads wait.'))
        continue
      }
      requests.push(request)
      keys += request.keys.length
    }
    this.waiting = next === waiting.length ? [] : waiting.slice(next)
    return requests
  }

  private send(batch: ReadBatch): void {
    this.batches++
    this.keysUnderWay += batch.keys
    this.sentAt = performance.now()
    this.socket.issue(batch)
  }
}
