import { type SourceEngine, SqlError, type TableColumn } from '../../store/ports/source-engine.ts'
import type { AnalysedSql } from './rewrite/analysis.ts'
import type { Edited } from './rewrite/edits.ts'
import type { SqlFault } from './rewrite/forbidden.ts'
import { type Parameters, standIns } from './rewrite/parameters.ts'
import { aloneFor, bodyFor, type RowReference } from './rewrite/statement.ts'

/** The statement without anything of ours: what does not bind here is the user's mistake, and its place is a place of the user's text. */
export function bindAlone(sql: AnalysedSql, owner: Parameters, store: SourceEngine): Promise<readonly TableColumn[]> {
  return describe(store, owner, (row) => aloneFor(sql, row.parameter))
}

/** The shadowed statement must mean what the user's does: the same columns of the same types. */
export async function bindShadowed(
  sql: AnalysedSql,
  owner: Parameters,
  store: SourceEngine,
  natural: readonly TableColumn[],
): Promise<SqlFault | null> {
  try {
    const columns = await describe(store, owner, (row) => bodyFor(sql, sql.shadows, row))
    const changed = columns.find((column, i) => column.type !== natural[i]?.type)
    if (!changed && columns.length === natural.length) return null
    const message = `"${changed?.name ?? ''}" would change its type to ${changed?.type ?? 'another'} when held back in time.`
    return { message, hint: 'Cast the column to the type it should have.', at: null }
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    const hint = 'Sources are read through a query that hides later rows: name their columns, and not rowid or the table itself.'
    return { message: `It cannot be held back in time: ${sentence(error.message)}`, hint, at: error.position }
  }
}

/** Why the engine takes a statement not over a list of rows; null when it does. */
export async function refusalOf(store: SourceEngine, text: string): Promise<string | null> {
  try {
    await store.prepare(text)
    return null
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    return sentence(error.message)
  }
}

/** Some places take constants only (a quantile, a format): there the stand-ins are constants too. */
async function describe(store: SourceEngine, owner: Parameters, build: (row: RowReference) => Edited): Promise<readonly TableColumn[]> {
  try {
    return (await store.prepare(build(standIns(owner, false)).text)).columns
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
  }
  const constant = build(standIns(owner, true))
  try {
    return (await store.prepare(constant.text)).columns
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    throw new SqlError(error.kind, error.message, error.position === null ? null : constant.originOf(error.position), error)
  }
}

/** An engine's message as one sentence: its advice and its copy of the text are dropped. */
export function sentence(message: string): string {
  const [first = message] = message.replace(/^[A-Z][\w ]+ Error: /, '').split('\n\nLINE ')
  const line = first
    .split('\n')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .join(' ')
  return /[.!?]$/.test(line) ? line : `${line}.`
}
