import { join } from 'node:path'
import { BINARY, type RunningFabra, startFabra } from '../../test/support/binary.ts'
import { startRedis } from '../../test/support/servers.ts'
import type { Measurement } from './bench.ts'
import { DEFINITIONS, NAMES, pushAll } from './fifty-features.ts'
import { interleaved, peak, pinServer, type Target } from './load.ts'
import { processorMicros, residentKiB } from './processes.ts'
import { EXAMPLE, FIRST_READ, read, SHARED_CACHE, temporaryFolder } from './server.ts'

const RUNS = 9
const SECONDS = 1
/** Code is compiled anew for some seconds. */
const WARM_UP_SECONDS = 4
const MANY_USERS = 10_000
/** Two processes of one program differ by some percent, as their memory and their code happen to lie: there are two of each. */
const KINDS = ['other', 'this', 'this', 'other'] as const
type Kind = (typeof KINDS)[number]

interface Load {
  readonly what: string
  readonly target: (url: string) => Target
}

const post = (path: string, body: unknown, any?: number) => (url: string) => ({
  url: `${url}${path}`,
  body: JSON.stringify(body),
  ...(any === undefined ? {} : { any }),
})
const users = (count: number) => Array.from({ length: count }, (_, i) => ({ user_id: `u${(i % 50) + 1}` }))

const FROM_MEMORY: readonly Load[] = [
  { what: 'one stored feature from memory', target: (url) => ({ url: `${url}${FIRST_READ}` }) },
  {
    what: '100 rows × 50 values from memory',
    target: post('/v1/features', {
      features: Array.from({ length: 25 }, () => ['spend.total_30d', 'spend.avg_30d']).flat(),
      rows: users(100),
    }),
  },
]
const FROM_REDIS: readonly Load[] = [
  { what: 'one stored feature from Redis', target: (url) => ({ url: `${url}/v1/features/${NAMES[0]}?entity_id=u1` }) },
  { what: 'fifty stored features from Redis', target: post('/v1/features', { features: NAMES, rows: [{ user_id: 'u1' }] }) },
  {
    what: `fifty, another of ${MANY_USERS} users each time`,
    target: post('/v1/features', { features: NAMES, rows: [{ user_id: 'u{any}' }] }, MANY_USERS),
  },
  { what: '100 rows × 50 features from Redis', target: post('/v1/features', { features: NAMES, rows: users(100) }) },
  { what: 'a push of one row', target: post(`/v1/features/${NAMES[0]}/values`, { rows: [{ user_id: 'u{any}', value: 1.5 }] }, MANY_USERS) },
]

/**
 * Two executables over the same loads, in turns: their servers on one core, load and Redis on the other. The processor time of a request tells more
 * than rates do, where others use the machine.
 * @param other Path of the executable that dist/fabra is measured beside.
 */
export async function beside(other: string): Promise<Measurement[]> {
  const started = (kind: Kind, file: string, env: Readonly<Record<string, string>>) =>
    startFabra({ file, binary: kind === 'this' ? BINARY : other, env: { FABRA_CACHE_DIR: SHARED_CACHE, ...env } })
  const fifty = join(temporaryFolder(), 'features.ts')
  await Bun.write(fifty, DEFINITIONS)
  const memory = await measured(
    FROM_MEMORY,
    (kind) => started(kind, EXAMPLE, {}),
    async (server) => void (await read(server, FIRST_READ)),
  )
  // A Redis each: formats of values may differ.
  await using redisOfOther = await startRedis()
  await using redisOfThis = await startRedis()
  const urls = { other: redisOfOther.url, this: redisOfThis.url }
  const redis = await measured(
    FROM_REDIS,
    (kind) => started(kind, fifty, { FABRA_REDIS_URL: urls[kind] }),
    (server) => pushAll(server.url, MANY_USERS),
  )
  return [...memory, ...redis]
}

async function measured(
  loads: readonly Load[],
  start: (kind: Kind) => Promise<RunningFabra>,
  fill: (server: RunningFabra) => Promise<void>,
): Promise<Measurement[]> {
  const servers: RunningFabra[] = []
  try {
    for (const kind of KINDS) {
      const server = await start(kind)
      servers.push(server)
      await fill(server)
      pinServer(server.pid)
    }
    const rows: Measurement[] = []
    for (const load of loads) rows.push(...(await compared(load, servers)))
    return [...rows, ...memoryOf(servers)]
  } finally {
    for (const server of servers) await server.stop()
  }
}

async function compared({ what, target }: Load, servers: readonly RunningFabra[]): Promise<Measurement[]> {
  for (const { url } of servers) peak(target(url), WARM_UP_SECONDS)
  const micros: number[][] = servers.map(() => [])
  const rates = await interleaved(
    RUNS,
    servers.map(({ url, pid }, i) => () => {
      const before = processorMicros(pid)
      const rate = peak(target(url), SECONDS)
      micros[i]?.push((processorMicros(pid) - before) / (rate * SECONDS))
      return rate
    }),
  )
  const of = (kind: Kind, values: readonly (readonly number[])[]) => values.filter((_, i) => KINDS[i] === kind).flat()
  const cost = { other: of('other', micros), this: of('this', micros) }
  return [
    { what: `${what}: the other`, unit: '/s', values: of('other', rates) },
    { what: '  this', unit: '/s', values: of('this', rates) },
    { what: '  processor time of a request: the other', unit: 'µs', values: cost.other },
    { what: '  this', unit: 'µs', values: cost.this },
    { what: '  this beside the other', unit: '×', values: cost.this.map((value, i) => value / (cost.other[i] ?? 1)), atMost: 1.05 },
  ]
}

function memoryOf(servers: readonly RunningFabra[]): Measurement[] {
  return (['other', 'this'] as const).map((kind) => ({
    what: `memory after all that: ${kind === 'this' ? 'this' : 'the other'}`,
    unit: 'MiB',
    values: servers.filter((_, i) => KINDS[i] === kind).map(({ pid }) => residentKiB(pid) / 1024),
  }))
}
