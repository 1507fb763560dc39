/** Rows leave page by page of a table that Fabra made: what was there before, or was made by others, is not Fabra's to delete. */
import type { Micros } from '../../../clock.ts'
import type { Source } from '../../../definition/model.ts'
import type { TakeLeaving } from '../../ports/archive.ts'
import type { RemovedRows, RowsRemoval } from '../../ports/rows-removal.ts'
import { makeArchiveMarks, markArchived } from '../archive-marks.ts'
import type { Postgres, Statements } from '../connection/postgres.ts'
import { storeErrors } from '../connection/store-errors.ts'
import { microsOf, timeOf } from '../history/history-sql.ts'
import { type AppendColumn, type AppendTable, asking, findAppendTable } from './source-rows-table.ts'
import { MADE_FOR_ROWS, quoteName } from './source-tables.ts'

const PAGES_A_LOT = 400
const LOT_MS = 30_000
const READ_MS = 10_000
/** Nobody else waits behind a lot that waits. */
const SETTINGS = { lock_timeout: 2_000 } as const
const IS_THERE = "SELECT to_regclass('fabra.rows_removed') IS NOT NULL"
const MAKE = 'CREATE TABLE IF NOT EXISTS fabra.rows_removed (source text COLLATE "C" PRIMARY KEY, kept_since timestamptz NOT NULL)'
const TELL = `
INSERT INTO fabra.rows_removed AS r (source, kept_since) VALUES ($1, ${timeOf('$2::bigint')})
ON CONFLICT (source) DO UPDATE SET kept_since = greatest(r.kept_since, excluded.kept_since)`
const KEPT_SINCE = `SELECT source, ${microsOf('kept_since')} FROM fabra.rows_removed WHERE source = ANY ($1::text[])`

/** @param pagesALot Another than the default by tests only. */
export function createPostgresRowsRemoval(postgres: Postgres, pagesALot = PAGES_A_LOT): RowsRemoval {
  let isMade = false
  const look = async () => {
    isMade ||= (await postgres.run(IS_THERE, [], { timeoutMs: READ_MS, readOnly: true })).rows[0]?.[0] === 't'
    return isMade
  }
  return {
    kept: (source) =>
      storeErrors(async () => {
        const table = await findAppendTable(asking(postgres), source)
        if (!table) return 'its table is not there'
        return table.comment?.startsWith(MADE_FOR_ROWS) ? null : 'its table was not made by this version of Fabra'
      }),
    removeLot: (source, before, from, take) =>
      storeErrors(async () => {
        if (!(await look())) await postgres.run(MAKE, [], { timeoutMs: LOT_MS })
        if (take) await makeArchiveMarks(postgres)
        return postgres.transaction({ timeoutMs: LOT_MS, settings: SETTINGS }, (statements) =>
          removeSome(statements, { source, before, from, pagesALot }, take),
        )
      }),
    keptSince: (sources) =>
      storeErrors(async () => {
        if (sources.length === 0 || !(await look())) return new Map()
        const { rows } = await postgres.run(KEPT_SINCE, [sources], { timeoutMs: READ_MS, readOnly: true })
        return new Map(rows.map(([source, since]) => [String(source), Number(since)]))
      }),
  }
}

interface Leaving {
  readonly source: Source
  readonly before: Micros
  readonly from: number
  readonly pagesALot: number
}

async function removeSome(
  statements: Statements,
  { source, before, from, pagesALot }: Leaving,
  take: TakeLeaving | null,
): Promise<RemovedRows> {
  const table = await findAppendTable((text, parameters) => statements.run(text, parameters), source)
  const timestamp = table?.columns.find(({ name }) => name.toLowerCase() === source.timestamp?.toLowerCase())
  if (!table || !timestamp || !table.comment?.startsWith(MADE_FOR_ROWS)) return { removed: 0, next: null }
  const size = await statements.run(`SELECT pg_relation_size($1::regclass) / current_setting('block_size')::int`, [table.name])
  const pages = Number(size.rows[0]?.[0] ?? 0)
  const end = from + pagesALot
  const text = `
DELETE FROM ${table.name} AS r
WHERE r.ctid >= '(${from},0)'::tid AND r.ctid < '(${end},0)'::tid AND ${instant(timestamp)} < ${timeOf('$1::bigint')} ${alone(table, source)}
${take ? `RETURNING ${table.columns.map(({ name }) => `r.${quoteName(name)}::text`).join(', ')}` : ''}`
  const { rows, count } = await statements.run(text, [before])
  const next = end < pages ? end : null
  if (count === 0) return { removed: 0, next }
  if (take) await markArchived(statements, await take({ columns: table.columns.map(archived), rows }))
  await statements.run(TELL, [source.name, before])
  return { removed: count, next }
}

export function instant({ name, zone }: AppendColumn): string {
  const column = `r.${quoteName(name)}`
  return zone === null ? column : `timezone('${zone.replaceAll("'", "''")}', ${column})`
}

function alone(table: AppendTable, source: Source): string {
  const id = table.columns.find(({ name }) => name.toLowerCase() === source.id?.toLowerCase())
  if (!id) return ''
  const name = quoteName(id.name)
  return `AND NOT EXISTS (SELECT FROM ${table.name} AS o WHERE o.${name} = r.${name} AND o.ctid <> r.ctid)`
}

const READ_AGAIN =
  /^(SMALLINT|INTEGER|BIGINT|FLOAT|DOUBLE|BOOLEAN|VARCHAR|TIMESTAMP|TIMESTAMP WITH TIME ZONE|JSON|UUID|DECIMAL\(\d+,\d+\))$/

/** What DuckDB would read otherwise stays the text that it is. */
export function archived({ name, type }: AppendColumn): { readonly name: string; readonly type: string } {
  return { name, type: READ_AGAIN.test(type) ? type : 'VARCHAR' }
}
