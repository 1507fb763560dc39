/**
 * Months of history leave as tables. What stays of one is copied into a table beside it, while a trigger notes what comes late or is deleted, by whatever
 * process; when nothing is late, the two are exchanged. That alone locks history, for as long as it takes to change the catalogue; where somebody reads or
 * writes just then it is given up within a moment and tried again, and where that does not help rows leave in lots, as they do from small months.
 *
 * Before the exchange everybody who still sees the time before the copy must be done: to them its rows would not be there. Whatever a process that ends
 * in the middle leaves behind, the next sweep takes back, or finishes where the exchange is done.
 */
import type { ExchangeOptions, MonthsRemoval, RemovalRule } from '../../ports/history-removal.ts'
import { PostgresSqlError } from '../connection/errors.ts'
import type { Postgres, Transaction, WorkOptions } from '../connection/postgres.ts'
import { storeErrors } from '../connection/store-errors.ts'
import type { KnownLayout } from './history-layout.ts'
import { type HistoryLayout, hasPacked, hasPlain, plainTable } from './history-rows.ts'
import type { Month } from './leaving-months-sql.ts'
import * as sql from './leaving-months-sql.ts'
import { finishLot, takeBack } from './left-months.ts'
import { IN_USE, LOOKUPS, locking, patiently } from './patient-locks.ts'

/** To copy tens of millions of rows takes minutes. */
const COPY_MS = 1_800_000
const STEP_MS = 60_000
const LOOK_MS = 10_000
/** Waits for no reader and no writer, but for VACUUM, which gives way within about a second. */
const VACUUM_MS = 4_000
const QUIET_MS = 30_000
const LOOK_AGAIN_MS = 50
/** The default partition is read under the lock: a few milliseconds. */
const MOST_DEFAULT_BYTES = 16 * 1_048_576
/** What leaves is gone. */
const NOTHING_TO_GIVE = -1
const SAMPLE_PAGES = 64
const PAGE_BYTES = 8_192
/** Each row that is looked up is one descent into an index; rows of a month are joined with what is known of all its keys. */
const COPY_SETTINGS = { jit: 'off', enable_nestloop: 'off', work_mem: '64MB', lock_timeout: 2_000 } as const

export interface LeavingMonthsOptions {
  readonly postgres: Postgres
  readonly layout: KnownLayout
  /** What left is told in a table that is made before. */
  readonly ready: () => Promise<void>
  /** Another than the default by tests only. */
  readonly worth?: WorthOfMonths
}

/** Of other months rows leave in lots. */
export interface WorthOfMonths {
  /** Of fewer bytes that is quick enough. */
  readonly leastBytes: number
  /** Where less of a month leaves, deleting it costs less than copying the rest. */
  readonly leastShare: number
}

const WORTH: WorthOfMonths = { leastBytes: 8 * 1_048_576, leastShare: 0.25 }

interface Work extends ExchangeOptions {
  readonly token: string
  readonly layout: HistoryLayout
  readonly rules: readonly RemovalRule[]
}

export function createLeavingMonths({ postgres, layout, ready, worth = WORTH }: LeavingMonthsOptions): MonthsRemoval {
  return {
    finishLot: (takerOf) => storeErrors(() => finishLot(postgres, takerOf)),
    exchangeNext: (rules, options) =>
      storeErrors(async () => {
        const where = await layout.current()
        const found = await nextMonth(postgres, where, rules, { after: options.after, leastBytes: worth.leastBytes })
        if (found === null) return { next: null, removed: 0 }
        const { month, parent, ruled } = found
        const done = { next: month.name, removed: 0 }
        await ready()
        const work = { ...options, token: crypto.randomUUID(), layout: where, rules: ruled }
        if (!(await leaves(postgres, month, work, worth))) return done
        try {
          return { ...done, removed: await exchangeMonth(postgres, month, parent, work) }
        } catch (problem) {
          await takeBack(postgres, month, work.token).catch(() => undefined)
          return { ...done, problem }
        }
      }),
  }
}

interface Found {
  readonly month: Month
  readonly parent: string
  /** What the month is wholly older than. */
  readonly ruled: readonly RemovalRule[]
}

