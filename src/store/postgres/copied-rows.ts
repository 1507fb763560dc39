/**
 * Rows of tables as a training set asks for them: of its keys and times, all from one snapshot. The server writes them as lines of CSV, one value a row
 * for the driver, and sends more when those before are written: `COPY` would not wait for who reads it.
 */
import type { CopiedTable, CopyRows } from '../ports/copied-rows.ts'
import type { Postgres, Transaction } from './connection/postgres.ts'

/** Compiling a plan takes longer than it saves, all rows are read, and they come in the order in which they are stored. */
const SETTINGS = { jit: 'off', cursor_tuple_fraction: 1, synchronize_seqscans: 'off' } as const
const BATCH_ROWS = 20_000

export function createCopyRows(reader: Postgres): CopyRows {
  return (tables, copying, options) =>
    reader.transaction({ ...options, readOnly: true, snapshot: true, settings: SETTINGS }, async (statements) => {
      const guessed: number[] = []
      for (const table of tables) {
        const odd = await oddColumn(statements, table)
        if (odd !== null) return `"${table.name}.${odd}" compares or is stored in a way of its own`
        guessed.push(await guessedRows(statements, table))
      }
      const refusal = copying.begin(guessed)
      if (refusal !== null) return refusal
      for (const [i, table] of tables.entries()) await copyTable(statements, table, (text) => copying.take(i, text))
      return null
    })
}

async function copyTable(statements: Transaction, table: CopiedTable, take: (text: string) => Promise<void>): Promise<void> {
  await statements.run(`DECLARE fabra_copied NO SCROLL CURSOR FOR ${selectOf(table, [lineOf(table)])}`)
  for (;;) {
    const { rows } = await statements.run(`FETCH ${BATCH_ROWS} FROM fabra_copied`)
    if (rows.length > 0) await take(`${rows.map(([line]) => evened(line ?? '')).join('\n')}\n`)
    if (rows.length < BATCH_ROWS) break
  }
  await statements.run('CLOSE fabra_copied')
}

/**
 * Of all ways that the server has to write a row this is by far the quickest: in brackets, and with them in columns of their own lines of CSV, but for
 * backslashes, which are doubled, and ends of lines.
 */
function lineOf({ columns }: CopiedTable): string {
  return `CAST(ROW(NULL, ${columns.map(({ name }) => quoted(name)).join(', ')}, NULL) AS pg_catalog.text)`
}

const UNEVEN = /[\\\n\r]/

/** On one line. In this order; taken back in the other one. See `Copying`. */
function evened(line: string): string {
  return UNEVEN.test(line) ? line.replaceAll('\\\\', '\\s').replaceAll('\n', '\\n').replaceAll('\r', '\\r') : line
}

/** Types that users made and called like one of the server's, and collations in which texts are equal that differ. */
const STRANGE = `
SELECT a.attname
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
WHERE a.attrelid = $1::pg_catalog.regclass AND a.attname = ANY ($2::text[])
  AND (COALESCE(NOT c.collisdeterministic, false)
    OR t.typtype <> 'e' AND (SELECT n.nspname FROM pg_catalog.pg_type b JOIN pg_catalog.pg_namespace n ON n.oid = b.typnamespace
        WHERE b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END) <> 'pg_catalog')
LIMIT 1`

async function oddColumn(statements: Transaction, table: CopiedTable): Promise<string | null> {
  const { rows } = await statements.run(STRANGE, [nameOf(table), table.columns.map(({ name }) => name)])
  return rows[0]?.[0] ?? null
}

async function guessedRows(statements: Transaction, table: CopiedTable): Promise<number> {
  const { rows } = await statements.run(`EXPLAIN (FORMAT JSON) ${selectOf(table)}`)
  const [{ Plan: plan }] = JSON.parse(rows.map(([line]) => line).join('')) as [{ Plan: { 'Plan Rows': number } }]
  return plan['Plan Rows']
}

/** Statements that declare a cursor, and those that explain, are best given no parameters: what they would be stands in the text. */
function selectOf({ columns, keys, times, ...table }: CopiedTable, values = columns.map(({ name }) => quoted(name))): string {
  const conditions: string[] = []
  if (keys) {
    const lists = keys.values.map((values, i) => `${literal(arrayOf(values))}::${keys.types[i]}[]`)
    conditions.push(`(${keys.columns.map(quoted).join(', ')}) IN (SELECT * FROM pg_catalog.unnest(${lists.join(', ')}))`)
  }
  if (times) {
    const at = (micros: number) =>
      `(timestamptz 'epoch' + ${Math.trunc(micros / 1e6)} * interval '1 second' + ${micros % 1e6} * interval '1 microsecond')`
    conditions.push(`${quoted(times.column)} <= ${at(times.to)}`)
    const from = times.spans.map((span) => `${at(times.from)} - interval ${literal(span)}`)
    if (from.length > 0) conditions.push(`${quoted(times.column)} >= LEAST(${from.join(', ')})`)
  }
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''
  const from = table.rows === null ? nameOf(table) : `${table.rows} AS fabra_rows`
  return `SELECT ${values.join(', ')} FROM ${from}${where}`
}

function nameOf({ schema, name }: Pick<CopiedTable, 'schema' | 'name'>): string {
  return `${quoted(schema)}.${quoted(name)}`
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The transaction sets `standard_conforming_strings`. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function arrayOf(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}
