import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type RunningFabra, startFabra } from '../support/binary.ts'
import { createOracle, EXAMPLES, get, type Oracle, START_LIMIT_MS } from './oracle.ts'

const CLOCK = ['--clock', '2026-12-24T18:00:00Z']

function serve(name: string): { fabra: () => RunningFabra } {
  let running: RunningFabra | undefined
  beforeAll(async () => {
    running = await startFabra({ file: join(EXAMPLES, name), args: CLOCK })
  }, START_LIMIT_MS)
  afterAll(async () => {
    await running?.stop()
  })
  return {
    fabra: () => {
      if (!running) throw new Error('The server did not start.')
      return running
    },
  }
}

describe('fraud detection', () => {
  const { fabra } = serve('fraud_detection.ts')
  let oracle: Oracle
  beforeAll(async () => {
    oracle = await createOracle({ transactions: 'data/transactions.csv' })
  }, START_LIMIT_MS)

  test('knows velocity, usual amount and merchants of a user', async () => {
    for (const key of ['u1', 'u9', 'u44']) {
      const velocity = await get(fabra(), 'user_velocity_1h', key)
      expect(velocity.value).toBe(
        await oracle.one(
          'SELECT COUNT(*)::INT FROM transactions WHERE user_id = $key AND created_at < $asOf AND created_at + INTERVAL 1 HOUR > $asOf',
          {
            asOf: velocity.event_timestamp,
            key,
          },
        ),
      )
      const usual = await get(fabra(), 'avg_transaction_amount', key)
      expect(Number(usual.value)).toBeCloseTo(
        Number(
          await oracle.one(
            'SELECT AVG(amount) FROM transactions WHERE user_id = $key AND created_at < $asOf AND created_at + INTERVAL 720 HOUR > $asOf',
            {
              asOf: usual.event_timestamp,
              key,
            },
          ),
        ),
        9,
      )
      expect((await get(fabra(), 'amount_ratio', key, { amount: '1000' })).value).toBeCloseTo(1000 / Math.max(1, Number(usual.value)), 9)
      const merchants = await get(fabra(), 'distinct_merchants_24h', key)
      const seen = await oracle.rows(
        'SELECT DISTINCT merchant_id FROM transactions WHERE user_id = $key AND created_at < $asOf AND created_at + INTERVAL 24 HOUR > $asOf',
        { asOf: merchants.event_timestamp, key },
      )
      expect(merchants.value).toBe(seen.length)
    }
    expect((await get(fabra(), 'user_velocity_1h', 'u1')).value).toBeGreaterThan(0)
  })

  test('knows merchants too', async () => {
    const day = await get(fabra(), 'merchant_day', 'm1')
    const [truth] = await oracle.rows(
      'SELECT COUNT(*)::INT AS payments, MAX(amount) AS largest FROM transactions WHERE merchant_id = $key AND created_at < $asOf AND created_at + INTERVAL 24 HOUR > $asOf',
      { asOf: day.event_timestamp, key: 'm1' },
    )
    expect(day.value).toEqual(truth)
    expect(truth?.['payments']).toBeGreaterThan(0)
  })
})

describe('recommendations', () => {
  const { fabra } = serve('recommendations.ts')
  let oracle: Oracle
  beforeAll(async () => {
    oracle = await createOracle({ purchases: 'data/purchases.jsonl' })
  }, START_LIMIT_MS)

  test('lists the latest categories, newest first', async () => {
    for (const key of ['u1', 'u5', 'nobody']) {
      const recent = await get(fabra(), 'recent_categories', key)
      const rows = await oracle.rows(
        'SELECT category FROM purchases WHERE user_id = $key AND seen_at < $asOf AND seen_at + INTERVAL 720 HOUR > $asOf ORDER BY seen_at DESC, category',
        { asOf: recent.event_timestamp, key },
      )
      expect(recent.value).toEqual([...new Set(rows.map((row) => row['category']))].slice(0, 5))
    }
    expect((await get(fabra(), 'recent_categories', 'u1')).value).toHaveLength(5)
  })

  test('shares out what was spent, and the best category leads', async () => {
    const { value } = await get(fabra(), 'purchase_affinity', 'u1')
    const affinity = value as Record<string, number>
    expect(Object.values(affinity).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9)
    const [best] = Object.entries(affinity).sort(([, a], [, b]) => b - a)
    expect((await get(fabra(), 'top_category', 'u1')).value).toBe(best?.[0])
    expect((await get(fabra(), 'purchase_affinity', 'nobody')).value).toEqual({})
    expect((await get(fabra(), 'top_category', 'nobody')).value).toBe('bestsellers')
  })
})

describe('personalization', () => {
  const { fabra } = serve('personalization.ts')
  let oracle: Oracle
  beforeAll(async () => {
    oracle = await createOracle({ page_views: 'data/page_views.parquet' })
  }, START_LIMIT_MS)

  test('knows who is here, what they saw and what kind of visitor they are', async () => {
    expect((await get(fabra(), 'active_session', 'u1')).value).toBe(true)
    expect((await get(fabra(), 'active_session', 'nobody')).value).toBe(false)
    for (const [key, segment] of Object.entries({ u1: 'loyal', u2: 'casual', nobody: 'new' })) {
      const visits = await get(fabra(), 'visits', key)
      const [truth] = await oracle.rows(
        `SELECT COUNT(*)::INT AS views_7d, COUNT(DISTINCT page)::INT AS pages_7d, STRFTIME(MAX(viewed_at), '%Y-%m-%dT%H:%M:%SZ') AS last_seen
         FROM page_views WHERE user_id = $key AND viewed_at < $asOf AND viewed_at + INTERVAL 168 HOUR > $asOf`,
        { asOf: visits.event_timestamp, key },
      )
      expect(visits.value).toEqual(truth)
      expect((await get(fabra(), 'user_segment', key)).value).toBe(segment)
    }
  })

  test('a score that nobody pushed is missing', async () => {
    expect(await get(fabra(), 'churn_score', 'u1')).toMatchObject({ value: null, status: 'missing' })
  })
})
