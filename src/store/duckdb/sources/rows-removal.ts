/** In turn with appends and with files that are loaded. */
import type { Micros } from '../../../clock.ts'
import type { Source } from '../../../definition/model.ts'
import { FabraError } from '../../../errors.ts'
import type { TakeLeaving } from '../../ports/archive.ts'
import type { RowsRemoval } from '../../ports/rows-removal.ts'
import { SqlTimestamp } from '../../ports/source-engine.ts'
import { markArchived } from '../archive-marks.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { inTransaction } from '../connection/transaction.ts'
import { hasTable, quoteName, quoteTable, quoteText } from '../sql.ts'
import { tableColumns } from './table-columns.ts'

const ROWS_A_LOT = 20_000
const LOT_MS = 60_000
const LEAVING = '__fabra_leaving'
const MAKE = 'CREATE TABLE IF NOT EXISTS fabra.rows_removed (source VARCHAR NOT NULL, kept_since TIMESTAMPTZ NOT NULL)'
const TELL = `
INSERT INTO fabra.rows_removed
SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM fabra.rows_removed WHERE source = $1 AND kept_since >= $2)`
const KEPT_SINCE = 'SELECT source, max(kept_since) FROM fabra.rows_removed WHERE source IN (SELECT unnest($1::VARCHAR[])) GROUP BY source'

/** @param rowsALot Another than the default by tests only. */
export function createDuckdbRowsRemoval(database: Database, rowsALot = ROWS_A_LOT): RowsRemoval {
  return {
    kept: (source) => reported(() => database.readers.use(ownDeadline(), (session) => keptBecause(session, source))),
    removeLot: (source, before, _from, take) =>
      reported(() =>
        database.loader.use(ownDeadline(LOT_MS), async (session) => {
          const removed = await inTransaction(session, () => removeSome(session, { source, before, rowsALot }, take))
          return { removed, next: removed < rowsALot ? null : 0 }
        }),
      ),
    keptSince: (sources) =>
      reported(() =>
        database.readers.use(ownDeadline(), async (session) => {
          const isMade = (await session.read(hasTable('rows_removed'), [], ownDeadline())).rows.length > 0
          if (sources.length === 0 || !isMade) return new Map<string, Micros>()
          const { rows } = await session.read(KEPT_SINCE, [[...sources]], ownDeadline())
          return new Map(
            rows.flatMap(([source, since]) => (since instanceof SqlTimestamp ? [[String(source), since.micros] as const] : [])),
          )
        }),
      ),
  }
}

async function columnsOf(session: Session, source: Source) {
  const dot = source.name.indexOf('.')
  return (await tableColumns(session, dot < 0 ? 'main' : source.name.slice(0, dot), source.name.slice(dot + 1))) ?? []
}

async function keptBecause(session: Session, source: Source): Promise<string | null> {
  const [schema = '', name = ''] = source.name.includes('.') ? source.name.split('.') : ['main', source.name]
  const text = 'SELECT 1 FROM duckdb_views() WHERE schema_name = $1 AND lower(view_name) = lower($2)'
  const isView = (await session.read(text, [schema, name], ownDeadline())).rows.length > 0
  if (isView) return 'it is a view'
  return (await columnsOf(session, source)).length === 0 ? 'its table is not there' : null
}

interface Leaving {
  readonly source: Source
  readonly before: Micros
  readonly rowsALot: number
}

async function removeSome(session: Session, { source, before, rowsALot }: Leaving, take: TakeLeaving | null): Promise<number> {
  const within = ownDeadline(LOT_MS)
  const columns = await columnsOf(session, source)
  const timestamp = columns.find(({ name }) => name.toLowerCase() === source.timestamp?.toLowerCase())
  if (!timestamp) return 0
  const table = quoteTable(source.name)
  const id = columns.find(({ name }) => name.toLowerCase() === source.id?.toLowerCase())
  const alone = id ? `AND (${quoteName(id.name)} IS NULL OR ${quoteName(id.name)} NOT IN (${repeated(table, quoteName(id.name))}))` : ''
  const time = instant(`${quoteName(timestamp.name)}`, timestamp.type, source.timezone)
  await session.execute(
    `CREATE OR REPLACE TEMP TABLE ${LEAVING} AS SELECT rowid AS row_id FROM ${table} WHERE ${time} < make_timestamptz(CAST(${Math.trunc(before)} AS BIGINT)) ${alone} LIMIT ${rowsALot}`,
    within,
  )
  const mine = `FROM ${table} WHERE rowid IN (SELECT row_id FROM ${LEAVING})`
  if (take) {
    const texts = columns.map(({ name }) => `CAST(${quoteName(name)} AS VARCHAR)`)
    const { rows } = await session.read(`SELECT ${texts.join(', ')} ${mine}`, [], within)
    if (rows.length > 0) {
      const taken = rows.map((row) => row.map((value) => (value === null ? null : String(value))))
      await markArchived(session, await take({ columns, rows: taken }))
    }
  }
  const removed = Number((await session.read(`DELETE ${mine}`, [], within)).rows[0]?.[0] ?? 0)
  await session.execute(`DROP TABLE ${LEAVING}`, within)
  if (removed === 0) return 0
  await session.execute(MAKE, ownDeadline())
  await session.read(TELL, [source.name, new SqlTimestamp(before)], ownDeadline())
  return removed
}

function repeated(table: string, id: string): string {
  return `SELECT ${id} FROM ${table} WHERE ${id} IS NOT NULL GROUP BY ${id} HAVING count(*) > 1`
}

export function instant(column: string, type: string, zone: string): string {
  return /WITH TIME ZONE$|TZ$/.test(type) ? column : `timezone(${quoteText(zone)}, CAST(${column} AS TIMESTAMP))`
}

async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof FabraError) throw error
    throw new FabraError('store_unavailable', 'The rows of a source could not be removed.', {
      hint: 'Check that the disk of the data folder is not full and can be written.',
      cause: error,
    })
  }
}
