/**
 * Tests of behaviour in production mode: `scripts/test --production [files]` starts PostgreSQL and Redis and names them in
 * FABRA_TEST_POSTGRES and FABRA_TEST_REDIS. What a test opens in one folder shares a database and a keyspace, as it would share a data folder.
 */
import { RedisClient, SQL } from 'bun'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { createPostgresOfflineStore } from '../../src/store/postgres/history/offline-store.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { createPostgresSourceRows } from '../../src/store/postgres/sources/source-rows.ts'
import { createRedisOnlineStore } from '../../src/store/redis/online-store.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { PATIENT_REDIS } from './patience.ts'

export type Addresses = Readonly<Record<'FABRA_POSTGRES_URL' | 'FABRA_REDIS_URL', string>>

const given = { postgres: process.env['FABRA_TEST_POSTGRES'] ?? '', redis: process.env['FABRA_TEST_REDIS'] ?? '' }
const known = new Map<string, Promise<Addresses>>()
/** Keyspaces that one process of tests may use; those of others lie beside them. */
const KEYSPACES = 2_000
const firstKeyspace = (Number(process.env['BUN_TEST_WORKER_ID'] ?? 1) - 1) * KEYSPACES
let count = 0

export const isProductionMode = given.postgres !== ''

/** Variables for whatever runs in this folder; none on a laptop. */
export async function productionAddresses(folder: string): Promise<Addresses | Record<string, never>> {
  if (!isProductionMode) return {}
  let addresses = known.get(folder)
  if (!addresses) {
    addresses = freshAddresses()
    known.set(folder, addresses)
  }
  return addresses
}

async function freshAddresses(): Promise<Addresses> {
  // Others may ask meanwhile.
  const own = ++count
  const name = `mode_${process.pid}_${own}`
  const sql = new SQL(given.postgres, { max: 1 })
  try {
    await sql.unsafe(`CREATE DATABASE ${name}`)
  } finally {
    await sql.close()
  }
  return { FABRA_POSTGRES_URL: given.postgres.replace(/\/[^/]*$/, `/${name}`), FABRA_REDIS_URL: `${given.redis}/${firstKeyspace + own}` }
}

/** Stores of production, empty, for tests that put the parts together themselves. */
export async function productionStores() {
  const addresses = await freshAddresses()
  const postgres = openPostgres({ url: addresses.FABRA_POSTGRES_URL, maxConnections: 4 })
  await migrate(postgres)
  return {
    offline: createPostgresOfflineStore({ postgres, random: Math.random, onProblem: () => undefined }),
    sourceRows: createPostgresSourceRows({ postgres, writer: crypto.randomUUID() }),
    /** Another connection each time, to the same values. */
    async online() {
      const online = createRedisOnlineStore(await openRedis({ url: addresses.FABRA_REDIS_URL, ...PATIENT_REDIS }))
      // As a server does when it starts: what lies there, nothing at first, is all there is to be.
      await online.look([])
      await online.restore(async () => undefined)
      return online
    },
    outlives: true,
    async emptyOnline() {
      const client = new RedisClient(addresses.FABRA_REDIS_URL, { autoReconnect: false, connectionTimeout: 1_000 })
      await client.send('FLUSHDB', []).finally(() => client.close())
    },
    close: () => postgres.close(),
  }
}
