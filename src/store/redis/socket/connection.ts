/**
 * The connection to Redis: two sockets (to each node of a cluster), one for reads and one for everything else, so that no read waits behind
 * the writes of a refresh.
 *
 * Nothing here waits without an end. Commands that find no connection fail at once, those that get no answer fail after their timeout,
 * and a socket that stays silent is given up. After a timeout the socket counts as stalled: commands are refused without being sent until a
 * PING is answered, which is at once where only that command took long. While reads are stalled nothing else waits for Redis either.
 * Connections come back by themselves, at most a second after Redis does.
 */
import { Cluster, type Redis } from 'ioredis'
import { FabraError } from '../../../errors.ts'
import type { RedisScript } from '../format/scripts.ts'
import { Marks } from '../integrity/marks.ts'
import type { RedisConnection, RedisOpening } from '../redis.ts'
import { ReadBatches } from './read-batches.ts'
import { createSemaphore } from './semaphore.ts'
import { onePlace, placesOfCluster } from './servers.ts'
import { createSocket, type Socket } from './socket.ts'
import { failureOf, NO_ANSWER, unavailable } from './unavailable.ts'
import { parseRedisUrl } from './url.ts'

/** Under way on the connection for writes; in a cluster each node has its share. */
const SCRIPTS_AT_ONCE = 16
/** Where there are not several. */
const ONE = 'one'

/**
 * Waits for the first connection, but no longer than one may take: without Redis the process starts all the same.
 * @throws FabraError invalid_config
 */
export async function openRedis(opening: RedisOpening): Promise<RedisConnection> {
  const { readTimeoutMs = 500, writeTimeoutMs = 2_000, connectTimeoutMs = 1_000 } = opening
  const address = parseRedisUrl(opening.url)
  const onProblem = opening.onProblem ?? (() => undefined)
  let news: () => void = () => undefined
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
  const places = reader.client instanceof Cluster ? placesOfCluster(reader.client, marks, met) : onePlace(() => readsFrom)
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
  const reads = new ReadBatches(reader, { timeoutMs: readTimeoutMs, marks, places })
  const scripts = createSemaphore(SCRIPTS_AT_ONCE)
  const write: Socket['ask'] = (command) => (reader.isStalled() ? Promise.reject(unavailable(NO_ANSWER)) : writer.ask(command))

  return {
    spansSlots: !address.isCluster,
    readHashes: (keys, fields, take) => reads.readHashes(keys, fields, take),
    run: (script, keys, args) => scripts.pass(() => write(({ client }) => runScript(client, script, keys, args))),
    runAtOnce: (script, keys, args) => write(({ client }) => runScript(client, script, keys, args)),
    send: (command, key, ...args) => write(({ client }) => client.call(command, key, ...args)),
    ask: (command, ...args) => write(({ client }) => client.call(command, ...args)),
    masters: () => (writer.client instanceof Cluster ? writer.client.nodes('master').map(nameOf).sort() : [ONE]),
    askAt: (master, command, ...args) => write(({ client }) => masterOf(client, master).call(command, ...args) as Promise<unknown>),
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

function nameOf({ options }: Redis): string {
  return `${options.host}:${options.port}`
}

function masterOf(client: Redis | Cluster, name: string): Redis {
  if (!(client instanceof Cluster)) return client
  const found = client.nodes('master').find((node) => nameOf(node) === name)
  if (found === undefined) throw unavailable('A node has left the cluster.')
  return found
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
