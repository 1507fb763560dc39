/** One connection to Redis, or one to each node of a cluster, with a deadline for all that is asked of it. */
import { Cluster, Redis } from 'ioredis'
import { identify } from '../integrity/marks.ts'
import { createClient, LONGEST_PAUSE_MS, longestSilenceMs } from './client.ts'
import { createDeadlines, Deadline } from './deadlines.ts'
import { type Callbacks, createRawSocket, type RawSocket } from './raw-socket.ts'
import { SocketHealth } from './socket-health.ts'
import { failureOf, unavailable } from './unavailable.ts'
import type { RedisAddress } from './url.ts'

/** In a cluster one timeout says only that one node does not answer: so many in a row, without an answer from another. */
const TIMEOUTS_UNTIL_CLUSTER_STALLED = 3

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

/** A command until it is answered, refused or late: then it is let go, though it may be looked at as a deadline still. */
class PendingCommand<Answer> extends Deadline implements Callbacks<Answer> {
  private command: Command<Answer> | undefined
  private readonly health: SocketHealth

  constructor(command: Command<Answer>, health: SocketHealth) {
    super()
    this.command = command
    this.health = health
  }

  isOpen(): boolean {
    return this.command !== undefined
  }

  answered(answer: Answer): void {
    const { command } = this
    if (!command) return
    this.command = undefined
    this.health.heard()
    command.answered(answer)
  }

  failed(error: unknown): void {
    const { command } = this
    this.command = undefined
    command?.failed(this.health.failureFor(error))
  }
}

export function createSocket(address: RedisAddress, options: SocketOptions): Socket {
  const client = createClient(address, options)
  const health = new SocketHealth({
    isMet: address.isCluster,
    patience: address.isCluster ? TIMEOUTS_UNTIL_CLUSTER_STALLED : 1,
    onProblem: options.onProblem,
    ping: (answered) => (rawSocket ? rawSocket.ping(answered) : pingClient(client, answered)),
  })
  const met = (server: string) => {
    health.met()
    options.onServer(server)
  }
  const refused = (error: unknown) => health.refuse(`The database ${address.db} of Redis cannot be selected: ${failureOf(error)}.`)
  const rawSocket =
    options.onlyReads && client instanceof Redis
      ? createRawSocket(client, { silentMs: longestSilenceMs(options), database: address.db, onOpen: met, onRefused: refused })
      : undefined
  const connections: Connections = { client, rawSocket }
  const watch = createDeadlines(options.timeoutMs, () => rawSocket?.heardAt())

  // Of the database itself is told where it is selected anew.
  client.on('error', (error: unknown) => isOfSelect(error) || health.fail(failureOf(error)))
  client.on('close', () => {
    if (!address.isCluster) {
      health.left()
      options.onServer(undefined)
    }
    health.fail('The connection was closed.')
  })
  if (client instanceof Cluster) client.on('ready', () => health.recover())
  else if (!rawSocket) client.on('ready', () => meet(client))

  function meet(one: Redis): void {
    const { stream } = one
    const isGone = () => health.isClosed || stream.destroyed || stream !== one.stream
    identify(one, address.db).then(
      (server) => {
        if (!isGone()) met(server)
      },
      (error) => {
        if (isGone()) return
        refused(error)
        setTimeout(() => isGone() || meet(one), LONGEST_PAUSE_MS).unref()
      },
    )
  }

  function issue<Answer>(command: Command<Answer>): void {
    const why = health.unusable()
    if (why !== undefined) {
      command.failed(unavailable(why))
      return
    }
    const pending = new PendingCommand(command, health)
    watch(pending)
    try {
      command.put(connections, pending)
    } catch (error) {
      pending.failed(error)
    }
  }

  return {
    client,
    ready: () => health.firstNews(options.connectTimeoutMs),
    ask: (command) => new Promise((resolve, reject) => issue(asCommand(command, resolve, reject))),
    issue,
    problem() {
      if (health.failure !== undefined) return health.failure
      return health.isMet && (rawSocket ? rawSocket.isOpen() : client.status === 'ready') ? undefined : 'There is no connection yet.'
    },
    isStalled: () => health.isStalled,
    refusal: () => health.refusal,
    connectAnew() {
      if (client instanceof Redis && !health.isClosed) client.disconnect(true)
    },
    close() {
      health.close()
      client.disconnect()
    },
  }
}

function asCommand<Answer>(
  work: (connections: Connections) => Promise<Answer>,
  answered: (answer: Answer) => void,
  failed: (error: unknown) => void,
): Command<Answer> {
  return {
    put: (connections, callbacks) =>
      void work(connections).then(
        (answer) => callbacks.answered(answer),
        (error) => callbacks.failed(error),
      ),
    answered,
    failed,
  }
}

/** An answer is one though it be a refusal. */
function pingClient(client: Redis | Cluster, answered: () => void): void {
  const isAnswer = (error: unknown) => error instanceof Error && error.name === 'ReplyError'
  void client.ping().then(answered, (error) => isAnswer(error) && answered())
}

function isOfSelect(error: unknown): boolean {
  const command = error instanceof Error && 'command' in error ? error.command : undefined
  return typeof command === 'object' && command !== null && 'name' in command && String(command.name).toLowerCase() === 'select'
}
