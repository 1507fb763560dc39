/**
 * The engine never moves a block: what rows leave behind is used again, and the file becomes shorter only where its end is free. After many rows have
 * left, a few are still there at its end. So those are written once more (deleted and inserted in one transaction, in turn with appends), which puts them
 * into the first free blocks, and the next checkpoint cuts the end off.
 */
import { statSync } from 'node:fs'
import { FabraError } from '../../../errors.ts'
import type { Shrinking } from '../../ports/shrinking.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { inTransaction } from '../connection/transaction.ts'
import { CATALOG, quoteName, quoteTable, quoteText } from '../sql.ts'

const ROWS_A_LOT = 20_000
const LOT_MS = 60_000
/** Blocks of 256 KiB. Less than this, or than a fifth of what is used, is soon used again. */
const LEAST_FREE = 32
const FREE_SHARE = 0.2
/** A checkpoint waits for nobody: while others write it is refused. */
const MOST_REFUSALS = 50
/** Rounds that bring nothing: the end belongs to something else. */
const MOST_VAIN = 3

const ROOM = `SELECT used_blocks, free_blocks FROM pragma_database_size() WHERE database_name = '${CATALOG}'`
const HISTORY = `${CATALOG}.fabra.feature_history`
/** Pieces of the table, each with its first row, how many it once had, and how far it reaches into the file. */
const pieces = (table: string) => `
WITH pieces AS (
  SELECT row_group_id AS piece, sum(count) FILTER (column_id = 0 AND segment_type <> 'VALIDITY') AS rows,
    max(list_max(list_append(additional_block_ids, block_id))) AS top
  FROM pragma_storage_info(${quoteText(table)})
  GROUP BY row_group_id
), placed AS (
  SELECT CAST(sum(rows) OVER (ORDER BY piece) - rows AS BIGINT) AS first, CAST(rows AS BIGINT) AS rows, top FROM pieces
)`
const lastOf = (table: string) => `${pieces(table)} SELECT first, first + rows, top FROM placed ORDER BY top DESC, first LIMIT 1`
/** Of a table of few pieces, which the engine leaves as they are however little is left in them: the emptiest. */
const emptiestOf = (table: string) => `${pieces(table)}
SELECT any_value(p.first), any_value(p.first + p.rows), count(h.rowid)
FROM placed AS p LEFT JOIN ${table} AS h ON h.rowid >= p.first AND h.rowid < p.first + p.rows
WHERE p.top >= 0
GROUP BY p.first
HAVING count(h.rowid) BETWEEN 1 AND any_value(p.rows) // 2
ORDER BY count(h.rowid) / any_value(p.rows) LIMIT 1`
const pieceCountOf = (table: string) =>
  `${pieces(table)} SELECT count(*), coalesce(sum(rows), 0), (SELECT count(*) FROM ${table}) FROM placed`
const FEW_PIECES = 20
/** Others of which something is in the way; what is kept of them lies at the end of the file until they are written again. */
const others = (not: '' | 'NOT') => `
SELECT schema_name, table_name FROM duckdb_tables()
WHERE database_name = '${CATALOG}' AND NOT temporary AND table_name <> 'feature_history' AND estimated_size BETWEEN 1 AND ${ROWS_A_LOT}
  AND ${not} (schema_name = 'fabra' AND table_name NOT LIKE 'source%' AND table_name <> 'idempotency_keys')`
const MOVED = '__fabra_moved'

interface Room {
  readonly used: number
  readonly free: number
}

export function createDuckdbShrinking(database: Database, file: string, leastFree = LEAST_FREE): Shrinking {
  /** What was removed is in the log, and its room not free, before the file was written. */
  let isWritten = false
  let refusals = 0
  let vain = 0
  let shortest = Number.POSITIVE_INFINITY
  const done = () => {
    isWritten = false
    refusals = 0
    vain = 0
    shortest = Number.POSITIVE_INFINITY
    return false
  }

  async function lot(session: Session): Promise<boolean> {
    const moved = isWritten ? await moveSome(session, HISTORY) : 0
    if (moved > 0) return true
    if (isWritten) await moveSmallTables(session, '')
    if (!(await checkpoint(session))) return ++refusals <= MOST_REFUSALS ? true : done()
    isWritten = true
    const { used, free } = await roomOf(session)
    vain = used + free < shortest ? 0 : vain + 1
    shortest = Math.min(shortest, used + free)
    if (vain === MOST_VAIN) return done()
    return free >= Math.max(leastFree, used * FREE_SHARE) || (used >= leastFree && (await emptiest(session, HISTORY))) ? true : done()
  }

  return {
    bytes: () => statSync(file, { throwIfNoEntry: false })?.size ?? 0,
    async shrinkLot(tables = []) {
      try {
        // In turn with whoever appends to them: each then stays in its order.
        if (isWritten && (await database.loader.use(ownDeadline(LOT_MS), (session) => moveSources(session, tables))) > 0) return true
        return await database.history.use(ownDeadline(LOT_MS), (session) => lot(session))
      } catch (cause) {
        done()
        if (cause instanceof FabraError) throw cause
        throw new FabraError('store_unavailable', 'The room in the data file could not be given back.', {
          hint: 'Check that the disk of the data folder is not full and can be written.',
          cause,
        })
      }
    },
  }
}

