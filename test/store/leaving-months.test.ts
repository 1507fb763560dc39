/** Months of history leave as tables: what is left is what deleting row by row would leave, whoever writes meanwhile, and nobody waits. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import type { ExchangeOptions, HistoryRemoval, MonthsDone, RemovalRule } from '../../src/store/ports/history-removal.ts'
import type { HistoryRow, OfflineStore, Origin } from '../../src/store/ports/offline-store.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { createPostgresHistoryRemoval } from '../../src/store/postgres/history/history-removal.ts'
import { createPostgresOfflineStore } from '../../src/store/postgres/history/offline-store.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { plainAndPacked } from '../support/history-layouts.ts'
import { watched } from '../support/leaving-worker.ts'
import { removable } from '../support/removable.ts'
import { startPostgres } from '../support/servers.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(120_000)

const DAY = 86_400_000_000
/** Three months, of which two are over. */
const BASE = Date.UTC(2026, 0, 1) * 1_000
const BEFORE = BASE + 59 * DAY
/** Months leave as tables however small they are. */
const ANY = { leastBytes: 0, leastShare: 0 }

const worlds = fc.array(
  fc.record({
    rows: fc.array(
      fc.record({
        entityKey: fc.constantFrom('u1', 'u2'),
        fingerprint: fc.constantFrom('f1', 'f1', 'f2'),
        eventAt: fc.constantFrom(0, 1, 1, 2, 30, 31, 31, 58, 60, 70),
        lag: fc.constantFrom(0, 0, 1, 30, 60),
        createdLag: fc.constantFrom(0, 0, 1, 60),
        value: fc.constantFrom('1', '2', null),
        origin: fc.constantFrom<Origin>('computed', 'computed', 'pushed', 'backfill'),
      }),
      { maxLength: 14 },
    ),
    // Of the days from which on all is kept; null: nothing is said of it.
    before: fc.constantFrom(null, 10, 31, 59, 59, 75),
    origins: fc.constantFrom<readonly Origin[]>(['computed'], ['computed', 'pushed', 'backfill']),
  }),
  { minLength: 40, maxLength: 40 },
)

/** All months, one after the other. */
async function exchangeAll(removal: HistoryRemoval, rules: readonly RemovalRule[], archives = false) {
  let removed = 0
  const problems: unknown[] = []
  for (let after: string | null = ''; after !== null; ) {
    const options: ExchangeOptions = { after, archives, signal: new AbortController().signal }
    const done: MonthsDone | undefined = await removal.months?.exchangeNext(rules, options)
    removed += done?.removed ?? 0
    if (done?.problem !== undefined) problems.push(done.problem)
    if (!archives && done?.removed) await finish(removal)
    after = done?.next ?? null
  }
  return { removed, problems }
}

async function finish(removal: HistoryRemoval): Promise<void> {
  while ((await removal.months?.finishLot(null))?.goesOn);
}

async function deleteAll(removal: HistoryRemoval, rules: readonly RemovalRule[]): Promise<number> {
  let removed = 0
  for (const rule of rules)
    for (let place: Parameters<HistoryRemoval['removeLot']>[1] | null = { after: null }; place; ) {
      const lot = await removal.removeLot(rule, place)
      removed += lot.removed
      place = lot.next
    }
  return removed
}

