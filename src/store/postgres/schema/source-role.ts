/** A role that may read the tables of users and nothing of Fabra's own: for FABRA_SOURCE_URL, where SQL of features and clients runs. */
import { FabraError } from '../../../errors.ts'
import { PostgresSqlError } from '../connection/errors.ts'
import type { Postgres } from '../connection/postgres.ts'
import { asStoreError } from '../connection/store-errors.ts'

export interface SourceRole {
  /** What was done, or would be; without the password. */
  readonly statements: readonly string[]
  /** Of a role that was made now; null: it was there, and keeps its password. */
  readonly password: string | null
}

const LOOK_MS = 10_000
const NAME = /^[a-z_][a-z0-9_]{0,62}$/
const SCHEMAS = `
SELECT quote_ident(nspname)
FROM pg_namespace
WHERE nspname NOT IN ('fabra', 'information_schema') AND nspname NOT LIKE 'pg\\_%'
ORDER BY nspname`

/**
 * Makes the role where there is none, and lets it read what there is and what the role of this connection will make.
 * @param secret For a new role; letters and digits alone.
 * @throws FabraError bad_usage, forbidden, store_unavailable
 */
export async function makeSourceRole(
  postgres: Postgres,
  { name, secret, dryRun }: { readonly name: string; readonly secret: string; readonly dryRun: boolean },
): Promise<SourceRole> {
  if (!NAME.test(name) || name === 'fabra' || name.startsWith('pg_')) {
    throw new FabraError('bad_usage', `"${name}" cannot be the role of sources.`, {
      hint: 'Write lower-case letters, digits and _, such as fabra_reader.',
    })
  }
  try {
    return await postgres.transaction({ timeoutMs: LOOK_MS, readOnly: dryRun }, async (statements) => {
      const isThere = (await statements.run('SELECT 1 FROM pg_roles WHERE rolname = $1', [name])).rows.length > 0
      const schemas = (await statements.run(SCHEMAS)).rows.map(([schema]) => String(schema))
      const hasOwn = (await statements.run("SELECT 1 FROM pg_namespace WHERE nspname = 'fabra'")).rows.length > 0
      const make = isThere ? [] : [`CREATE ROLE ${name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT`]
      const grants = [...make, ...grantsFor(name, schemas, hasOwn)]
      if (dryRun) return { statements: grants, password: null }
      for (const text of grants) await statements.script(text)
      if (isThere) return { statements: grants, password: null }
      await statements.script(`ALTER ROLE ${name} PASSWORD '${secret}'`)
      return { statements: grants, password: secret }
    })
  } catch (error) {
    if (error instanceof PostgresSqlError && error.state === '42501') {
      throw new FabraError('forbidden', `The role of FABRA_POSTGRES_URL may not make or grant to "${name}".`, {
        hint: 'Run the command with a role that may (CREATEROLE), or give what --dry-run prints to whoever administers the database.',
        cause: error,
      })
    }
    throw error instanceof FabraError ? error : asStoreError(error)
  }
}

function grantsFor(name: string, schemas: readonly string[], hasOwn: boolean): string[] {
  const reads = schemas.flatMap((schema) => [
    `GRANT USAGE ON SCHEMA ${schema} TO ${name}`,
    `GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${name}`,
    `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT ON TABLES TO ${name}`,
  ])
  return [...reads, ...(hasOwn ? [`REVOKE ALL ON SCHEMA fabra FROM ${name}`] : [])]
}
