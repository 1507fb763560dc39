import { SQL } from 'bun'
import { createSqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { createPostgresSourceEngine } from '../../src/store/postgres/sources/source-engine.ts'
import { defined, registryOf, type SqlBench } from './compute-bench.ts'
import type { TestServer } from './servers.ts'

export interface PostgresBench extends SqlBench {
  readonly url: string
  /** A statement of the test's own, past everything of ours, in UTC. */
  rows(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

/** A database of its own on the server. @param options.template A database to copy. */
export async function openPostgresBench(server: TestServer, name: string, options: { template?: string } = {}): Promise<PostgresBench> {
  const admin = new SQL(server.url, { max: 1 })
  await admin.unsafe(`CREATE DATABASE "${name}"${options.template ? ` TEMPLATE "${options.template}"` : ''}`)
  await admin.close()
  const url = server.url.replace(/\/[^/]*$/, `/${name}`)
  const postgres = openPostgres({ url, maxConnections: 4 })
  const store = createPostgresSourceEngine({ reader: postgres, owner: postgres, loadFile: null })
  const client = new SQL(url, { max: 1 })
  const direct = (sql: string) => client.unsafe(sql).simple()
  return {
    url,
    store,
    rows: direct,
    async close() {
      await client.close()
      await store.close()
    },
    async execute(sql) {
      await direct(sql)
    },
    async define(written, strategy) {
      const registry = registryOf(written)
      const definitions = await createSqlDefinitions(registry, store)
      return defined(registry, definitions, createSqlExecutor({ sourceEngine: store, definitions, strategy }))
    },
  }
}
