import { SqlError, type SqlFunction } from '../../ports/source-engine.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { LIST_FUNCTIONS, LIST_SCHEMAS, probeFunction } from '../sql.ts'
import { CONSISTENT } from './function-names.ts'

/**
 * The engine's functions whose answer depends on more than their arguments, as its catalogue tells them (a test compares). Asking it takes a
 * tenth of a second, more than the rest of the start.
 */
export const WITHIN_QUERY: ReadonlySet<string> = new Set([
  ...['current_database', 'current_date', 'current_schema', 'current_schemas', 'get_current_time', 'get_current_timestamp'],
  ...['in_search_path', 'now', 'today', 'transaction_timestamp', 'txid_current'],
])
export const VOLATILE: ReadonlySet<string> = new Set([
  ...['current_connection_id', 'current_query', 'current_query_id', 'current_transaction_id', 'currval', 'error', 'gen_random_uuid'],
  ...['nextval', 'random', 'setseed', 'sleep_ms', 'stats', 'uuid', 'uuidv4', 'uuidv7', 'write_log'],
])

/** Tells of the functions of a file, each name looked up once: nobody can add one while the file is ours. */
export function createFunctionLookup(database: Database): (names: readonly string[]) => Promise<readonly SqlFunction[]> {
  const { readers } = database
  const found = new Map<string, Promise<boolean>>()
  const retriable = <T>(promise: Promise<T>, forget: () => void): Promise<T> =>
    promise.catch((error: unknown) => {
      forget()
      throw error
    })
  let schemas: Promise<readonly string[]> | undefined
  const listSchemas = () =>
    (schemas ??= retriable(
      readers.use(ownDeadline(), async (session, left) => (await session.read(LIST_SCHEMAS, [], left)).rows.map(([name]) => String(name))),
      () => {
        schemas = undefined
      },
    ))
  let all: Promise<readonly SqlFunction[]> | undefined
  const listAll = () =>
    (all ??= retriable(
      readers.use(ownDeadline(), async (session, left) => (await session.read(LIST_FUNCTIONS, [], left)).rows.map(toFunction)),
      () => {
        all = undefined
      },
    ))
  const isBuiltIn = (name: string) => {
    const known = found.get(name)
    if (known) return known
    const asked = retriable(
      listSchemas().then((names) => readers.use(ownDeadline(), (session) => hasNone(session, names, name))),
      () => found.delete(name),
    )
    found.set(name, asked)
    return asked
  }
  /** The engine's own, but none that is known. What it has not at all it refuses by itself, and functions in FROM are few. */
  const unlisted = async (name: string): Promise<readonly SqlFunction[]> => {
    const entries = (await listAll()).filter((one) => one.name.toLowerCase() === name && CALLED.has(one.kind))
    return entries.map((one) => ({ ...one, stability: 'unknown' }))
  }
  return async (names) => {
    const listed = await Promise.all(
      [...new Set(names)].map(async (name) =>
        (await isBuiltIn(name))
          ? (builtIn(name) ?? (await unlisted(name)))
          : (await listAll()).filter((one) => one.name.toLowerCase() === name),
      ),
    )
    return listed.flat()
  }
}

function builtIn(name: string): SqlFunction[] | undefined {
  if (CONSISTENT.has(name)) return []
  const stability = VOLATILE.has(name) ? 'volatile' : WITHIN_QUERY.has(name) ? 'within_query' : null
  return stability === null ? undefined : [{ name, kind: 'scalar', stability, builtIn: true }]
}

/** Kinds that are called in expressions. */
const CALLED: ReadonlySet<SqlFunction['kind']> = new Set(['scalar', 'aggregate', 'macro'])

/** `__fabra_store` is taken for a column where only the engine has a function of the name. */
const NO_SUCH_FUNCTION =
  /^(Scalar|Table) Function with name (.+ does not exist!|.+ is not in the catalog, a function by this name exists)|^Referenced table "__fabra_store" not found!|^UNNEST\(\)/s

/** Whether no schema of the file has a function or macro of this name. The engine says so when it is asked for it there; in doubt there is one. */
async function hasNone(session: Session, schemas: readonly string[], name: string): Promise<boolean> {
  for (const schema of schemas) {
    for (const text of probeFunction(schema, name)) {
      try {
        await session.describe(text)
        return false
      } catch (error) {
        if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
        if (!NO_SUCH_FUNCTION.test(error.message)) return false
      }
    }
  }
  return true
}

const STABILITIES: Readonly<Record<string, SqlFunction['stability']>> = {
  CONSISTENT: 'consistent',
  CONSISTENT_WITHIN_QUERY: 'within_query',
  VOLATILE: 'volatile',
}
const KINDS: Readonly<Record<string, SqlFunction['kind']>> = {
  scalar: 'scalar',
  aggregate: 'aggregate',
  table: 'table',
  macro: 'macro',
  table_macro: 'table_macro',
  pragma: 'pragma',
}

function toFunction([name, kind, stability, internal]: readonly unknown[]): SqlFunction {
  return {
    name: String(name),
    kind: KINDS[String(kind)] ?? 'scalar',
    stability: STABILITIES[String(stability)] ?? 'unknown',
    builtIn: internal === true,
  }
}
