/** Real servers for production mode: started when first asked for, stopped with the process that started them. */
import { SQL } from 'bun'
import { startPostgres, startRedis, type TestServer } from './servers.ts'

export interface ProductionServers extends AsyncDisposable {
  readonly postgres: TestServer
  readonly redis: TestServer
  /** Addresses of an empty database and an empty keyspace, as variables of the environment. */
  fresh(): Promise<{ readonly FABRA_POSTGRES_URL: string; readonly FABRA_REDIS_URL: string }>
}

/** Redis keyspaces, each used once: enough for four processes of tests at once. */
const KEYSPACES = 8_000

export async function startProduction(): Promise<ProductionServers> {
  const [postgres, redis] = await Promise.all([
    startPostgres({ settings: ['max_connections=300'] }),
    startRedis({ args: ['--databases', String(KEYSPACES)] }),
  ])
  let count = 0
  return {
    postgres,
    redis,
    async fresh() {
      count++
      const name = `test_${count}`
      const admin = new SQL(postgres.url, { max: 1 })
      try {
        await admin.unsafe(`CREATE DATABASE ${name}`)
      } finally {
        await admin.close()
      }
      return { FABRA_POSTGRES_URL: postgres.url.replace(/\/fabra$/, `/${name}`), FABRA_REDIS_URL: `${redis.url}/${count}` }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([postgres[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()])
    },
  }
}
