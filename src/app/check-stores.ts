/** The sources of PostgreSQL as serving would find them, for those who only look: nothing that is made stays. */
import { FabraError } from '../errors.ts'
import { type SourceEngine, SqlError, type TableColumn } from '../store/ports/source-engine.ts'
import { openPostgres } from '../store/postgres/connection/connection.ts'
import type { Postgres } from '../store/postgres/connection/postgres.ts'
import { storeErrors } from '../store/postgres/connection/store-errors.ts'
import { createTrialFiles, type Trial, takenBack } from '../store/postgres/inspect/trial.ts'
import { isSameDatabase } from '../store/postgres/sources/same-database.ts'
import { createPostgresSourceEngine } from '../store/postgres/sources/source-engine.ts'
import { LoadProblem, type SourceInput } from '../store/postgres/sources/source-tables.ts'

export { LoadProblem, type SourceInput }

export interface PostgresAddresses {
  readonly postgresUrl: string
  /** Where SQL of features runs; null: there too. */
  readonly sourceUrl: string | null
}

const TRIAL_MS = 180_000
const REACH_MS = 10_000

/**
 * @param columnsOf Columns of a source's file, with DuckDB's types. @throws LoadProblem
 * @throws FabraError invalid_config, store_unavailable
 */
export async function withPostgresSources<T>(
  { postgresUrl, sourceUrl }: PostgresAddresses,
  columnsOf: (input: SourceInput) => Promise<readonly TableColumn[]>,
  work: (store: SourceEngine) => Promise<T>,
): Promise<T> {
  const named = { applicationName: 'fabra check', maxConnections: 2 }
  const postgres = openPostgres({ url: postgresUrl, ...named })
  const reader = sourceUrl === null ? postgres : openPostgres({ url: sourceUrl, ...named })
  try {
    await reached(postgres)
    if (reader !== postgres) await reached(reader)
    const isTogether = reader === postgres || (await storeErrors(() => isSameDatabase(postgres, reader)))
    const owner = isTogether ? postgres : reader
    const look = (trial: Trial) => {
      // Files are loaded where history is, and nowhere else.
      const loadFile = isTogether ? createTrialFiles(trial, columnsOf) : null
      const own = owner === reader ? trial : seenBy(reader, trial)
      return work(createPostgresSourceEngine({ reader: own, owner: trial, loadFile }))
    }
    return await storeErrors(() => takenBack(owner, TRIAL_MS, look))
  } finally {
    await Promise.all([postgres.close(), reader.close()])
  }
}

/** With the rights of the role that reads, as long as all there is to read is there without the trial. */
function seenBy(reader: Postgres, trial: Trial): Postgres {
  const door = () => (trial.hasMade() ? trial : reader)
  return {
    run: (text, parameters, options) => door().run(text, parameters, options),
    transaction: (options, body) => door().transaction(options, body),
    close: async () => {},
  }
}

/** @throws FabraError store_unavailable, in words for whoever gave the address. */
async function reached(postgres: Postgres): Promise<void> {
  try {
    await postgres.run('SELECT 1', [], { timeoutMs: REACH_MS, readOnly: true })
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    throw new FabraError('store_unavailable', `The database cannot be used: ${error.message}`, {
      hint: 'Check its address, the network, user and password, and that the server is up.',
      cause: error,
    })
  }
}
