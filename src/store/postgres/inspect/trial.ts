/**
 * What serving would make in PostgreSQL, made to be looked at: everything happens in one transaction that is taken back in the end. Each piece
 * of work has a savepoint, so that one that fails leaves the others alone, and they run one after the other.
 */
import { SqlError, type TableColumn } from '../../ports/source-engine.ts'
import type { Postgres, Transaction } from '../connection/postgres.ts'
import { fileType, isOurs } from '../sources/source-files.ts'
import { asking, findAppendTable } from '../sources/source-rows-table.ts'
import { type FileLoader, LoadProblem, quoteName, type SourceInput, splitName } from '../sources/source-tables.ts'

export interface Trial extends Postgres {
  /** Something was made, which is to be seen in this transaction alone. */
  hasMade(): boolean
}

class TakenBack extends Error {}

/** Hides a table that is there behind one of the same name, for this transaction. */
const ASIDE = 'fabra_trial'
const FIRST_ON_PATH = `
SELECT set_config('search_path', concat_ws(', ', '${ASIDE}', NULLIF(current_setting('search_path'), '')), true)
WHERE current_schemas(false)::text[] @> ARRAY['${ASIDE}'] IS NOT TRUE`

/** @throws SqlError, and what `work` throws */
export async function takenBack<T>(postgres: Postgres, timeoutMs: number, work: (trial: Trial) => Promise<T>): Promise<T> {
  const outcomes: T[] = []
  const attempt = postgres.transaction({ timeoutMs }, async (statements) => {
    outcomes.push(await work(trialOn(statements)))
    throw new TakenBack()
  })
  await attempt.catch((error: unknown) => {
    if (!(error instanceof TakenBack)) throw error
  })
  return outcomes[0] as T
}

function trialOn(statements: Transaction): Trial {
  let made = false
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(async () => {
      await statements.script('SAVEPOINT fabra_trial')
      try {
        const result = await work()
        await statements.script('RELEASE SAVEPOINT fabra_trial')
        return result
      } catch (error) {
        // Where the connection is gone, this fails for the same reason.
        await statements.script('ROLLBACK TO SAVEPOINT fabra_trial').catch(() => undefined)
        throw error
      }
    })
    last = next.catch(() => undefined)
    return next
  }
  return {
    hasMade: () => made,
    run: (text, parameters) => inTurn(() => statements.run(text, parameters)),
    transaction: (options, work) =>
      inTurn(async () => {
        const result = await work(statements)
        made ||= options.readOnly !== true
        return result
      }),
    close: async () => {},
  }
}

/**
 * Makes the tables that files would be loaded into, without their rows.
 * @param columnsOf Columns of a source's file, with DuckDB's types. @throws LoadProblem
 */
export function createTrialFiles(trial: Trial, columnsOf: (input: SourceInput) => Promise<readonly TableColumn[]>): FileLoader {
  return async (input) => {
    const { schema, name } = splitName(input.source.name)
    const before = await findAppendTable(asking(trial), input.source)
    if (before && !isOurs(before)) return false
    const columns = await columnsOf(input)
    // Made anew it would keep its readers waiting, and another in its schema cannot have its name: it is looked at as it is.
    if (before && schema !== null) return true
    const home = before ? ASIDE : schema
    const table = home === null ? quoteName(name) : `${quoteName(home)}.${quoteName(name)}`
    const typed = columns.map((column) => `${quoteName(column.name)} ${fileType(column.type)}`)
    try {
      await trial.transaction({ timeoutMs: 0 }, async (statements) => {
        if (home !== null) await statements.script(`CREATE SCHEMA IF NOT EXISTS ${quoteName(home)}`)
        if (home === ASIDE) await statements.run(FIRST_ON_PATH)
        await statements.script(`CREATE TABLE ${table} (${typed.join(', ')})`)
      })
    } catch (error) {
      if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
      const hint = 'Give the database user the right to create tables, or create the table yourself.'
      throw new LoadProblem(`The table "${input.source.name}" cannot be made for its file: ${error.message}`, hint, error)
    }
    return true
  }
}