async function nextMonth(
  postgres: Postgres,
  layout: HistoryLayout,
  rules: readonly RemovalRule[],
  { after, leastBytes }: { readonly after: string; readonly leastBytes: number },
): Promise<Found | null> {
  const parents = [
    ...(hasPlain(layout) ? [{ part: 'plain' as const, parent: plainTable(layout), others: 'fabra.feature_history_default' }] : []),
    ...(hasPacked(layout) ? [{ part: 'packed' as const, parent: 'fabra.history_packed', others: 'fabra.history_packed_default' }] : []),
  ]
  const found: Found[] = []
  for (const { part, parent, others } of parents) {
    const look = (text: string, of: string) => postgres.run(text, [of], { timeoutMs: LOOK_MS, readOnly: true })
    const size = (await look('SELECT pg_relation_size(to_regclass($1))', others)).rows[0]?.[0]
    if (Number(size) > MOST_DEFAULT_BYTES) continue
    for (const [name, bytes] of (await look(sql.MONTHS, parent)).rows) {
      const month = { part, name: String(name) }
      const { endsAt } = sql.monthOf(month.name)
      const ruled = rules.filter(({ before }) => endsAt <= before)
      if (month.name > after && Number(bytes) >= leastBytes && ruled.length > 0) found.push({ month, parent, ruled })
    }
  }
  // Names of months of one table are in the order of time.
  return found.sort((a, b) => (a.month.name < b.month.name ? -1 : 1))[0] ?? null
}

async function leaves(postgres: Postgres, month: Month, { layout, rules }: Work, { leastShare }: WorthOfMonths): Promise<boolean> {
  const { rows: sizes } = await postgres.run('SELECT pg_relation_size($1::regclass)', [`fabra.${month.name}`], { timeoutMs: LOOK_MS })
  const percent = Math.min(100, (100 * SAMPLE_PAGES * PAGE_BYTES) / Math.max(1, Number(sizes[0]?.[0])))
  const options = { timeoutMs: STEP_MS, readOnly: true, settings: LOOKUPS }
  const { rows } = await postgres.run(sql.sample(month, layout), [...sql.asRules(rules), percent], options)
  const [all = 0, leave = 0] = rows[0]?.map(Number) ?? []
  return leave > 0 && leave >= leastShare * all
}

