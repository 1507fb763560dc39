/** One connection to Redis, or one to each node of a cluster, with a deadline for all that is asked of it. */
import { Cluster, Redis } from 'ioredis'
import { FabraError } from '../../../errors.ts'
import { identify } from '../integrity/marks.ts'
import { createClient, LONGEST_PAUSE_MS, longestSilenceMs } from './client.ts'
import { createDeadlines, Deadline } from './deadlines.ts'
import { type Callbacks, createRawSocket, type RawSocket } from './raw-socket.ts'
import { failureOf, NO_ANSWER, unavailable } from './unavailable.ts'
import type { RedisAddress } from './url.ts'

/** In a cluster one timeout says only that one node does not answer: so many in a row, without an answer from another. */
const TIMEOUTS_UNTIL_CLUSTER_STALLED = 3
const PROBE_EVERY_MS = 250

/** What a socket is asked through. */
export interface Connections {
  readonly client: Redis | Cluster
  /** All that may be used, where it is there. */
  readonly rawSocket: RawSocket | undefined
}

/** Told of the answer, or of a FabraError store_unavailable. */
export interface Command<Answer> extends Callbacks<Answer> {
  put(connections: Connections, callbacks: Callbacks<Answer>): void
}

/** One connection, or one to each node of a cluster. */
export interface Socket {
  readonly client: Redis | Cluster
  /** Resolves with the first connection, or when it takes too long. */
  ready(): Promise<void>
  /** @throws FabraError store_unavailable */
  ask<Answer>(command: (connections: Connections) => Promise<Answer>): Promise<Answer>
  /** The same without a promise. */
  issue<Answer>(command: Command<Answer>): void
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
interface AnswerWatch {
  heard(): void
  /** @returns what those who asked are told. */
  failureFor(error: unknown): unknown
}

/** A question until it is answered, refused or late: then it is let go, though it may be looked at as a deadline still. */
class PendingCommand<Answer> extends Deadline implements Callbacks<Answer> {
  private command: Command<Answer> | undefined
  private readonly answerWatch: AnswerWatch

  constructor(command: Command<Answer>, answerWatch: AnswerWatch) {
    super()
    this.command = command
    this.answerWatch = answerWatch
  }

  isOpen(): boolean {
    return this.command !== undefined
  }

  answered(answer: Answer): void {
    const { command } = this
    if (!command) return
    this.command = undefined
    this.answerWatch.heard()
    command.answered(answer)
  }

  failed(error: unknown): void {
    const { command } = this
    this.command = undefined
    command?.failed(this.answerWatch.failureFor(error))
  }
}

export function createSocket(address: RedisAddress, options: SocketOptions): Socket {
  const client = createClient(address, options)
  const silentMs = longestSilenceMs(options)
  const rawSocket =
    options.onlyReads && client instanceof Redis
      ? createRawSocket(client, { silentMs, database: address.db, onOpen: met, onRefused: refuseDatabase })
      : undefined
  const connections: Connections = { client, rawSocket }
  const watch = createDeadlines(options.timeoutMs)
  const patience = address.isCluster ? TIMEOUTS_UNTIL_CLUSTER_STALLED : 1
  let failure: string | undefined
  let refusal: string | undefined
  let isMet = address.isCluster
  let timeouts = 0
  let probe: Timer | undefined
  let closed = false
  let isNotified = false
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
  else if (!rawSocket) client.on('ready', () => meet(client))

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
    if (isNotified) return
    isNotified = true
    options.onProblem('Redis cannot be reached; trying again.', new Error(message))
  }

  function recover(): void {
    firstNews.resolve()
    clearInterval(probe)
    probe = undefined
    timeouts = 0
    failure = undefined
    if (isNotified) options.onProblem('Redis is back.', undefined)
    isNotified = false
  }

  function stall(): void {
    fail(NO_ANSWER)
    if (probe !== undefined) return
    const isAnswer = (error: unknown) => error instanceof Error && error.name === 'ReplyError'
    const ping = () => (rawSocket ? rawSocket.ping(recover) : void client.ping().then(recover, (error) => isAnswer(error) && recover()))
    ping()
    probe = setInterval(ping, PROBE_EVERY_MS)
    probe.unref()
  }

  const answerWatch: AnswerWatch = {
    heard() {
      timeouts = 0
    },
    failureFor(error) {
      const message = failureOf(error)
      if (message === NO_ANSWER && ++timeouts >= patience) stall()
      return error instanceof FabraError ? error : unavailable(message)
    },
  }

  function issue<Answer>(command: Command<Answer>): void {
    if (closed || probe !== undefined || !isMet) {
      command.failed(unavailable(failure ?? 'The connection is closed.'))
      return
    }
    const pending = new PendingCommand(command, answerWatch)
    watch(pending)
    try {
      command.put(connections, pending)
    } catch (error) {
      pending.failed(error)
    }
  }

  return {
    client,
    ready() {
      const timer = setTimeout(firstNews.resolve, options.connectTimeoutMs)
      return firstNews.promise.finally(() => clearTimeout(timer))
    },
    ask: (command) =>
      new Promise((resolve, reject) =>
        issue({
          put: (all, callbacks) =>
            void command(all).then(
              (answer) => callbacks.answered(answer),
              (error) => callbacks.failed(error),
            ),
          answered: resolve,
          failed: reject,
        }),
      ),
    issue,
    problem() {
      if (failure !== undefined) return failure
      return isMet && (rawSocket ? rawSocket.isOpen() : client.status === 'ready') ? undefined : 'There is no connection yet.'
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
