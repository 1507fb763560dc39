/**
 * The connection to Redis: two sockets (to each node of a cluster), one for reads and one for everything else, so that no read waits behind
 * the writes of a refresh.
 *
 * Nothing here waits without an end. Commands that find no connection fail at once, those that get no answer fail after their timeout,
 * and a socket that stays silent is given up. After a timeout the socket counts as stalled: commands are refused without being sent until a
 * PING is answered, which is at once where only that command took long. While reads are stalled nothing else waits for Redis either.
 * Connections come back by themselves, at most a second after Redis does.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { FabraError } from '../../errors.ts'
import { createDeadlines, Deadline } from './deadlines.ts'
import { createGate } from './gate.ts'
import { createLine, type Line, type Told } from './line.ts'
import { identify, Marks } from './marks.ts'
import { onePlace, type Place, placesOfCluster } from './places.ts'
import { createReads } from './reads.ts'
import type { RedisScript } from './scripts.ts'
import { failureOf, NO_ANSWER, unavailable } from './unavailable.ts'
import { parseRedisUrl, type RedisAddress } from './url.ts'

export interface RedisOpening {
  /** `redis://`, `rediss://`, `redis+cluster://` or `rediss+cluster://`. */
  readonly url: string
  /** Told of what nobody else is told of: that Redis is gone, and that it is back. Without hosts and passwords. */
  readonly onProblem?: (message: string, cause: unknown) => void
  /** Longest wait for the answer to a read. Default 500. */
  readonly readTimeoutMs?: number
  /** Longest wait for the answer to anything else. Default 2,000. */
  readonly writeTimeoutMs?: number
  /** Longest wait for a connection. Default 1,000. */
  readonly connectTimeoutMs?: number
}