/** @returns how many rows left. @throws SqlError, also where another process took over. */
async function exchangeMonth(postgres: Postgres, month: Month, parent: string, work: Work): Promise<number> {
  const { signal } = work
  const { month: table } = sql.tablesOf(month)
  await postgres.run(sql.MAKE_BOOK, [], { timeoutMs: LOOK_MS })
  await postgres.transaction({ timeoutMs: STEP_MS, settings: { lock_timeout: VACUUM_MS } }, async (statements) => {
    const text = 'INSERT INTO fabra.history_leaving (month, token, is_out, page) VALUES ($1, $2, false, 0)'
    await statements.run(text, [month.name, work.token])
    await statements.script(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`)
  })
  await patiently(signal, (lockMs) => postgres.transaction(locking(lockMs), (statements) => statements.script(sql.prepare(month))))
  const copied = await copyMonth(postgres, month, work)
  await isQuiet(postgres, copied.transaction, signal)
  await postgres.run(`ANALYZE ${sql.tablesOf(month).next}`, [], { timeoutMs: STEP_MS })
  await patiently(signal, async (lockMs) => {
    await catchUp(postgres, month, work)
    await postgres.transaction(locking(lockMs), (statements) => exchange(statements, month, { parent, work, removed: copied.removed }))
  })
  return [...copied.removed.values()].reduce((sum, count) => sum + count, 0)
}

interface Copied {
  readonly transaction: string
  /** Rows that leave, by feature. */
  readonly removed: ReadonlyMap<string, number>
}

/** Everything of one moment, which notes of what is late are emptied of. */
function copyMonth(postgres: Postgres, month: Month, work: Work): Promise<Copied> {
  const tables = sql.tablesOf(month)
  const options: WorkOptions = { timeoutMs: COPY_MS, signal: work.signal, snapshot: true, settings: COPY_SETTINGS }
  return postgres.transaction(options, async (statements) => {
    await checkOwn(statements, month, work)
    await statements.run(`DELETE FROM ${tables.late}`)
    await statements.run(sql.copy(month, work.layout, work.archives), sql.asRules(work.rules))
    const countsOf = async (table: string) => {
      const { rows } = await statements.run(sql.counts(month.part, table))
      return new Map(rows.map(([feature, count]) => [String(feature), Number(count)]))
    }
    const kept = await countsOf(tables.next)
    const removed = [...(await countsOf(tables.month))].map(([feature, count]) => [feature, count - (kept.get(feature) ?? 0)] as const)
    return { transaction: await idOf(statements), removed: new Map(removed.filter(([, count]) => count > 0)) }
  })
}

/** Nothing is late when it resolves, or was a moment ago. */
async function catchUp(postgres: Postgres, month: Month, work: Work): Promise<void> {
  const { late } = sql.tablesOf(month)
  const { rows } = await postgres.run(`SELECT EXISTS (SELECT FROM ${late})`, [], { timeoutMs: LOOK_MS })
  if (rows[0]?.[0] !== 't') return
  const options: WorkOptions = { timeoutMs: STEP_MS, signal: work.signal, snapshot: true, settings: LOOKUPS }
  const transaction = await postgres.transaction(options, async (statements) => {
    await checkOwn(statements, month, work)
    for (const text of sql.catchUp(month, work.archives)) await statements.run(text)
    return idOf(statements)
  })
  await isQuiet(postgres, transaction, work.signal)
}

async function exchange(
  statements: Transaction,
  month: Month,
  { parent, work, removed }: { readonly parent: string; readonly work: Work; readonly removed: Copied['removed'] },
): Promise<void> {
  const { late, next } = sql.tablesOf(month)
  // As whoever makes a month.
  await statements.run("SELECT pg_advisory_xact_lock(hashtext('fabra.feature_history'))")
  await checkOwn(statements, month, work)
  await statements.script(`LOCK TABLE ONLY ${parent} IN ACCESS EXCLUSIVE MODE`)
  const { rows } = await statements.run(`SELECT EXISTS (SELECT FROM ${late}), NOT EXISTS (SELECT FROM ${next})`)
  if (rows[0]?.[0] === 't') throw new PostgresSqlError('runtime', IN_USE, 'Rows came late.', null)
  await statements.script(sql.exchange(month, parent, rows[0]?.[1] === 't'))
  const affected = work.rules.filter(({ feature }) => removed.has(feature))
  await statements.run(sql.TELL_ALL, [affected.map(({ feature }) => feature), affected.map(({ before }) => before)])
  const text = 'UPDATE fabra.history_leaving SET is_out = true, page = $2::bigint WHERE month = $1'
  await statements.run(text, [month.name, work.archives ? 0 : NOTHING_TO_GIVE])
}

/** Another process that took over has taken back what there was. */
async function checkOwn(statements: Transaction, month: Month, { token }: Work): Promise<void> {
  const text = 'SELECT FROM fabra.history_leaving WHERE month = $1 AND token = $2 AND NOT is_out FOR UPDATE'
  const { count } = await statements.run(text, [month.name, token])
  if (count !== 1) throw new PostgresSqlError('runtime', null, 'Another process works on this month.', null)
}

/** Whoever saw history as it was before is done. @throws SqlError */
async function isQuiet(postgres: Postgres, transaction: string, signal: AbortSignal): Promise<void> {
  const endsAt = performance.now() + QUIET_MS
  for (;;) {
    const { rows } = await postgres.run(sql.IS_SEEN_BEFORE, [transaction], { timeoutMs: LOOK_MS, signal })
    if (rows[0]?.[0] !== 't') return
    if (performance.now() > endsAt)
      throw new PostgresSqlError('timeout', null, 'A transaction has been running since before the copy.', null)
    await Bun.sleep(LOOK_AGAIN_MS)
  }
}

async function idOf(statements: Transaction): Promise<string> {
  return String((await statements.run('SELECT pg_current_xact_id()::xid::text')).rows[0]?.[0])
}