async function checkpoint(session: Session): Promise<boolean> {
  try {
    await session.execute(`CHECKPOINT ${CATALOG}`, ownDeadline(LOT_MS))
    return true
  } catch {
    return false
  }
}

async function roomOf(session: Session): Promise<Room> {
  const [room] = (await session.read(ROOM, [], ownDeadline())).rows
  return { used: Number(room?.[0] ?? 0), free: Number(room?.[1] ?? 0) }
}

interface Piece {
  readonly first: number
  readonly end: number
}

async function emptiest(session: Session, table: string): Promise<Piece | null> {
  const [facts] = (await session.read(pieceCountOf(table), [], ownDeadline())).rows
  const [pieces, ever, now] = [Number(facts?.[0] ?? 0), Number(facts?.[1] ?? 0), Number(facts?.[2] ?? 0)]
  if (pieces === 0 || pieces > FEW_PIECES || now * 2 > ever) return null
  const [found] = (await session.read(emptiestOf(table), [], ownDeadline(LOT_MS))).rows
  return found ? { first: Number(found[0]), end: Number(found[1]) } : null
}

/** Beyond what would be the file's end. */
async function lastPiece(session: Session, table: string): Promise<Piece | null> {
  const { used } = await roomOf(session)
  const [last] = (await session.read(lastOf(table), [], ownDeadline())).rows
  return last && Number(last[2]) >= used ? { first: Number(last[0]), end: Number(last[1]) } : null
}

/** @returns how many rows were moved. */
function moveSome(session: Session, table: string): Promise<number> {
  return inTransaction(session, async () => {
    const piece = (await lastPiece(session, table)) ?? (await emptiest(session, table))
    if (!piece) return 0
    return rewrite(session, table, `WHERE rowid >= ${piece.first} AND rowid < ${piece.end}`, `LIMIT ${ROWS_A_LOT}`)
  })
}

/** @returns how many rows were moved that are not all of their table. */
async function moveSources(session: Session, tables: readonly string[]): Promise<number> {
  await moveSmallTables(session, 'NOT')
  for (const name of tables) {
    // One that is no table, or is not there, has no pieces.
    const moved = await moveSome(session, `${CATALOG}.${quoteTable(name)}`).catch(() => 0)
    if (moved > 0) return moved
  }
  return 0
}

/** Each as a whole, so that its rows are in the order that they were in. One that somebody else writes just now has its turn another time. */
async function moveSmallTables(session: Session, not: '' | 'NOT'): Promise<void> {
  const { used } = await roomOf(session)
  for (const [schema, name] of (await session.read(others(not), [], ownDeadline())).rows) {
    const table = `${CATALOG}.${quoteName(String(schema))}.${quoteName(String(name))}`
    const reach = `SELECT max(list_max(list_append(additional_block_ids, block_id))) FROM pragma_storage_info(${quoteText(table)})`
    const [place] = (await session.read(reach, [], ownDeadline())).rows
    if (Number(place?.[0] ?? -1) >= used) await inTransaction(session, () => rewrite(session, table, '', '')).catch(() => undefined)
  }
}

/** @returns how many rows were written once more. */
async function rewrite(session: Session, table: string, where: string, limit: string): Promise<number> {
  const read = `SELECT rowid AS __fabra_row_id, * FROM ${table} ${where} ORDER BY rowid ${limit}`
  await session.execute(`CREATE OR REPLACE TEMP TABLE ${MOVED} AS ${read}`, ownDeadline(LOT_MS))
  const remove = `DELETE FROM ${table} WHERE rowid IN (SELECT __fabra_row_id FROM ${MOVED})`
  const removed = Number((await session.read(remove, [], ownDeadline(LOT_MS))).rows[0]?.[0] ?? 0)
  const insert = `INSERT INTO ${table} SELECT * EXCLUDE (__fabra_row_id) FROM ${MOVED} ORDER BY __fabra_row_id`
  const inserted = Number((await session.read(insert, [], ownDeadline(LOT_MS))).rows[0]?.[0] ?? 0)
  if (removed !== inserted) throw new Error(`${removed} rows were taken up and ${inserted} put down again.`)
  await session.execute(`DROP TABLE ${MOVED}`, ownDeadline())
  return inserted
}
