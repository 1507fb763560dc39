/** One connection to Redis, or one to each node of a cluster, with a deadline for all that is asked of it. */
import { Cluster, Redis } from 'ioredis'
import { FabraError } from '../../../errors.ts'
import { identify } from '../integrity/marks.ts'
import { createClient, LONGEST_PAUSE_MS, longestSilenceMs } from './client.ts'
import { createDeadlines, Deadline } from './deadlines.ts'
import { createLine, type Line, type Told } from './raw-socket.ts'
import { failureOf, NO_ANSWER, unavailable } from './unavailable.ts'
import type { RedisAddress } from './url.ts'

/** In a cluster one timeout says only that one node does not answer: so many in a row, without an answer from another. */
const TIMEOUTS_UNTIL_CLUSTER_STALLED = 3
const PROBE_EVERY_MS = 250

/** What a socket is asked through. */
export interface Lines {
  readonly client: Redis | Cluster
  /** All that may be used, where it is there. */
  readonly line: Line | undefined
}

/** Told of the answer, or of a FabraError store_unavailable. */
export interface Question<Answer> extends Told<Answer> {
  put(lines: Lines, told: Told<Answer>): void
}

/** One connection, or one to each node of a cluster. */
export interface Socket {
  readonly client: Redis | Cluster
  /** Resolves with the first connection, or when it takes too long. */
  ready(): Promise<void>
  /** @throws FabraError store_unavailable */
  ask<Answer>(question: (lines: Lines) => Promise<Answer>): Promise<Answer>
  /** The same without a promise. */
  pose<Answer>(question: Question<Answer>): void
  /** What is wrong; undefined: nothing. */
  problem(): string | undefined
  /** It has not answered for longer than its timeout. */
  isStalled(): boolean
  /** Why its database cannot be used; undefined: it can, or that is not known. */
  refusal(): string | undefined
  /** Leaves the server for that to which the address leads now. */
  connectAnew(): void
  close(): void
}

export interface SocketOptions {
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  readonly onProblem: (message: string, cause: unknown) => void
  /** Nothing but HMGET is asked. */
  readonly onlyReads: boolean
  /** Told of the run id of the one server it leads to, and with undefined that there is no connection. Not in a cluster. */
  readonly onServer: (server: string | undefined) => void
}

/** A socket of which something was asked. */
interface Asked {
  heard(): void
  /** @returns what those who asked are told. */
  failureFor(error: unknown): unknown
}

/** A question until it is answered, refused or late: then it is let go, though it may be looked at as a deadline still. */
class Posed<Answer> extends Deadline implements Told<Answer> {
  private question: Question<Answer> | undefined
  private readonly asked: Asked

  constructor(question: Question<Answer>, asked: Asked) {
    super()
    this.question = question
    this.asked = asked
  }

  isOpen(): boolean {
    return this.question !== undefined
  }

  answered(answer: Answer): void {
    const { question } = this
    if (!question) return
    this.question = undefined
    this.asked.heard()
    question.answered(answer)
  }

  failed(error: unknown): void {
    const { question } = this
    this.question = undefined
    question?.failed(this.asked.failureFor(error))
  }
}

