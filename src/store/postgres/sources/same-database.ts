import { PostgresSqlError } from '../connection/errors.ts'
import type { Postgres } from '../connection/postgres.ts'

const LOOK = { timeoutMs: 10_000, readOnly: true } as const
/** A server and its replicas have one identifier; addresses tell nothing, with poolers and names in between. */
const WHERE = 'SELECT current_database(), system_identifier FROM pg_control_system()'
const DATABASE = 'SELECT current_database(), NULL'

/** Whether two addresses lead to one database, perhaps through a pooler or to its replica. @throws SqlError */
export async function isSameDatabase(a: Postgres, b: Postgres): Promise<boolean> {
  const [first, second] = await Promise.all([whereabouts(a), whereabouts(b)])
  return first.name === second.name && (first.server === second.server || first.server === null || second.server === null)
}

async function whereabouts(postgres: Postgres): Promise<{ readonly name: string; readonly server: string | null }> {
  const ask = async (text: string) => {
    const { rows } = await postgres.run(text, [], LOOK)
    return { name: String(rows[0]?.[0]), server: rows[0]?.[1] ?? null }
  }
  try {
    return await ask(WHERE)
  } catch (error) {
    // Some hosts keep it to themselves.
    if (error instanceof PostgresSqlError && error.state === '42501') return ask(DATABASE)
    throw error
  }
}
