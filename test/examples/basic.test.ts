import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type RunningFabra, runFabra, startFabra } from '../support/binary.ts'
import { createOracle, EXAMPLES, get, type Oracle, START_LIMIT_MS } from './oracle.ts'

const FILE = join(EXAMPLES, 'basic_features.ts')
const KEYS = ['u1', 'u2', 'u17', 'u50', 'nobody']
let fabra: RunningFabra
let oracle: Oracle

beforeAll(async () => {
  fabra = await startFabra({ file: FILE, args: ['--clock', '2026-11-22T12:34:56Z'] })
  oracle = await createOracle({ transactions: 'data/transactions.csv' })
}, START_LIMIT_MS)
afterAll(async () => {
  await fabra?.stop()
})

const COUNT = `SELECT COUNT(*)::INT FROM transactions WHERE user_id = $key AND created_at < $asOf AND created_at + INTERVAL 60 MINUTE > $asOf`
const TOTAL = `SELECT COALESCE(SUM(amount), 0)::DOUBLE FROM transactions WHERE user_id = $key AND created_at < $asOf AND created_at + INTERVAL 720 HOUR > $asOf`
const AVERAGE = `SELECT AVG(amount) FROM transactions WHERE user_id = $key AND created_at < $asOf AND created_at + INTERVAL 720 HOUR > $asOf`

describe('the basic example', () => {
  test('passes fabra check', async () => {
    const { exitCode, stdout, stderr } = await runFabra(['check', FILE])
    expect({ exitCode, said: `${stdout}${stderr}` }).toEqual({ exitCode: 0, said: expect.stringContaining('no problems') })
  })

  test('counts and sums what a plain query counts and sums', async () => {
    for (const key of KEYS) {
      const count = await get(fabra, 'transaction_count_1h', key)
      expect(count.value).toBe(await oracle.one(COUNT, { asOf: count.event_timestamp, key }))
      const velocity = await get(fabra, 'user_velocity_1h', key)
      expect(velocity.value).toBe(await oracle.one(COUNT, { asOf: velocity.event_timestamp, key }))
      const spend = await get(fabra, 'spend', key)
      const { total_30d, avg_30d } = spend.value as { total_30d: number; avg_30d: number | null }
      expect(total_30d).toBeCloseTo(Number(await oracle.one(TOTAL, { asOf: spend.event_timestamp, key })), 6)
      const average = await oracle.one(AVERAGE, { asOf: spend.event_timestamp, key })
      if (average === null) expect(avg_30d).toBeNull()
      else expect(avg_30d).toBeCloseTo(Number(average), 9)
    }
    expect((await get(fabra, 'transaction_count_1h', 'u1')).value).toBeGreaterThan(0)
  })

  test('computes the first answer and serves the second from the online store, older by then', async () => {
    const first = await get(fabra, 'transaction_count_1h', 'u3')
    expect(first).toMatchObject({ served_from: 'computed', status: 'fresh' })
    const second = await get(fabra, 'transaction_count_1h', 'u3')
    expect(second).toMatchObject({ served_from: 'online', status: 'fresh', value: first.value, event_timestamp: first.event_timestamp })
    expect(second.freshness_ms).toBeGreaterThanOrEqual(first.freshness_ms)
  })

  test('builds features on features and on inputs', async () => {
    const usual = Number((await get(fabra, 'spend.avg_30d', 'u1')).value)
    expect(usual).toBeGreaterThan(1)
    expect((await get(fabra, 'amount_vs_usual', 'u1', { amount: '500' })).value).toBeCloseTo(500 / usual, 9)
    expect((await get(fabra, 'amount_vs_usual', 'nobody', { amount: '7.5' })).value).toBe(7.5)
    const many = Number((await get(fabra, 'transaction_count_1h', 'u1')).value)
    expect((await get(fabra, 'user_segment', 'u1')).value).toBe(many > 10 ? 'power' : 'regular')
  })

  test('says that a score nobody pushed is missing', async () => {
    expect(await get(fabra, 'churn_score', 'u1')).toMatchObject({ value: null, status: 'missing', freshness_ms: null })
  })

  test('has a transaction of u1 in every hour until the end of 2027', async () => {
    const [gap] = await oracle.rows(
      `SELECT MAX(next - created_at) < INTERVAL 26 MINUTE AS short, MAX(created_at) > TIMESTAMPTZ '2028-01-01' AS long_enough
       FROM (SELECT created_at, LEAD(created_at) OVER (ORDER BY created_at) AS next FROM transactions WHERE user_id = $key)`,
      { asOf: '2026-11-22', key: 'u1' },
    )
    expect(gap).toEqual({ short: true, long_enough: true })
  })
})
