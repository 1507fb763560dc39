/** A project with one feature of each kind, and three that are ill in three ways. */
export const PROJECT_FILES = {
  'features.ts': `import { entity, feature, featureSet, source } from 'fabra'

/** Somebody who pays. */
export const User = entity('User', { key: 'user_id' })
export const Pair = entity('Pair', { key: ['user_id', 'merchant_id'] })
export const events = source('events', { timestamp: 'created_at', id: 'id', file: './events.csv' })

/** Payments so far. */
export const payments = feature({ entity: User, refresh: '5m', timeout: '60s', type: 'int', owner: 'risk', tags: ['money'],
  sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id AND created_at < NOW()' })
export const spend = feature({ entity: User, refresh: '1h', timeout: '60s', columns: { total: 'float', merchant: 'string' },
  sql: 'SELECT SUM(amount) AS total, MAX(merchant_id) AS merchant FROM events WHERE user_id = $user_id' })
export const is_new = feature({ entity: User, refresh: 0, timeout: '60s', type: 'bool' }, async (userId, { get }) => ((await get(payments)) ?? 0) < 2)
export const pair_payments = feature({ entity: Pair, refresh: '1h', timeout: '60s', type: 'int',
  sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id AND merchant_id = $merchant_id' })

/** Fails for everybody. */
export const broken = feature({ entity: User, refresh: '1s', type: 'int', max_staleness: '1m' }, async (userId) => {
  throw new Error('no such user: ' + userId)
})

/** Nobody refreshes it. */
export const forgotten = feature({ entity: User, refresh: '1s', type: 'int', max_staleness: '1h' }, async (userId) => userId.length)

/** Its pushes stop. */
export const score = feature({ entity: User, type: 'float', max_staleness: '1s' })

export const fraud_v1 = featureSet('fraud_v1', [payments, spend, is_new])
`,
  'events.csv': `id,user_id,merchant_id,amount,created_at
1,u1,m1,2.5,2026-01-01 10:00:00
2,u1,m2,3.5,2026-01-02 10:00:00
3,u1,m2,30,2026-01-03 10:00:00
4,u2,m1,12,2026-01-01 12:00:00
`,
}

/** Lines of features.ts at which the ill ones are found. */
export const BROKEN_AT = 'features.ts:19'
export const FORGOTTEN_AT = 'features.ts:23'
export const SCORE_AT = 'features.ts:26'