export interface RedisConnection {
  /** Whether one script may have keys of several slots: not in a cluster. */
  readonly spansSlots: boolean
  /**
   * Several fields of many hashes in one round trip.
   * @param take Makes the answer of a row for each key, which begin at `from`: the texts of its fields one after the other, each followed by
   * a line end, and nothing but a length where there is none. They are parts of a larger buffer: whoever keeps one copies it. `isSure`: what the
   * marks say of these very answers.
   */
  readHashes<Answer>(
    keys: readonly string[],
    fields: readonly string[],
    take: (rows: readonly Buffer[], from: number, isSure: boolean) => Answer,
  ): Promise<Answer>
  /** @param keys All of one slot, unless `spansSlots`. */
  run(script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  /** The same without waiting for a turn. */
  runAtOnce(script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  /** Any other command whose first argument is its key. */
  send(command: string, key: string, ...args: readonly (string | number)[]): Promise<unknown>
  /** A command without a key, or one whose cluster node does not matter. */
  ask(command: string, ...args: readonly string[]): Promise<unknown>
  /** The address says TLS. */
  readonly isEncrypted: boolean
  readonly marks: Marks
  /** Where a mark belongs, and the server that is asked there. */
  places(): readonly Place[]
  /** The server that takes writes; undefined: there is no connection, or there are several servers. */
  writesTo(): string | undefined
  /** Called when another server may be there, and when a mark is not what it was. */
  onNews(listener: () => void): void
  /** Connections that were made so far. */
  connections(): number
  /** `ok`, or what is wrong. @param doubt What else is, as long as reads are answered. */
  status(doubt?: string): string
  close(): Promise<void>
}

/** Under way on the connection for writes; in a cluster each node has its share. */
const SCRIPTS_AT_ONCE = 16
const LONGEST_PAUSE_MS = 1_000
/** In a cluster one timeout says only that one node does not answer: so many in a row, without an answer from another. */
const TIMEOUTS_UNTIL_CLUSTER_STALLED = 3
const PROBE_EVERY_MS = 250

/**
 * Waits for the first connection, but no longer than one may take: without Redis the process starts all the same.
 * @throws FabraError invalid_config
 */
export async function openRedis(opening: RedisOpening): Promise<RedisConnection> {
  const { readTimeoutMs = 500, writeTimeoutMs = 2_000, connectTimeoutMs = 1_000 } = opening
  const address = parseRedisUrl(opening.url)
  const onProblem = opening.onProblem ?? (() => undefined)
  let news = () => undefined as void
  const marks = new Marks(() => news())
  let connections = 0
  let readsFrom: string | undefined
  let writesTo: string | undefined
  const reader = createSocket(address, {
    timeoutMs: readTimeoutMs,
    connectTimeoutMs,
    onProblem,
    onlyReads: true,
    onServer(server) {
      readsFrom = server
      connections++
      if (server === undefined) marks.forget()
      else news()
    },
  })
  const met = () => {
    connections++
    news()
  }
  const places =
    reader.client instanceof Cluster ? placesOfCluster(reader.client, marks, met) : onePlace(() => readsFrom)
  const writer = createSocket(address, {
    timeoutMs: writeTimeoutMs,
    connectTimeoutMs,
    onProblem: () => undefined,
    onlyReads: false,
    onServer(server) {
      writesTo = server
      // The address leads elsewhere now, and what is asked must come from where it was written.
      if (server === undefined || readsFrom === undefined || server === readsFrom) return
      marks.forget()
      reader.connectAnew()
    },
  })
  await Promise.all([reader.ready(), writer.ready()])
  const refusal = reader.refusal() ?? writer.refusal()
  if (refusal !== undefined) {
    reader.close()
    writer.close()
    throw new FabraError('invalid_config', `FABRA_REDIS_URL: ${refusal}`, {
      hint: 'Name a database that this Redis has and its user may select, or none: redis://host:port.',
    })
  }
  const reads = createReads(reader, { timeoutMs: readTimeoutMs, marks, places })
  const scripts = createGate(SCRIPTS_AT_ONCE)
  const write: Socket['ask'] = (question) => (reader.isStalled() ? Promise.reject(unavailable(NO_ANSWER)) : writer.ask(question))

  return {
    spansSlots: !address.isCluster,
    readHashes: reads,
    run: (script, keys, args) => scripts.pass(() => write(({ client }) => runScript(client, script, keys, args))),
    runAtOnce: (script, keys, args) => write(({ client }) => runScript(client, script, keys, args)),
    send: (command, key, ...args) => write(({ client }) => client.call(command, key, ...args)),
    ask: (command, ...args) => write(({ client }) => client.call(command, ...args)),
    isEncrypted: address.tls !== undefined && address.tls !== null,
    marks,
    places: () => places.all(),
    writesTo: () => writesTo,
    connections: () => connections,
    onNews(listener) {
      news = listener
    },
    status: (doubt) => reader.problem() ?? doubt ?? writer.problem() ?? 'ok',
    async close() {
      reader.close()
      writer.close()
    },
  }
}

async function runScript(
  client: Redis | Cluster,
  script: RedisScript,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await client.evalsha(script.sha, keys.length, ...keys, ...args)
  } catch (error) {
    if (!failureOf(error).startsWith('NOSCRIPT')) throw error
    // A restarted Redis has no scripts; with its text it is there from now on.
    return await client.eval(script.lua, keys.length, ...keys, ...args)
  }
}

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

interface SocketOptions {
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

function createSocket(address: RedisAddress, options: SocketOptions): Socket {
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

const longestSilenceMs = ({ timeoutMs, connectTimeoutMs }: SocketOptions) => 2 * Math.max(timeoutMs, connectTimeoutMs)

function createClient(address: RedisAddress, options: SocketOptions): Redis | Cluster {
  const { username, password, db, nodes, tls, isCluster } = address
  const pause = (times: number) => Math.min(LONGEST_PAUSE_MS, 50 * 2 ** Math.min(times - 1, 5)) * (0.75 + Math.random() / 4)
  const common = {
    username,
    password,
    ...(tls ? { tls: tls.ca === undefined ? {} : { ca: tls.ca } } : {}),
    protocol: 2,
    // Commands have their deadline in ask(): ioredis's commandTimeout costs a timer for each of a lot, and fires when this process was busy.
    connectTimeout: options.connectTimeoutMs,
    // A socket on which something was asked and nothing comes is given up: a server that is gone does not always say so.
    socketTimeout: longestSilenceMs(options),
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // After a fail-over the address may lead to the new master.
    reconnectOnError: (error: Error) => error.message.includes('READONLY You can'),
    connectionName: 'fabra',
  } satisfies RedisOptions
  if (!isCluster) return new Redis({ ...common, ...nodes[0], db, enableOfflineQueue: false, retryStrategy: pause })
  return new Cluster([...nodes], {
    redisOptions: common,
    enableOfflineQueue: false,
    enableAutoPipelining: true,
    // These have their key elsewhere than where commands are sorted by.
    autoPipeliningIgnoredCommands: ['eval', 'evalsha', 'ping'],
    clusterRetryStrategy: pause,
    clusterNodeRetryStrategy: pause,
    slotsRefreshTimeout: options.connectTimeoutMs,
    maxRedirections: 4,
    retryDelayOnFailover: 25,
    retryDelayOnClusterDown: 25,
    retryDelayOnTryAgain: 25,
  })
}
