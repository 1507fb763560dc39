import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import type { HistoryRow } from '../../src/store/ports/offline-store.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { hashOfText } from '../../src/store/postgres/history/hash-of-text.ts'
import { latestOf } from '../../src/store/postgres/history/history-sql.ts'
import { createPostgresOfflineStore } from '../../src/store/postgres/history/offline-store.ts'
import { finishMigration, migrate } from '../../src/store/postgres/schema/migrate.ts'
import { MIGRATIONS } from '../../src/store/postgres/schema/migrations/index.ts'
import { offlineStoreSuite, row } from '../conformance/offline-store-suite.ts'
import { plainAndPacked } from '../support/history-layouts.ts'
import { startPgBouncer, startPostgres, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const TABLES = 'fabra.history_plain, fabra.history_packed, fabra.history_marks, fabra.fences, fabra.feature_fences, fabra.debts'
const LONG = { timeoutMs: 30_000 }
const JANUARY = Date.UTC(2026, 0, 15) * 1000
const DAY = 86_400_000_000

let server: TestServer
let bouncer: TestServer
let direct: Postgres
let pooled: Postgres
/** Another database, whose schema is not finished. */
let unfinished: Postgres
beforeAll(async () => {
  server = await startPostgres()
  bouncer = await startPgBouncer(server)
  direct = openPostgres({ url: server.url })
  pooled = openPostgres({ url: bouncer.url })
  await migrate(direct)
  const sql = new SQL(server.url, { max: 1 })
  await sql.unsafe('CREATE DATABASE unfinished')
  await sql.close()
  unfinished = openPostgres({ url: server.url.replace(/\w+$/, 'unfinished') })
  await migrate(
    unfinished,
    MIGRATIONS.filter(({ finishes }) => !finishes),
  )
})
afterAll(async () => {
  await Promise.all([direct.close(), pooled.close(), unfinished.close()])
  await bouncer[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const problems: string[] = []
const storeOn = (postgres: Postgres) =>
  createPostgresOfflineStore({ postgres, random: Math.random, onProblem: (message, cause) => problems.push(`${message} ${cause}`) })
const emptied = async (postgres: Postgres) => {
  await direct.run(`TRUNCATE ${TABLES}`, [], LONG)
  return storeOn(postgres)
}

offlineStoreSuite('postgres, not finished', async () => {
  await unfinished.run(`TRUNCATE ${TABLES.replace('history_plain', 'feature_history')}`, [], LONG)
  return storeOn(unfinished)
})
offlineStoreSuite('postgres, plain and packed', async () => {
  await emptied(direct)
  return plainAndPacked(direct, (message, cause) => problems.push(`${message} ${cause}`))
})
offlineStoreSuite('postgres behind PgBouncer in transaction mode', () => emptied(pooled))

describe('history in PostgreSQL', () => {
  const partitionOf = async (key: string) => {
    const text =
      'SELECT relname FROM fabra.history_packed AS h JOIN pg_class AS c ON c.oid = h.tableoid WHERE entity_key = $1 ORDER BY event_timestamp'
    return (await direct.run(text, [key], LONG)).rows.map(([name]) => name)
  }

  /** So many of the others wait for a lock. */
  const waiting = (count: number) =>
    until(`${count} to wait`, 10_000, async () => {
      const { rows } = await direct.run('SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted', [], LONG)
      return Number(rows[0]?.[0]) >= count || undefined
    })

  test('rows go to the month of their event; odd times to the default partition', async () => {
    const store = await emptied(direct)
    const at = (eventAt: number, seq: number) => row({ entityKey: 'months', eventAt, createdAt: JANUARY, seq })
    await store.append([at(JANUARY, 1), at(JANUARY - 20 * DAY, 2), at(-4000 * DAY, 3), at(JANUARY + 400 * DAY, 4)])
    expect(await partitionOf('months')).toEqual([
      'history_packed_default',
      'history_packed_2025_12',
      'history_packed_2026_01',
      'history_packed_default',
    ])
    expect(problems).toEqual([])
  })

  test('a month that is made later takes its rows from the default partition', async () => {
    const store = await emptied(direct)
    const march = Date.UTC(2026, 2, 1) * 1000
    await store.append([row({ entityKey: 'later', eventAt: march, createdAt: JANUARY })])
    expect(await partitionOf('later')).toEqual(['history_packed_default'])
    await store.append([row({ entityKey: 'later', eventAt: march + 1, createdAt: march })])
    expect(await partitionOf('later')).toEqual(['history_packed_2026_03', 'history_packed_2026_03'])
  })

  test('many writers that need the same new months at once all write', async () => {
    await emptied(direct)
    const stores = Array.from({ length: 8 }, (_, i) => storeOn(i % 2 === 0 ? direct : pooled))
    const rowsOf = (writer: number) =>
      Array.from({ length: 50 }, (_, i) =>
        row({ entityKey: `w${writer}`, eventAt: JANUARY - i * 31 * DAY, createdAt: JANUARY, seq: writer * 100 + i }),
      )
    await Promise.all(stores.map((store, writer) => store.append(rowsOf(writer))))
    expect((await direct.run('SELECT count(*) FROM fabra.feature_history', [], LONG)).rows).toEqual([['400']])
    expect((await direct.run('SELECT count(*) FROM fabra.history_packed_default', [], LONG)).rows).toEqual([['0']])
    expect(problems).toEqual([])
  })

  test('rows whose commit was not heard of are stored once, though they are sent again', async () => {
    const store = await emptied(direct)
    const rows = [row({ seq: 1 }), row({ seq: 2, value: null })]
    await store.append(rows)
    await store.append(rows)
    expect((await direct.run('SELECT count(*) FROM fabra.feature_history', [], LONG)).rows).toEqual([['2']])
  })

  test('a pushed row that another process has written is told, not written again; only the last of its time counts', async () => {
    const store = await emptied(direct)
    let seq = 0
    const pushed = (value: string | null, facts: Partial<HistoryRow> = {}) => {
      seq++
      return row({ origin: 'pushed', value, availableAt: 100 + seq, seq, ...facts })
    }
    const values = async () =>
      (await direct.run("SELECT value FROM fabra.feature_history WHERE entity_key = 'u1' ORDER BY seq", [], LONG)).rows.flat()
    expect(await store.append([pushed('1'), pushed(null, { eventAt: 20 })])).toEqual([])
    // New ones, other versions and computed rows between the equal ones.
    const mixed = [
      pushed('1', { entityKey: 'u2' }),
      pushed('1'),
      pushed('1', { fingerprint: 'f2', entityKey: 'u3' }),
      pushed(null, { eventAt: 20 }),
      row({ value: '1', availableAt: 200, seq: 90 }),
    ]
    expect(await storeOn(pooled).append(mixed)).toEqual([1, 3])
    expect(await store.append(mixed.slice(0, 4))).toEqual([1, 3])
    expect(await values()).toEqual(['1', null, '1'])
    // What was corrected is no repeat, in one append either: the last accepted counts.
    expect(await store.append([pushed('1', { seq: 91, availableAt: 300 }), pushed('2', { seq: 92, availableAt: 300 })])).toEqual([0])
    expect(await store.append(['2', '1', '2'].map((value, i) => pushed(value, { seq: 93 + i, availableAt: 400 })))).toEqual([0])
    expect(await values()).toEqual(['1', null, '1', '2', '1', '2'])
    await store.forget(['spend'], { entity: 'User', entityKey: 'u1', at: 15 })
    expect(await store.append([pushed('2', { seq: 99 }), pushed(null, { eventAt: 20, seq: 100 })])).toEqual([])
  })

  test('a large push that is sent again adds nothing, by a look into the index for each row, whatever the server knows of the table', async () => {
    const { postgres, scans } = explaining(direct)
    const hot = (seq: number) =>
      Array.from({ length: 5_500 }, (_, i) =>
        row({ origin: 'pushed', eventAt: JANUARY + i, availableAt: JANUARY + seq, seq: seq + i, entityKey: 'hot', value: `${i}` }),
      )
    await emptied(direct)
    await storeOn(direct).append([row({ eventAt: JANUARY, entityKey: 'makes the month' })])
    await emptied(direct)
    const store = storeOn(postgres)
    // Counted as empty, then not counted since, then counted with many rows of one key: each had another plan.
    await direct.run('ANALYZE fabra.history_packed', [], LONG)
    expect(await store.append(hot(1))).toEqual([])
    expect(await store.append(hot(10_001))).toEqual([...hot(1).keys()])
    await direct.run('ANALYZE fabra.history_packed', [], LONG)
    expect(await store.append(hot(20_001))).toEqual([...hot(1).keys()])
    expect((await direct.run('SELECT count(*) FROM fabra.feature_history', [], LONG)).rows).toEqual([['5500']])
    // Two statements each time, and after two of them what they left out is looked for.
    expect(scans.length).toBeGreaterThanOrEqual(8)
    for (const { 'Node Type': type, 'Index Cond': condition } of scans) {
      expect(`${type}: ${condition}`).toMatch(/^Index (Only )?Scan: .*event_timestamp = /)
    }
  })

  test('equal pushed rows that come to several processes at once are written once', async () => {
    await emptied(direct)
    const keys = Array.from({ length: 200 }, (_, i) => `u${i}`)
    const answers = await Promise.all(
      [direct, pooled, direct, pooled].map((postgres, writer) => {
        const turned = writer % 2 === 0 ? keys : keys.toReversed()
        return storeOn(postgres).append(
          turned.map((entityKey, i) => row({ entityKey, origin: 'pushed', availableAt: 50 + writer, seq: writer * 1000 + i })),
        )
      }),
    )
    expect(answers.reduce((sum, repeats) => sum + repeats.length, 0)).toBe(600)
    expect((await direct.run('SELECT count(*) FROM fabra.feature_history', [], LONG)).rows).toEqual([['200']])
  })

  test('a process that has not heard of a forgotten key cannot bring it back', async () => {
    const store = await emptied(direct)
    const other = storeOn(pooled)
    const old = row({ eventAt: 20, seq: 1 })
    await other.append([old])
    expect(await store.forget(['spend', 'other'], { entity: 'User', entityKey: 'u1', at: 20 })).toBe(1)
    await other.append([
      old,
      row({ eventAt: 21, seq: 2 }),
      row({ feature: 'third', eventAt: 20, seq: 3 }),
      row({ entityKey: 'u2', seq: 4 }),
    ])
    const { rows } = await direct.run('SELECT feature, entity_key, seq FROM fabra.feature_history ORDER BY seq', [], LONG)
    expect(rows).toEqual([
      ['spend', 'u1', '2'],
      ['third', 'u1', '3'],
      ['spend', 'u2', '4'],
    ])
  })

  test('of many computed rows, which are copied, those of forgotten keys are left out as well, and the server hashes keys as their order supposes', async () => {
    const store = await emptied(direct)
    await store.forget(['spend'], { entity: 'User', entityKey: 'u7', at: 20 })
    const rows = Array.from({ length: 300 }, (_, i) => row({ entityKey: `u${i % 150}`, eventAt: i < 150 ? 20 : 21, seq: i + 1 }))
    await storeOn(pooled).append([...rows, row({ feature: 'other', entityKey: 'u7', eventAt: 20, seq: 400 })])
    const kept = await direct.run("SELECT feature, seq FROM fabra.feature_history WHERE entity_key = 'u7' ORDER BY seq", [], LONG)
    expect(kept.rows).toEqual([
      ['spend', '158'],
      ['other', '400'],
    ])
    expect((await direct.run('SELECT count(*) FROM fabra.feature_history', [], LONG)).rows).toEqual([['300']])
    const texts = ['', 'a', 'twelve bytes', 'zwölf Bytes.', '𝄞', 'u:1%2', 'x'.repeat(5_000)]
    const hashes = await direct.run('SELECT hashtext(t) FROM unnest($1::text[]) WITH ORDINALITY AS g(t, n) ORDER BY n', [texts], LONG)
    expect(hashes.rows.map(([hash]) => Number(hash))).toEqual(texts.map(hashOfText))
  })

  test('forgetting waits for rows that are just being written', async () => {
    const store = await emptied(direct)
    const isDone = { forget: false }
    await direct
      .transaction(LONG, async (holder) => {
        // The append has its rows in, and waits with its end.
        await holder.run('LOCK TABLE fabra.history_marks IN EXCLUSIVE MODE')
        const appending = storeOn(pooled).append([row({ eventAt: 10 })])
        await waiting(1)
        const forgetting = store.forget(['spend'], { entity: 'User', entityKey: 'u1', at: 10 }).then(() => {
          isDone.forget = true
        })
        await Promise.race([waiting(2), forgetting])
        expect(isDone.forget).toBe(false)
        return { appending, forgetting }
      })
      .then(({ appending, forgetting }) => Promise.all([appending, forgetting]))
    expect((await direct.run('SELECT count(*) FROM fabra.feature_history', [], LONG)).rows).toEqual([['0']])
  })

  test('forgetting and writing at once leave nothing that was to be forgotten', async () => {
    const store = await emptied(direct)
    const rowsOf = (i: number) => Array.from({ length: 200 }, (_, j) => row({ entityKey: `k${j % 5}`, eventAt: 10, seq: i * 1000 + j }))
    await Promise.all([
      ...Array.from({ length: 10 }, (_, i) => storeOn(i % 2 === 0 ? direct : pooled).append(rowsOf(i))),
      ...Array.from({ length: 5 }, (_, k) => store.forget(['spend'], { entity: 'User', entityKey: `k${k}`, at: 10 })),
    ])
    expect((await direct.run('SELECT count(*) FROM fabra.feature_history', [], LONG)).rows).toEqual([['0']])
  })

  test('the newest rows of a key are found by the index, not by reading the month', async () => {
    const store = await emptied(direct)
    const rows = Array.from({ length: 20_000 }, (_, i) =>
      row({ entityKey: `u${i % 500}`, eventAt: JANUARY + i, createdAt: JANUARY, seq: i + 1 }),
    )
    await store.append(rows)
    await direct.run('ANALYZE fabra.history_packed', [], LONG)
    const plan = await direct.run(`EXPLAIN ${latestOf('packed')}`, ['spend', 'f1', ['u7']], LONG)
    const lines = plan.rows.map(([line]) => String(line)).join('\n')
    expect(lines).toContain('Index Scan')
    expect(lines).not.toMatch(/Seq Scan|-> +Sort/)
  })

  test('a process of this version goes on while another one finishes the schema; what was plain is read, repeated and forgotten with what is packed', async () => {
    await unfinished.run(`TRUNCATE ${TABLES.replace('history_plain', 'feature_history')}`, [], LONG)
    const store = storeOn(unfinished)
    const reader = storeOn(unfinished)
    const pushed = (i: number, facts: Partial<HistoryRow> = {}) =>
      row({ entityKey: `u${i % 5}`, origin: 'pushed', eventAt: i, availableAt: i, seq: i, value: `${i}`, ...facts })
    const before = Array.from({ length: 100 }, (_, i) => pushed(i))
    await store.append(before)
    expect((await reader.latestOf('spend', 'f1', ['u1'])).map((one) => one?.value)).toEqual(['96'])

    const during = Array.from({ length: 40 }, (_, i) => pushed(100 + i))
    const appending = during.map((one) => store.append([one]))
    expect((await finishMigration(unfinished)).applied).toEqual(['packed history only'])
    expect((await Promise.all(appending)).flat()).toEqual([])
    await store.append([pushed(140, { entityKey: 'late', availableAt: 2 ** 50, createdAt: -(2 ** 40), seq: 2 ** 53 - 1 })])

    const keys = ['u0', 'u1', 'u2', 'u3', 'u4', 'late']
    for (const one of [store, reader, storeOn(unfinished)]) {
      const all = await Promise.all(
        keys.map((entityKey) => one.history({ feature: 'spend', fingerprint: 'f1', entityKey, from: null, to: null, limit: 500 })),
      )
      const found = all.flat().toSorted((a, b) => a.seq - b.seq)
      expect(found.slice(0, 140)).toEqual([...before, ...during])
      expect(found.at(-1)).toMatchObject({ entityKey: 'late', availableAt: 2 ** 50, createdAt: -(2 ** 40), seq: 2 ** 53 - 1 })
    }
    const viewed = await unfinished.run('SELECT value FROM fabra.feature_history ORDER BY seq', [], LONG)
    expect(viewed.rows.flat()).toEqual(Array.from({ length: 141 }, (_, i) => `${i}`))
    // Repeats of both kinds, and what was decided since.
    expect(await store.append([pushed(3, { seq: 201 }), pushed(139, { seq: 202 }), pushed(4, { seq: 203, value: '"new"' })])).toEqual([
      0, 1,
    ])
    const kinds = await unfinished.run(
      'SELECT (SELECT count(*) FROM fabra.history_plain) >= 100, (SELECT count(*) FROM fabra.history_packed) >= 2',
      [],
      LONG,
    )
    expect(kinds.rows).toEqual([['t', 't']])
    expect(await reader.forget(['spend'], { entity: 'User', entityKey: 'u4', at: 1_000 })).toBe(29)
    expect(await store.latestOf('spend', 'f1', ['u4'])).toEqual([undefined])
  })
})

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Cond'?: string
  readonly Plans?: readonly PlanNode[]
}

/** `scans`: how each statement of a transaction was going to read history. */
function explaining(postgres: Postgres): { readonly postgres: Postgres; readonly scans: readonly PlanNode[] } {
  const scans: PlanNode[] = []
  const collect = (node: PlanNode) => {
    if (node['Relation Name']?.startsWith('history_packed') && node['Node Type'] !== 'ModifyTable') scans.push(node)
    for (const child of node.Plans ?? []) collect(child)
  }
  const transaction: Postgres['transaction'] = (options, work) =>
    postgres.transaction(options, (statements) =>
      work({
        ...statements,
        async run(text, ...rest) {
          if (text.includes('fabra.history_packed')) {
            const { rows } = await statements.run(`EXPLAIN (FORMAT JSON) ${text}`, ...rest)
            collect((JSON.parse(rows.flat().join('')) as [{ Plan: PlanNode }])[0].Plan)
          }
          return await statements.run(text, ...rest)
        },
      }),
    )
  return { postgres: { ...postgres, transaction }, scans }
}
