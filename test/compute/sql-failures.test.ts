import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Computed } from '../../src/compute/executor.ts'
import { createSqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import { type SourceEngine, SqlError } from '../../src/store/ports/source-engine.ts'
import { type ComputeBench, type Defined, defined, openComputeBench, registryOf, shortAnswer } from '../support/compute-bench.ts'

let bench: ComputeBench
const time = '2026-01-10T12:00:00Z'
const COUNT = "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'"

beforeAll(async () => {
  bench = await openComputeBench()
  await bench.execute(
    `CREATE TABLE transactions AS SELECT 'u' || (i % 10) AS user_id, i AS n, TIMESTAMPTZ '2026-01-10 11:30:00+00' AS created_at FROM range(100) r(i)`,
  )
})
afterAll(() => bench.store.close())

/** The real store, with one of its ways of running a statement put out of order. */
async function benchWith(
  change: (store: SourceEngine) => Partial<SourceEngine>,
  sql: string,
): Promise<Defined & { explain(): string | null }> {
  const registry = registryOf({ sources: { transactions: { timestamp: 'created_at' } }, features: { f: sql } })
  const definitions = await createSqlDefinitions(registry, bench.store)
  expect(definitions.problems).toEqual([])
  const executor = createSqlExecutor({ sourceEngine: { ...bench.store, ...change(bench.store) }, definitions })
  return { ...defined(registry, definitions, executor), explain: () => executor.explain('f') }
}

const users = (count: number) => Array.from({ length: count }, (_, i) => [`u${i % 10}`, time] as const)
const failing = (kind: SqlError['kind']) => async () => {
  throw new SqlError(kind, 'SELECT secret FROM hidden', null)
}

test('an engine that refuses sets is asked row by row, and says so', async () => {
  for (const kind of ['internal', 'binding'] as const) {
    const { ask, explain } = await benchWith(() => ({ queryOver: failing(kind) }), COUNT)
    expect(await ask('f', users(20))).toEqual(users(20).map(() => '=10'))
    expect(explain()).toStartWith('row by row: ')
  }
})

test('an engine that refuses the join of a plain aggregate is asked for sets', async () => {
  let refused = 0
  const { ask, explain } = await benchWith(
    (store) => ({
      queryOver: (take, text, rows, options) => {
        if (!text.includes('__fabra_heavy')) return store.queryOver(take, text, rows, options)
        refused++
        throw new SqlError('internal', 'INTERNAL Error', null)
      },
    }),
    COUNT,
  )
  expect(new Set(await ask('f', users(5_000)))).toEqual(new Set(['=10']))
  expect(refused).toBe(1)
  expect(explain()).toBe('set-based')
})

test('a deadline is an answer for every row that it cuts off', async () => {
  const { ask, compute } = await benchWith(() => ({}), 'SELECT COUNT(*) FROM range(10000000000000) r(i) WHERE i % 7 = length($user_id)')
  // It would count for hours.
  expect(await ask('f', users(3), { timeoutMs: 200 })).toEqual(['feature_timeout', 'feature_timeout', 'feature_timeout'])
  expect(await ask('f', users(1), { timeoutMs: 200 })).toEqual(['feature_timeout'])
  const [answer] = await compute('f', users(1), { signal: AbortSignal.abort() })
  expect(shortAnswer(answer as Computed)).toBe('feature_timeout')
})

test('an engine that is gone fails the call, for the caller to try again', async () => {
  const { ask } = await benchWith(() => ({ query: failing('unavailable'), queryOver: failing('unavailable') }), COUNT)
  await expect(ask('f', users(1))).rejects.toMatchObject({ code: 'store_unavailable' })
  await expect(ask('f', users(2))).rejects.toMatchObject({ code: 'store_unavailable' })
})

test('what an engine says stays out of what clients read', async () => {
  const { compute } = await benchWith(() => ({ query: failing('runtime') }), COUNT)
  const [answer] = await compute('f', users(1))
  expect(answer?.kind === 'error' && `${answer.error.message} ${answer.error.hint}`).not.toContain('secret')
  expect(answer?.kind === 'error' && answer.error.cause).toBeInstanceOf(SqlError)
})

test('one poisoned row of thousands is found without running them all alone', async () => {
  let statements = 0
  const counted = (store: SourceEngine): Partial<SourceEngine> => ({
    query: (...call) => {
      statements++
      return store.query(...call)
    },
    queryOver: (...call) => {
      statements++
      return store.queryOver(...call)
    },
  })
  const { ask } = await benchWith(counted, 'SELECT CAST($user_id AS INTEGER) + COUNT(*) FROM transactions')
  const rows = Array.from({ length: 4_000 }, (_, i) => [i === 3_333 ? 'poison' : String(i), time] as const)
  expect(await ask('f', rows)).toEqual(rows.map(([key]) => (key === 'poison' ? 'invalid_key' : `=${Number(key) + 100}`)))
  expect(statements).toBeLessThan(60)
})

test('rows that all fail are told so in bounded time', async () => {
  let statements = 0
  const { ask } = await benchWith(
    (store) => ({
      query: (...call) => {
        statements++
        return store.query(...call)
      },
      queryOver: failing('runtime'),
    }),
    "SELECT CAST('x' || $user_id AS INTEGER)",
  )
  expect(new Set(await ask('f', users(20_000)))).toEqual(new Set(['feature_failed']))
  expect(statements).toBeLessThan(4_000)
})

test('a query that is slow as a set is run row by row after a trial, with the same answers', async () => {
  let sets = 0
  const slow = (store: SourceEngine): Partial<SourceEngine> => ({
    queryOver: async () => {
      sets++
      throw new SqlError('timeout', 'took too long', null)
    },
    query: store.query,
  })
  const { ask, explain } = await benchWith(slow, 'SELECT len(LIST(DISTINCT n)) FROM transactions WHERE user_id = $user_id')
  expect(new Set(await ask('f', users(300)))).toEqual(new Set(['=10']))
  expect(sets).toBe(1)
  expect(explain()).toContain('took too long')
})
