import { formatTime } from '../../../definition/time.ts'
import { SqlDecimal, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import { timeOf } from '../history/history-sql.ts'
import type { AppendColumn, AppendTable } from './source-rows-table.ts'

/** Idempotency keys are remembered for a day, and so many of them. */
const MAX_KEYS = 100_000

/** Waits for another process that has just accepted one of these keys. @returns those that are new. */
export const REMEMBER_KEYS = `
INSERT INTO fabra.idempotency_keys (source, key, content_hash, accepted_at)
SELECT source, key, content_hash, ${timeOf('accepted_us')}
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS k(source, key, content_hash, accepted_us)
ORDER BY source, key
ON CONFLICT DO NOTHING
RETURNING source, key`

export const FIND_KEYS = `
SELECT k.source, k.key, k.content_hash
FROM unnest($1::text[], $2::text[]) AS asked(source, key)
JOIN fabra.idempotency_keys AS k ON k.source = asked.source AND k.key = asked.key`

export const FORGET_KEYS = `
DELETE FROM fabra.idempotency_keys
WHERE accepted_at < ${timeOf('$1::bigint')} - interval '1 day'
  OR accepted_at < (SELECT accepted_at FROM fabra.idempotency_keys ORDER BY accepted_at DESC LIMIT 1 OFFSET ${MAX_KEYS})`

/** Two processes that append to one source at once would both find an id to be new. */
export const HOLD_SOURCE = "SELECT pg_advisory_xact_lock(hashtext('fabra.source'), hashtext($1))"

export const ADD_ARRIVALS = `
INSERT INTO fabra.source_arrivals (writer, source, visible_at)
SELECT $1, $2, ${timeOf('at')} FROM unnest($3::bigint[]) AS at`

export const LIST_ARRIVALS = 'SELECT id, source, (extract(epoch FROM visible_at) * 1000000)::bigint FROM fabra.source_arrivals'

/** Of this process, and those it found at its start. */
export const SETTLE = `
DELETE FROM fabra.source_arrivals WHERE visible_at <= ${timeOf('$1::bigint')} AND (writer = $2 OR id = ANY ($3::bigint[]))`

/** Only beside a table that is made anew when its file changes. */
export const KEEP_ROWS = `
INSERT INTO fabra.source_rows (source, arrived_at, row)
SELECT $1, ${timeOf('arrived_us')}, row
FROM unnest($2::bigint[], $3::text[]) AS r(arrived_us, row)
WHERE EXISTS (SELECT FROM fabra.source_files WHERE source = $1)`

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Ids among those given that the table has already, as texts. */
export function findIds(table: AppendTable, column: AppendColumn): string {
  const id = quoteName(column.name)
  return `SELECT ${id}::text FROM ${table.name} WHERE ${id} = ANY ($1::text[]::${column.cast}[])`
}

/** Parameters: a list of texts per column. */
export function insertRows(table: Pick<AppendTable, 'name'>, columns: readonly AppendColumn[]): string {
  const names = columns.map(({ name }) => quoteName(name)).join(', ')
  const values = columns.map((column, i) => converted(column, `c${i}`)).join(', ')
  const lists = columns.map((_, i) => `$${i + 1}::text[]`).join(', ')
  const aliases = columns.map((_, i) => `c${i}`).join(', ')
  return `INSERT INTO ${table.name} (${names}) SELECT ${values} FROM unnest(${lists}) AS r(${aliases})`
}

/** For texts that the columns' types read by themselves: lists come as JSON, which they do not. */
export function copyRows(table: Pick<AppendTable, 'name'>, columns: readonly AppendColumn[]): string {
  return `COPY ${table.name} (${columns.map(({ name }) => quoteName(name)).join(', ')}) FROM STDIN`
}

const ESCAPED: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Rows as `COPY` reads them. */
export function copyText(rows: readonly (readonly (string | null)[])[]): string {
  let text = ''
  for (const row of rows) {
    for (let c = 0; c < row.length; c++) {
      const value = row[c] ?? null
      if (c > 0) text += '\t'
      text += value === null ? '\\N' : /[\\\n\r\t]/.test(value) ? value.replace(/[\\\n\r\t]/g, (one) => ESCAPED[one] ?? one) : value
    }
    text += '\n'
  }
  return text
}

/** A row of which nothing is told but that it is there. */
export function insertDefaults(table: AppendTable): string {
  return `INSERT INTO ${table.name} DEFAULT VALUES`
}

function converted({ cast, isArray, zone }: Pick<AppendColumn, 'cast' | 'isArray' | 'zone'>, text: string): string {
  if (zone !== null) return `timezone('${zone.replaceAll("'", "''")}', ${text}::timestamptz)`
  if (!isArray) return `${text}::${cast}`
  // Lists may come as JSON or as the server writes them.
  return `CASE WHEN ${text} LIKE '[%' THEN ARRAY(SELECT jsonb_array_elements_text(${text}::jsonb))::${cast} ELSE ${text}::${cast} END`
}

/** Fails, where one of the texts ($1) cannot be of the type. */
export function convertAll(type: string): string {
  const length = /^(?:character varying|character|bit|bit varying)\((\d+)\)$/.exec(type)
  // A cast would cut it.
  if (length) return `SELECT count(*) / (CASE WHEN bool_or(char_length(x) > ${length[1]}) THEN 0 ELSE 1 END) FROM unnest($1::text[]) AS x`
  return `SELECT count(${converted({ cast: type, isArray: type.endsWith('[]'), zone: null }, 'x')}) FROM unnest($1::text[]) AS x`
}

export function valueText(value: SqlValue | undefined): string | null {
  if (value === null || value === undefined) return null
  if (value instanceof SqlTimestamp) return formatTime(value.micros)
  return value instanceof SqlDecimal ? value.text : String(value)
}
