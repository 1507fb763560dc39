import type { ExportQuery } from '../../ports/history-export.ts'
import type { HistoryRow } from '../../ports/offline-store.ts'
import { readInBatches } from '../connection/cursor.ts'
import type { Postgres } from '../connection/postgres.ts'
import { asStoreError } from '../connection/store-errors.ts'
import { createKnownLayout } from './history-layout.ts'
import { exported } from './history-sql.ts'
import { toHistoryRow } from './offline-store.ts'

const LONGEST_MS = 3_600_000
const BATCH_ROWS = 5_000

/** Of one moment, in any order. @throws FabraError store_unavailable */
export async function* exportedRows(
  postgres: Postgres,
  { feature, before }: Pick<ExportQuery, 'feature' | 'before'>,
): AsyncGenerator<readonly HistoryRow[]> {
  try {
    const statement = { text: exported(await createKnownLayout(postgres).current()), parameters: [feature, before] }
    for await (const rows of readInBatches(postgres, statement, { timeoutMs: LONGEST_MS, batchRows: BATCH_ROWS }))
      yield rows.map(toHistoryRow)
  } catch (error) {
    throw asStoreError(error)
  }
}
