/** Rows that come as texts, in a Parquet file: through a file of the engine, so that memory holds few of them. */
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyColumn } from '../../definition/model.ts'
import type { LeavingRows } from '../ports/archive.ts'
import { openDatabase, ownDeadline } from './connection/database.ts'
import type { Session } from './connection/session.ts'
import { keyColumns } from './history/history-export.ts'
import { quoteName, quoteText } from './sql.ts'

const LONGEST = ownDeadline(3_600_000)
const BATCH_ROWS = 5_000
const ROWS = '__fabra_rows'

export interface RowsFile {
  readonly columns: LeavingRows['columns']
  /** In its order a source's blocks are skipped by time. */
  readonly order: readonly string[]
  /** Of recorded values: told as columns of their own, beside the encoded key. */
  readonly key: readonly KeyColumn[]
}

/** @param folder For this alone, on the disk of the file. @throws SqlError */
export async function writeRowsFile(
  folder: string,
  file: string,
  { columns, order, key }: RowsFile,
  batches: AsyncIterable<LeavingRows['rows']>,
) {
  const database = await openDatabase({ file: join(folder, 'rows.duckdb') })
  try {
    const written = join(database.loadDir, 'rows.parquet')
    await database.history.use(LONGEST, async (session, left) => {
      await session.execute(`CREATE TABLE ${ROWS} (${columns.map(({ name, type }) => `${quoteName(name)} ${type}`).join(', ')})`, left)
      for await (const rows of batches) await insert(session, columns, rows)
    })
    const sorted = order.length === 0 ? '' : `ORDER BY ${order.map(quoteName).join(', ')}`
    const text = `COPY (SELECT ${[...keyColumns(key), '*'].join(', ')} FROM ${ROWS} ${sorted}) TO ${quoteText(written)} (FORMAT PARQUET, COMPRESSION ZSTD)`
    await database.readers.use(LONGEST, (session, left) => session.execute(text, left))
    await rename(written, file)
  } finally {
    await database.close()
    await rm(join(folder, 'rows.duckdb'), { force: true })
  }
}

async function insert(session: Session, columns: LeavingRows['columns'], rows: LeavingRows['rows']): Promise<void> {
  const values = columns.map(({ type }, c) => `CAST(unnest($${c + 1}::VARCHAR[]) AS ${type})`)
  for (let from = 0; from < rows.length; from += BATCH_ROWS) {
    const some = rows.slice(from, from + BATCH_ROWS)
    const lists = columns.map((_, c) => some.map((row) => row[c] ?? null))
    await session.read(`INSERT INTO ${ROWS} SELECT ${values.join(', ')}`, lists, LONGEST)
  }
}
