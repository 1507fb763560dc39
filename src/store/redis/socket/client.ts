import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { backoff } from '../../../collections/backoff.ts'
import { endpoint } from './endpoint.ts'
import type { RedisAddress } from './url.ts'

/** Between attempts to connect. */
export const LONGEST_PAUSE_MS = 1_000
const PAUSE_MS = { first: 50, longest: LONGEST_PAUSE_MS }

interface Times {
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
}

export const longestSilenceMs = ({ timeoutMs, connectTimeoutMs }: Times) => 2 * Math.max(timeoutMs, connectTimeoutMs)

export function createClient(address: RedisAddress, options: Times): Redis | Cluster {
  const { username, password, db, nodes, tls, isCluster } = address
  const pause = (times: number) => backoff(times, PAUSE_MS) * (0.75 + Math.random() / 4)
  const common = {
    username,
    password,
    ...(tls ? { tls: tls.ca === undefined ? {} : { ca: tls.ca } } : {}),
    protocol: 2,
    // Commands have their deadline in ask(): ioredis's commandTimeout costs a timer for each of a batch, and fires when this process was busy.
    connectTimeout: options.connectTimeoutMs,
    // A socket on which something was asked and nothing comes is given up: a server that is gone does not always say so.
    socketTimeout: longestSilenceMs(options),
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // After a fail-over the address may lead to the new master.
    reconnectOnError: (error: Error) => error.message.includes('READONLY You can'),
    connectionName: 'fabra',
  } satisfies RedisOptions
  if (!isCluster) return new Redis({ ...common, ...endpoint(address, pause), db, enableOfflineQueue: false, retryStrategy: pause })
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