export function createSocket(address: RedisAddress, options: SocketOptions): Socket {
  const client = createClient(address, options)
  const silentMs = longestSilenceMs(options)
  const line =
    options.onlyReads && client instanceof Redis
      ? createLine(client, { silentMs, database: address.db, onOpen: met, onRefused: refuseDatabase })
      : undefined
  const lines: Lines = { client, line }
  const watch = createDeadlines(options.timeoutMs)
  const patience = address.isCluster ? TIMEOUTS_UNTIL_CLUSTER_STALLED : 1
  let failure: string | undefined
  let refusal: string | undefined
  let isMet = address.isCluster
  let timeouts = 0
  let probe: Timer | undefined
  let closed = false
  let isTold = false
  const firstNews = Promise.withResolvers<void>()

  // Of the database itself is told where it is selected anew.
  client.on('error', (error: unknown) => isOfSelect(error) || fail(failureOf(error)))
  client.on('close', () => {
    if (!address.isCluster) {
      isMet = false
      options.onServer(undefined)
    }
    fail('The connection was closed.')
  })
  if (client instanceof Cluster) client.on('ready', recover)
  else if (!line) client.on('ready', () => meet(client))

  function meet(one: Redis): void {
    const { stream } = one
    const isGone = () => closed || stream.destroyed || stream !== one.stream
    identify(one, address.db).then(
      (server) => {
        if (!isGone()) met(server)
      },
      (error) => {
        if (isGone()) return
        refuseDatabase(error)
        setTimeout(() => isGone() || meet(one), LONGEST_PAUSE_MS).unref()
      },
    )
  }

  function met(server: string): void {
    isMet = true
    refusal = undefined
    recover()
    options.onServer(server)
  }

  function refuseDatabase(error: unknown): void {
    refusal = `The database ${address.db} of Redis cannot be selected: ${failureOf(error)}.`
    failure = refusal
    fail(refusal)
  }

  function fail(message: string): void {
    if (closed) return
    // Of a series of failures the first says why; what follows is only that there is no connection.
    failure ??= message
    firstNews.resolve()
    if (isTold) return
    isTold = true
    options.onProblem('Redis cannot be reached; trying again.', new Error(message))
  }

  function recover(): void {
    firstNews.resolve()
    clearInterval(probe)
    probe = undefined
    timeouts = 0
    failure = undefined
    if (isTold) options.onProblem('Redis is back.', undefined)
    isTold = false
  }

  function stall(): void {
    fail(NO_ANSWER)
    if (probe !== undefined) return
    const isAnswer = (error: unknown) => error instanceof Error && error.name === 'ReplyError'
    const ping = () => (line ? line.ping(recover) : void client.ping().then(recover, (error) => isAnswer(error) && recover()))
    ping()
    probe = setInterval(ping, PROBE_EVERY_MS)
    probe.unref()
  }

  const asked: Asked = {
    heard() {
      timeouts = 0
    },
    failureFor(error) {
      const message = failureOf(error)
      if (message === NO_ANSWER && ++timeouts >= patience) stall()
      return error instanceof FabraError ? error : unavailable(message)
    },
  }

  function pose<Answer>(question: Question<Answer>): void {
    if (closed || probe !== undefined || !isMet) {
      question.failed(unavailable(failure ?? 'The connection is closed.'))
      return
    }
    const posed = new Posed(question, asked)
    watch(posed)
    try {
      question.put(lines, posed)
    } catch (error) {
      posed.failed(error)
    }
  }

  return {
    client,
    ready() {
      const timer = setTimeout(firstNews.resolve, options.connectTimeoutMs)
      return firstNews.promise.finally(() => clearTimeout(timer))
    },
    ask: (question) =>
      new Promise((resolve, reject) =>
        pose({
          put: (all, told) =>
            void question(all).then(
              (answer) => told.answered(answer),
              (error) => told.failed(error),
            ),
          answered: resolve,
          failed: reject,
        }),
      ),
    pose,
    problem() {
      if (failure !== undefined) return failure
      return isMet && (line ? line.isOpen() : client.status === 'ready') ? undefined : 'There is no connection yet.'
    },
    isStalled: () => probe !== undefined,
    refusal: () => refusal,
    connectAnew() {
      if (client instanceof Redis && !closed) client.disconnect(true)
    },
    close() {
      closed = true
      clearInterval(probe)
      client.disconnect()
    },
  }
}

function isOfSelect(error: unknown): boolean {
  const command = error instanceof Error && 'command' in error ? error.command : undefined
  return typeof command === 'object' && command !== null && 'name' in command && String(command.name).toLowerCase() === 'select'
}
