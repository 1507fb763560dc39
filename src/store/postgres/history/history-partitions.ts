/**
 * History is kept by month of the event. A month is made when the first row of it comes; until then, and for odd times, rows go to the default
 * partition. So nothing here can stop a write: where a month cannot be made now, it is tried again later.
 */
import type { Micros } from '../../../clock.ts'
import type { HistoryRow } from '../../ports/offline-store.ts'
import { PostgresSqlError } from '../connection/errors.ts'
import type { Postgres } from '../connection/postgres.ts'

export interface HistoryPartitions {
  /** Makes the months of these rows, where there are none yet, and is waited for so long. Never throws. */
  make(rows: readonly HistoryRow[], patienceMs: number): Promise<void>
}

const DAY: Micros = 86_400_000_000
/** Older events, of a large backfill say, share the default partition: hundreds of partitions would slow every question down. */
const OLDEST: Micros = 10 * 366 * DAY
/** Events lie at most minutes ahead; the next month is made before it begins. */
const NEWEST: Micros = 7 * DAY
const TRY_AGAIN_MS = 60_000
const LOCK = "pg_advisory_xact_lock(hashtext('fabra.feature_history'))"
/** Names of the months there are. */
const LIST = `
SELECT c.relname
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::regclass`

/** What is parted by months, and each month called after. */
export type PartedTable = 'feature_history' | 'history_packed'
const MAKE_MS = 10_000

export function createHistoryPartitions(
  postgres: Postgres,
  table: PartedTable,
  onProblem: (message: string, cause: unknown) => void,
): HistoryPartitions {
  let known: Set<string> | undefined
  let failedAt = Number.NEGATIVE_INFINITY
  let running: Promise<void> = Promise.resolve()

  const makeMissing = async (months: readonly Month[]) => {
    if (performance.now() - failedAt < TRY_AGAIN_MS) return
    try {
      if (!known) {
        const { rows } = await postgres.run(LIST, [`fabra.${table}`], { timeoutMs: MAKE_MS, readOnly: true })
        known = new Set(rows.map(([name]) => String(name)))
      }
      for (const month of months) {
        if (known.has(month.name)) continue
        await makeMonth(postgres, table, month)
        known.add(month.name)
      }
    } catch (error) {
      failedAt = performance.now()
      onProblem('A month of history could not be made; its rows go to the default partition for now.', error)
    }
  }

  return {
    async make(rows, patienceMs) {
      const months = monthsOf(rows, table)
      const missing = months.filter(({ name }) => !known?.has(name))
      if (missing.length === 0) return
      running = running.then(() => makeMissing(missing))
      const over = Promise.withResolvers<void>()
      const timer = setTimeout(over.resolve, patienceMs)
      await Promise.race([running, over.promise])
      clearTimeout(timer)
    },
  }
}

interface Month {
  readonly name: string
  /** `2026-01-01`, and the first day of the month after. */
  readonly from: string
  readonly to: string
}

function monthsOf(rows: readonly HistoryRow[], table: PartedTable): Month[] {
  const months = new Map<string, Month>()
  let start = 0
  let end = 0
  for (const { eventAt, createdAt } of rows) {
    // Rows of one batch are mostly of one month.
    if (eventAt >= start && eventAt < end) continue
    if (eventAt < createdAt - OLDEST || eventAt > createdAt + NEWEST) continue
    const date = new Date(eventAt / 1000)
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
    start = Date.UTC(year, month) * 1000
    end = Date.UTC(year, month + 1) * 1000
    const [from, to] = [start, end].map((at) => new Date(at / 1000).toISOString().slice(0, 10)) as [string, string]
    const name = `${table}_${from.slice(0, 7).replace('-', '_')}`
    months.set(name, { name, from, to })
  }
  return [...months.values()]
}

/**
 * Rows of the month that the default partition holds move along. Attaching locks only the default partition against reading; where a long
 * question reads it just now, waiting would make all others wait behind it, so it is given up soon.
 */
async function makeMonth(postgres: Postgres, table: PartedTable, { name, from, to }: Month): Promise<void> {
  const bounds = [from, to].map((day) => `timestamptz '${day} 00:00:00+00'`)
  try {
    await postgres.transaction({ timeoutMs: MAKE_MS, settings: { lock_timeout: 1_000 } }, async (statements) => {
      await statements.run(`SELECT ${LOCK}`)
      const there = await statements.run(`SELECT to_regclass('fabra.${name}') IS NOT NULL`)
      if (there.rows[0]?.[0] === 't') return
      await statements.script(`
CREATE TABLE fabra.${name} (LIKE fabra.${table} INCLUDING DEFAULTS INCLUDING INDEXES);
LOCK TABLE fabra.${table}_default IN ACCESS EXCLUSIVE MODE;
WITH moved AS (
  DELETE FROM fabra.${table}_default WHERE event_timestamp >= ${bounds[0]} AND event_timestamp < ${bounds[1]} RETURNING *
)
INSERT INTO fabra.${name} SELECT * FROM moved;
ALTER TABLE fabra.${table} ATTACH PARTITION fabra.${name} FOR VALUES FROM ('${from} 00:00:00+00') TO ('${to} 00:00:00+00')`)
    })
  } catch (error) {
    // Made by another process in the same moment.
    if (error instanceof PostgresSqlError && error.state === '42P07') return
    throw error
  }
}