describe.each(['packed', 'plain and packed'])('months of history, %s,', (layout) => {
  let server: Awaited<ReturnType<typeof startPostgres>>
  let postgres: Postgres
  let offline: OfflineStore
  beforeAll(async () => {
    // Nothing else is at the tables.
    server = await startPostgres({ settings: ['autovacuum=off'] })
    postgres = openPostgres({ url: server.url })
    await migrate(postgres)
    const onProblem = () => undefined
    const store =
      layout === 'packed' ? createPostgresOfflineStore({ postgres, random: Math.random, onProblem }) : plainAndPacked(postgres, onProblem)
    offline = { ...store, append: (rows) => store.append(rows, { timeoutMs: 100_000 }) }
    if (layout !== 'packed') await offline.append([row({ feature: 'undefined_and_plain' })])
  })
  afterAll(async () => {
    await postgres?.close()
    await server?.[Symbol.asyncDispose]()
  })

  const all = async (feature: string) => {
    const asked = ['u1', 'u2', 'late', 'gone'].flatMap((entityKey) => ['f1', 'f2'].map((fingerprint) => ({ entityKey, fingerprint })))
    const histories = await Promise.all(asked.map((one) => offline.history({ ...one, feature, from: null, to: null, limit: 1_000 })))
    return histories.flat().sort((a, b) => a.seq - b.seq)
  }
  const texts = async (sql: string) => (await postgres.run(sql, [], { timeoutMs: 60_000 })).rows.map(([text]) => String(text))
  const leftovers = () =>
    texts(`SELECT relname FROM pg_class WHERE relname ~ '_(next|out|stay|late)$' AND relkind = 'r'
      UNION ALL SELECT tgname FROM pg_trigger WHERE tgname = 'note_late' UNION ALL SELECT month FROM fabra.history_leaving
      UNION ALL SELECT relname FROM pg_class WHERE reloptions::text LIKE '%autovacuum%' AND relname LIKE '%history%'`)
  /** Twenty values of each of three keys in January, the newest of all of them in February. */
  const month = (feature: string): HistoryRow[] =>
    ['u1', 'u2', 'gone'].flatMap((entityKey, k) =>
      Array.from({ length: 21 }, (_, i) => {
        const at = BASE + (i === 20 ? 40 : i) * DAY
        return row({ feature, entityKey, value: `${i}`, eventAt: at, availableAt: at, createdAt: at, seq: 100 * k + i + 1 })
      }),
    )

  test('leave what rules and rows say, as deleting them one by one does', async () => {
    const [given = []] = fc.sample(worlds, { numRuns: 1, seed: 26 })
    const recorded = given.map((world, f) =>
      world.rows.map(({ lag, createdLag, ...one }, i) => {
        const eventAt = BASE + one.eventAt * DAY
        const availableAt = eventAt + lag * DAY
        return row({ ...one, feature: `w${f}`, eventAt, availableAt, createdAt: availableAt + createdLag * DAY, seq: i + 1 })
      }),
    )
    await offline.append(recorded.flat())
    const ruleOf = (f: number): RemovalRule | null => {
      const { before = null, origins = [] } = given[f] ?? {}
      return before === null ? null : { feature: `w${f}`, before: BASE + before * DAY, origins }
    }
    const rules = given.flatMap((_, f) => ruleOf(f) ?? [])
    const goes = (one: HistoryRow, f: number) => {
      const rule = ruleOf(f)
      return rule !== null && removable(recorded[f] ?? [], one, rule)
    }
    const endOf = (at: number) => [31, 59, 90].map((days) => BASE + days * DAY).find((end) => at < end) ?? 0
    const inMonths = recorded.map((rows, f) => rows.filter((one) => goes(one, f) && endOf(one.eventAt) <= (ruleOf(f)?.before ?? 0)))
    const removal = createPostgresHistoryRemoval(postgres, ANY)
    const { removed, problems } = await exchangeAll(removal, rules)
    expect(problems).toEqual([])
    expect(removed).toBe(inMonths.flat().length)
    for (const [f, rows] of recorded.entries()) expect(await all(`w${f}`)).toEqual(rows.filter((one) => !inMonths[f]?.includes(one)))
    const kept = await removal.keptSince(given.map((_, f) => `w${f}`))
    expect([...kept.keys()].sort()).toEqual(inMonths.flatMap((rows, f) => (rows.length > 0 ? [`w${f}`] : [])).sort())
    expect(await deleteAll(removal, rules)).toBe(recorded.flatMap((rows, f) => rows.filter((one) => goes(one, f))).length - removed)
    for (const [f, rows] of recorded.entries()) expect(await all(`w${f}`)).toEqual(rows.filter((one) => !goes(one, f)))
    expect(await leftovers()).toEqual([])
  })

  test('take what comes late with them, and nothing that was deleted', async () => {
    const rows = month('late')
    await offline.append(rows)
    const late = [0, 1, 2].map((i) =>
      row({
        feature: 'late',
        entityKey: 'late',
        value: `${i}`,
        eventAt: BASE + i * DAY,
        availableAt: BEFORE + DAY,
        createdAt: BEFORE + DAY,
        seq: 500 + i,
      }),
    )
    const forgotten = { entity: 'User', entityKey: 'gone', at: BASE + 20 * DAY }
    let step = 0
    const removal = createPostgresHistoryRemoval(
      watched(postgres, async (text) => {
        // When the copy is made; and when that was noticed and all seems to be quiet.
        if (text.startsWith('ANALYZE') && step === 0) {
          step = 1
          await offline.append(late.slice(0, 2))
          await offline.forget(['late'], forgotten)
        } else if (text.includes('pg_advisory_xact_lock') && step === 1) {
          step = 2
          await offline.append(late.slice(2))
        }
      }),
      ANY,
    )
    const rules = [{ feature: 'late', before: BEFORE, origins: ['computed' as const] }]
    const { removed, problems } = await exchangeAll(removal, rules)
    expect([problems, step]).toEqual([[], 2])
    // Those of the forgotten key were seen to leave when they were copied.
    expect(removed).toBeGreaterThanOrEqual(40)
    const newest = rows.filter(({ eventAt, entityKey }) => eventAt === BASE + 40 * DAY && entityKey !== 'gone')
    expect(await all('late')).toEqual([...newest, ...late].sort((a, b) => a.seq - b.seq))
    expect(await deleteAll(removal, rules)).toBe(0)
    expect(await leftovers()).toEqual([])
  })

  // Both kinds of months are exchanged in the same way.
  if (layout !== 'packed') return

  test('wait for nobody and let nobody wait: what is in use leaves in lots', async () => {
    await offline.append(month('used'))
    const before = await all('used')
    const rules = [{ feature: 'used', before: BEFORE, origins: ['computed' as const] }]
    const removal = createPostgresHistoryRemoval(postgres, ANY)
    const options = { timeoutMs: 100_000 }
    for (const held of ['SELECT FROM fabra.history_packed LIMIT 1', 'LOCK TABLE fabra.history_packed_2026_01 IN ROW EXCLUSIVE MODE']) {
      await postgres.transaction(options, async (statements) => {
        await statements.script(held)
        const { removed, problems } = await exchangeAll(removal, rules)
        expect([removed, problems.length]).toEqual([0, 1])
        // Whoever comes meanwhile reads and writes.
        await offline.append([row({ feature: 'other', eventAt: BASE, seq: before.length })])
      })
      await finish(removal)
      expect(await leftovers()).toEqual([])
    }
    expect(await deleteAll(removal, rules)).toBe(before.length - 3)
    expect((await all('used')).length).toBe(3)
  })

  test('are there for whoever sees an earlier moment', async () => {
    const rows = month('seen').filter(({ eventAt }) => eventAt < BASE + 31 * DAY)
    await offline.append(rows)
    const rules = [{ feature: 'seen', before: BEFORE, origins: ['computed' as const] }]
    const removal = createPostgresHistoryRemoval(postgres, ANY)
    const seen = await postgres.transaction({ timeoutMs: 100_000, snapshot: true }, async (statements) => {
      await statements.run('SELECT 1 FROM fabra.fences')
      const exchanging = exchangeAll(removal, rules)
      await until('the copy', 0, async () => (await leftovers()).some((name) => name.endsWith('_late')) || undefined)
      const { rows: found } = await statements.run("SELECT count(*) FROM fabra.feature_history WHERE feature = 'seen'")
      return { found: Number(found[0]?.[0]), exchanging }
    })
    expect(seen.found).toBe(rows.length)
    await seen.exchanging
    await deleteAll(removal, rules)
    expect((await all('seen')).length).toBe(3)
    expect(await leftovers()).toEqual([])
  })
})
