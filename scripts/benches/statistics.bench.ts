import { join } from 'node:path'
import { type RunningFabra, startFabra } from '../../test/support/binary.ts'
import { startRedis } from '../../test/support/servers.ts'
import type { Bench, Measurement } from './bench.ts'
import { DEFINITIONS, NAMES, pushAll } from './fifty-features.ts'
import { interleaved, peak, pinServer, type Target } from './load.ts'
import { processorMicros, residentKiB } from './processes.ts'
import { SHARED_CACHE, temporaryFolder } from './server.ts'

const RUNS = 15
const SECONDS = 1
/** Code is compiled anew for some seconds. */
const WARM_UP_SECONDS = 5
/**
 * Two processes of one program differ by some percent, as their memory and their code happen to lie: there are two of each kind. In a round each
 * kind comes before the other once.
 */
const KINDS = ['off', 'on', 'on', 'off'] as const
const USERS = Array.from({ length: 100 }, (_, i) => ({ user_id: `u${i}` }))
const LOADS = [
  { what: 'one feature', path: `/v1/features/${NAMES[0]}?entity_id=u1` },
  { what: 'fifty features', path: '/v1/features', body: JSON.stringify({ features: NAMES, rows: [{ user_id: 'u1' }] }) },
  { what: '100 rows × 50 features', path: '/v1/features', body: JSON.stringify({ features: NAMES, rows: USERS }) },
]

interface Cost {
  readonly rate: number
  /** Processor time of a request, in microseconds: it tells more than the rate where others use the machine. */
  readonly micros: number
}

/** Reads from Redis with statistics and live traffic, beside the same without: servers on one core in turns, load and Redis on the other. */
export const bench: Bench = async () => {
  const file = join(temporaryFolder(), 'features.ts')
  await Bun.write(file, DEFINITIONS)
  await using redis = await startRedis()
  const start = (statistics: (typeof KINDS)[number]) =>
    startFabra({ file, env: { FABRA_CACHE_DIR: SHARED_CACHE, FABRA_REDIS_URL: redis.url, FABRA_STATISTICS: statistics } })
  const servers: RunningFabra[] = []
  try {
    for (const kind of KINDS) servers.push(await start(kind))
    await pushAll(servers[0]?.url ?? '', USERS.length)
    for (const { pid } of servers) pinServer(pid)
    const rows: Measurement[] = []
    for (const { what, path, ...rest } of LOADS) rows.push(...(await compared(what, servers, (url) => ({ url: `${url}${path}`, ...rest }))))
    return [...rows, ...memory(servers)]
  } finally {
    for (const server of servers) await server.stop()
  }
}

/** @param servers As KINDS says. */
async function compared(what: string, servers: readonly RunningFabra[], target: (url: string) => Target): Promise<Measurement[]> {
  for (const { url } of servers) peak(target(url), WARM_UP_SECONDS)
  const costs: Cost[][] = servers.map(() => [])
  await interleaved(
    RUNS,
    servers.map(({ url, pid }, i) => () => {
      const before = processorMicros(pid)
      const rate = peak(target(url), SECONDS)
      costs[i]?.push({ rate, micros: (processorMicros(pid) - before) / (rate * SECONDS) })
      return rate
    }),
  )
  const [off, on] = (['off', 'on'] as const).map((kind) => costs.filter((_, i) => KINDS[i] === kind).flat()) as [Cost[], Cost[]]
  return [
    { what: `${what} from Redis, statistics off`, unit: '/s', values: off.map(({ rate }) => rate) },
    { what: '  statistics on', unit: '/s', values: on.map(({ rate }) => rate) },
    { what: '  on beside off', unit: '×', values: on.map(({ rate }, i) => rate / (off[i]?.rate ?? 1)), atLeast: 0.98 },
    { what: '  processor time of a request, off', unit: 'µs', values: off.map(({ micros }) => micros) },
    { what: '  processor time of a request, on', unit: 'µs', values: on.map(({ micros }) => micros) },
  ]
}

function memory(servers: readonly RunningFabra[]): Measurement[] {
  return (['off', 'on'] as const).map((statistics) => ({
    what: `memory after all that, statistics ${statistics}`,
    unit: 'MiB',
    values: servers.filter((_, i) => KINDS[i] === statistics).map(({ pid }) => residentKiB(pid) / 1024),
  }))
}
