/**
 * What sources and history hold, in a few numbers: equal states, equal rows. Every row is looked at (half a second for ten million), because a
 * file may have been loaded anew, rows appended, keys forgotten, or the data folder opened by another program since. While the process runs,
 * and nothing is written, it is asked once.
 */
import type { RunOptions } from '../../../ports/source-engine.ts'
import type { Reads } from '../../../ports/training-store.ts'
import type { Database } from '../../connection/database.ts'
import type { Session } from '../../connection/session.ts'
import { tableColumns } from '../../sources/table-columns.ts'
import { CATALOG, quoteName, quoteTable, quoteText } from '../../sql.ts'

export interface TrainingState {
  /** Notes how things stand. @param look Look at the rows now; else it can be told later only if nothing was written meanwhile. */
  note(reads: Reads, look: boolean, options: RunOptions): Promise<StateNote>
}

export interface StateNote {
  /** The state of then, if it is still the state; null when it has changed, or when that cannot be told. */
  still(options: RunOptions): Promise<string | null>
}

export function createTrainingState(database: Database): TrainingState {
  const known = new Map<string, { readonly at: number; readonly state: string }>()

  /** Null when rows are being written meanwhile. */
  async function stateOf(what: string, now: () => number | null, ask: (session: Session) => Promise<string>, options: RunOptions) {
    const at = now()
    if (at === null) return null
    const before = known.get(what)
    if (before?.at === at) return before.state
    const state = await database.readers.use(options, ask)
    if (now() !== at) return null
    known.set(what, { at, state })
    return state
  }

  async function look({ sources, recorded }: Reads, options: RunOptions): Promise<string | null> {
    const states: string[] = []
    for (const source of [...new Set(sources)].sort()) {
      const state = await stateOf(`source ${source}`, database.changes.sources, (session) => sourceState(session, source, options), options)
      if (state === null) return null
      states.push(`${source}: ${state}`)
    }
    const features = [...new Set(recorded.map(({ feature }) => quoteText(feature)))].sort()
    if (features.length > 0) {
      const state = await stateOf(
        `history ${features}`,
        database.changes.history,
        (session) => digest(session, historyState(features), options),
        options,
      )
      if (state === null) return null
      states.push(`history: ${state}`)
    }
    return states.join('\n')
  }

  return {
    async note(reads, lookNow, options) {
      const { sources, history } = database.changes
      const then = [sources(), history()]
      const before = lookNow ? await look(reads, options) : null
      return {
        async still(left) {
          const [readsSources, readsHistory] = [reads.sources.length > 0, reads.recorded.length > 0]
          const isUntouched = (!readsSources || unchanged(then[0], sources())) && (!readsHistory || unchanged(then[1], history()))
          const now = await look(reads, left)
          return isUntouched || now === before ? now : null
        },
      }
    },
  }
}

function unchanged(then: number | null | undefined, now: number | null): boolean {
  return then !== null && then === now
}

/** Tables also by the order of their rows, which decides what stands first where a query leaves it open. */
async function sourceState(session: Session, source: string, options: RunOptions): Promise<string> {
  const dot = source.indexOf('.')
  const [schema, name] = dot < 0 ? ['main', source] : [source.slice(0, dot), source.slice(dot + 1)]
  const columns = (await tableColumns(session, schema, name)) ?? []
  const isTable = await session.read(
    `SELECT 1 FROM duckdb_tables() WHERE database_name = ${quoteText(CATALOG)} AND schema_name = ${quoteText(schema)} AND table_name = ${quoteText(name)}`,
    [],
    options,
  )
  const place = isTable.rows.length > 0 ? ['rowid'] : []
  const row = `hash(${[...place, ...columns.map((column) => quoteName(column.name))].join(', ')})`
  const rows = await digest(session, { row, from: quoteTable(source) }, options)
  return `${JSON.stringify(columns)} ${rows}`
}

/** Other versions of the features are looked at, too: to leave them out takes longer. */
function historyState(features: readonly string[]): { readonly row: string; readonly from: string } {
  const row = 'hash(feature, fingerprint, entity_key, value, event_timestamp, available_at, created_at, seq, origin)'
  return { row, from: `${CATALOG}.fabra.feature_history WHERE feature IN (${features.join(', ')})` }
}

/** Of many rows in one look. Two sums of 64 bits: rows that differ by chance have the same two never. */
export async function digest(
  session: Session,
  { row, from }: { readonly row: string; readonly from: string },
  options: RunOptions,
): Promise<string> {
  const { rows } = await session.read(
    `SELECT CAST(COUNT(*) AS VARCHAR) || ' ' || CAST(COALESCE(SUM(h), 0) AS VARCHAR) || ' ' || CAST(COALESCE(BIT_XOR(h), 0) AS VARCHAR)
     FROM (SELECT ${row} AS h FROM ${from})`,
    [],
    options,
  )
  return String(rows[0]?.[0])
}
