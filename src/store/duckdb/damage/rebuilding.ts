/** A new database out of the rows that can be read in one whose blocks are damaged. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { LIST_ALL_TABLES, LIST_ALL_VIEWS, quoteName, quoteText } from '../sql.ts'
import type { Readable } from './readable-copy.ts'
import { unreadableTables } from './unreadable-tables.ts'

const REBUILT = 'rebuilt'
/** What the engine reads of a table at a time. */
const STEP_ROWS = 2048

/** @param lost Told what could not be read. @returns the same where all of it can be read. */
export async function rebuild(connection: DuckDBConnection, from: Readable, file: string, lost: string[]): Promise<Readable> {
  const unreadable = await unreadableTables(connection, from.catalog)
  if (unreadable.length === 0) return from
  const path = `${file}.rebuilt`
  await connection.run(`ATTACH ${quoteText(path)} AS ${REBUILT}`)
  for (const row of (await connection.runAndReadAll(LIST_ALL_TABLES, [from.catalog])).getRows()) {
    const [schema, name, create] = row.map(String) as [string, string, string]
    await connection.run(`CREATE SCHEMA IF NOT EXISTS ${REBUILT}.${quoteName(schema)}`)
    await connection.run(`USE ${REBUILT}`)
    await connection.run(create)
    const table = `${quoteName(schema)}.${quoteName(name)}`
    const { kept, missing } = await copyRows(connection, `${from.catalog}.${table}`, `${REBUILT}.${table}`)
    if (missing > 0)
      lost.push(`${schema === 'main' ? `Table ${name}` : `${schema}.${name}`}: ${missing} of ${kept + missing} rows cannot be read.`)
  }
  for (const row of (await connection.runAndReadAll(LIST_ALL_VIEWS, [from.catalog])).getRows()) {
    await connection.run(String(row[0])).catch(() => lost.push(`The view ${String(row[1])} could not be made again.`))
  }
  await connection.run('USE memory')
  await loadAgain(
    connection,
    unreadable.filter(({ schema }) => schema === 'main').map(({ name }) => name),
    lost,
  )
  await connection.run(`DETACH ${from.catalog}`)
  return { ...from, path, catalog: REBUILT }
}

/** Whole where it can be, else in halves down to the steps that cannot be read. */
async function copyRows(connection: DuckDBConnection, from: string, to: string): Promise<{ kept: number; missing: number }> {
  const [counted] = (await connection.runAndReadAll(`SELECT COALESCE(MAX(rowid) + 1, 0) FROM ${from}`)).getRows()
  let missing = 0
  const copy = async (first: number, end: number): Promise<void> => {
    if (first >= end) return
    try {
      await connection.run(`INSERT INTO ${to} SELECT * FROM ${from} WHERE rowid >= ${first} AND rowid < ${end}`)
    } catch {
      if (end - first <= STEP_ROWS) {
        missing += await countRows(connection, from, first, end)
        return
      }
      const middle = first + Math.ceil((end - first) / 2 / STEP_ROWS) * STEP_ROWS
      await copy(first, middle)
      await copy(middle, end)
    }
  }
  await copy(0, Number(counted?.[0] ?? 0))
  const [rows] = (await connection.runAndReadAll(`SELECT COUNT(*) FROM ${to}`)).getRows()
  return { kept: Number(rows?.[0] ?? 0), missing }
}

/** Rows that were deleted are not lost. */
async function countRows(connection: DuckDBConnection, table: string, first: number, end: number): Promise<number> {
  try {
    const [row] = (await connection.runAndReadAll(`SELECT COUNT(*) FROM ${table} WHERE rowid >= ${first} AND rowid < ${end}`)).getRows()
    return Number(row?.[0] ?? 0)
  } catch {
    return end - first
  }
}

/** The next start makes them anew out of their files. */
async function loadAgain(connection: DuckDBConnection, sources: readonly string[], lost: string[]): Promise<void> {
  for (const source of sources) {
    const forgotten = await connection.runAndReadAll(`DELETE FROM ${REBUILT}.fabra.source_files WHERE source = $1 RETURNING source`, [
      source,
    ])
    if (forgotten.currentRowCount > 0) lost.push(`Table ${source} is loaded again from its file at the next start.`)
  }
}
