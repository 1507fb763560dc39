/**
 * A query of `db` over the parameters of many calls at once. Only where each call must be answered as it would be alone: the engines keep no order of
 * rows within a call, so a call has at most one row; and what is bound has in the list the type that it has alone.
 */
import { formatTime } from '../../definition/time.ts'
import { type SourceEngine, SqlError, SqlTimestamp, type SqlValue, type TableColumn } from '../../store/ports/source-engine.ts'
import { setRefusal } from './duckdb/set-refusal.ts'
import { type Admitted, writeSql } from './gate.ts'
import { groupedForm } from './grouped-form.ts'
import { isSameColumns } from './postgres/grouped-statement.ts'
import { isFirstOfOrder } from './rewrite/lexer.ts'
import { setPrelude } from './rewrite/parameters.ts'
import { setStatement } from './rewrite/statement.ts'

export interface SetForm {
  readonly text: string
  /** Of each placeholder. */
  readonly types: readonly string[]
  /** Of the query alone. */
  readonly columns: readonly TableColumn[]
  /** Another text for the same, where this one fails: a join may look at rows that no call asks for. */
  readonly other: string | null
}

/** Longer texts go alone: nobody has thousands of them. */
const MAX_TEXT = 10_000
/** PostgreSQL takes such a text for the present where a time is expected, so its adapter looks at each. */
const TIME_WORD = /\b(?:now|today|yesterday|tomorrow)\b/i

/**
 * What the calls of one statement have in common: types in DuckDB, which takes a parameter by its value, nothing in PostgreSQL, which takes it by
 * its place. Null: such a call goes alone.
 */
export function signatureOf(values: readonly SqlValue[], dialect: SourceEngine['dialect']): string | null {
  const types = values.map(typeOf)
  if (types.includes(null)) return null
  return dialect === 'postgres' ? '' : types.join(' ')
}

/** As it is written in the list. Of what has a type. */
export function listText(value: SqlValue): string {
  return value instanceof SqlTimestamp ? formatTime(value.micros) : String(value)
}

/** @param alone What is run for one call. @param signature Of its values. @returns null where the calls go one by one. @throws SqlError unavailable */
export async function setFormOf(
  { sql, gate }: Admitted,
  alone: { readonly text: string; readonly count: number },
  signature: string,
): Promise<SetForm | null> {
  const { store } = gate
  const isOneRow = sql.tree.alwaysOneRow || isFirstOfOrder(sql.tokens)
  if (!isOneRow || (store.dialect === 'duckdb' && setRefusal(sql) !== null)) return null
  try {
    const { columns, parameters } = await store.prepare(alone.text)
    const types = store.dialect === 'duckdb' ? signature.split(' ').filter((type) => type !== '') : parameters.slice(0, alone.count)
    if (types.length !== alone.count || types.some((type) => type === 'unknown' || type.endsWith(']'))) return null
    const row = {
      asOf: '__fabra_row.__fabra_as_of',
      parameter: (written: string) => `__fabra_row.__fabra_k${Number(written.slice(1)) - 1}`,
    }
    const lateral = await writeSql(sql, { row, frame: setStatement }, gate)
    const grouped = await groupedForm(sql, { row, keyTypes: types, columns }, store)
    if (grouped !== null && store.dialect === 'postgres') return { text: grouped, types, columns, other: null }
    const found = (await store.prepare(setPrelude(types) + lateral)).columns.slice(2)
    if (!isSameColumns(found, columns)) return null
    return grouped === null ? { text: lateral, types, columns, other: null } : { text: grouped, types, columns, other: lateral }
  } catch (error) {
    // Some places take constants only (LIMIT, a quantile), and DuckDB's driver fails on columns whose type is open yet (SELECT $1).
    if (error instanceof SqlError && error.kind === 'unavailable') throw error
    return null
  }
}

function typeOf(value: SqlValue): string | null {
  if (typeof value === 'boolean') return 'BOOLEAN'
  if (typeof value === 'string') return isPlain(value) ? 'VARCHAR' : null
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'BIGINT' : Number.isFinite(value) ? 'DOUBLE' : null
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? 'BIGINT' : 'HUGEINT'
  return value instanceof SqlTimestamp ? 'TIMESTAMPTZ' : null
}

function isPlain(text: string): boolean {
  return text.length <= MAX_TEXT && !text.includes('\0') && text.isWellFormed() && !TIME_WORD.test(text)
}
