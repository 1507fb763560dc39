import type { Micros } from '../../../clock.ts'
import type { Source } from '../../../definition/model.ts'
import type { LeavingRows } from '../../ports/archive.ts'
import { readInBatches } from '../connection/cursor.ts'
import type { Postgres } from '../connection/postgres.ts'
import { asStoreError } from '../connection/store-errors.ts'
import { timeOf } from '../history/history-sql.ts'
import { archived, instant } from './rows-removal.ts'
import { asking, findAppendTable } from './source-rows-table.ts'
import { quoteName } from './source-tables.ts'

const LONGEST_MS = 3_600_000
const BATCH_ROWS = 5_000

/** Of one moment, in any order. Undefined where there is no such table. @throws FabraError store_unavailable */
export async function exportedSourceRows(
  postgres: Postgres,
  source: Source,
  before: Micros | null,
): Promise<{ readonly columns: LeavingRows['columns']; readonly batches: AsyncIterable<LeavingRows['rows']> } | undefined> {
  const table = await findAppendTable(asking(postgres), source).catch((error: unknown) => Promise.reject(asStoreError(error)))
  if (!table) return undefined
  const timestamp = table.columns.find(({ name }) => name.toLowerCase() === source.timestamp?.toLowerCase())
  const where = timestamp && before !== null ? `WHERE ${instant(timestamp)} < ${timeOf('$1::bigint')}` : ''
  const text = `SELECT ${table.columns.map(({ name }) => `r.${quoteName(name)}::text`).join(', ')} FROM ${table.name} AS r ${where}`
  const statement = { text, parameters: where === '' ? [] : [before] }
  async function* read() {
    try {
      yield* readInBatches(postgres, statement, { timeoutMs: LONGEST_MS, batchRows: BATCH_ROWS })
    } catch (error) {
      throw asStoreError(error)
    }
  }
  return { columns: table.columns.map(archived), batches: read() }
}
