/** After a month was exchanged what left it is given away, some pages in a transaction, and its table is dropped. Before, all that was made can be taken back. */
import type { TakeLeaving } from '../../ports/archive.ts'
import { LEAVING_COLUMNS } from '../../ports/history-removal.ts'
import { makeArchiveMarks, markArchived } from '../archive-marks.ts'
import type { Postgres, Transaction } from '../connection/postgres.ts'
import type { Month } from './leaving-months-sql.ts'
import * as sql from './leaving-months-sql.ts'
import { LOOKUPS, locking, patiently } from './patient-locks.ts'

const STEP_MS = 60_000
const LOOK_MS = 10_000
const LOT_PAGES = 128
const PAGE_BYTES = 8_192

/** What was made for a month that is still one of history. @param token Of whoever began it; default: anybody. */
export async function takeBack(postgres: Postgres, month: Month, token: string | null = null): Promise<void> {
  const inTurn = (then: string, undo: typeof sql.stop) =>
    patiently(new AbortController().signal, (lockMs) =>
      postgres.transaction(locking(lockMs), async (statements) => {
        const { count } = await statements.run(`${then} WHERE month = $1 AND NOT is_out AND ($2::text IS NULL OR token = $2)`, [
          month.name,
          token,
        ])
        if (count === 0) return
        const { rows } = await statements.run(sql.HAS_TRIGGER, [`fabra.${month.name}`])
        await statements.script(undo(month, rows[0]?.[0] === 't'))
      }),
    )
  // Where the month is read for long, only a trigger that does nothing is left for the next sweep.
  await inTurn('UPDATE fabra.history_leaving SET page = 0', sql.stop)
  await inTurn('DELETE FROM fabra.history_leaving', sql.unprepare)
}

type TakerOf = (feature: string) => TakeLeaving

export async function finishLot(postgres: Postgres, takerOf: TakerOf | null): Promise<{ features: readonly string[]; goesOn: boolean }> {
  const look = { timeoutMs: LOOK_MS, readOnly: true }
  const { rows } = await postgres.run("SELECT to_regclass('fabra.history_leaving') IS NOT NULL", [], look)
  if (rows[0]?.[0] !== 't') return { features: [], goesOn: false }
  const book = await postgres.run('SELECT month, is_out, page FROM fabra.history_leaving ORDER BY month LIMIT 1', [], look)
  const [name, isOut, page] = book.rows[0] ?? []
  if (name == null) return { features: [], goesOn: false }
  const month: Month = { part: name.startsWith('history_packed') ? 'packed' : 'plain', name }
  if (isOut !== 't') {
    await takeBack(postgres, month)
    return { features: [], goesOn: true }
  }
  if (takerOf) await makeArchiveMarks(postgres)
  const features = await postgres.transaction({ timeoutMs: STEP_MS, settings: LOOKUPS }, (statements) =>
    giveAway(statements, month, Number(page), takerOf),
  )
  return { features, goesOn: true }
}

/** Some pages, and at last the table. Whoever does the same at once waits, and finds that it is done. */
async function giveAway(statements: Transaction, month: Month, page: number, takerOf: TakerOf | null): Promise<string[]> {
  const tables = sql.tablesOf(month)
  const own = 'SELECT FROM fabra.history_leaving WHERE month = $1 AND is_out AND page = $2::bigint FOR UPDATE'
  if ((await statements.run(own, [month.name, page])).count !== 1) return []
  const { rows: sizes } = await statements.run('SELECT pg_relation_size($1::regclass)', [tables.out])
  const to = page + LOT_PAGES
  const gives = takerOf !== null && page >= 0
  const isLast = !gives || to * PAGE_BYTES >= Number(sizes[0]?.[0])
  const rows = gives ? (await statements.run(sql.leaving(month, page, to))).rows : []
  const byFeature = Map.groupBy(rows, ([feature]) => String(feature))
  for (const [feature, some] of byFeature)
    if (takerOf) await markArchived(statements, await takerOf(feature)({ columns: LEAVING_COLUMNS, rows: some }))
  if (isLast) {
    await statements.script(`DROP TABLE IF EXISTS ${tables.out}, ${tables.stay}`)
    await statements.run('DELETE FROM fabra.history_leaving WHERE month = $1', [month.name])
  } else {
    await statements.run('UPDATE fabra.history_leaving SET page = $2::bigint WHERE month = $1', [month.name, to])
  }
  return [...byFeature.keys()]
}
