/** Functions computed for times past: they see through `db`, `get` and `asOf` what was there then, and nothing later. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Computed } from '../../src/compute/executor.ts'
import { type PastBench, type PastRow, pastBench } from '../support/past-bench.ts'

interface Transaction {
  readonly user: string
  readonly amount: number
  readonly at: string
}

const transactions: readonly Transaction[] = [
  { user: 'u1', amount: 10, at: '2026-01-01T10:00:00.000000Z' },
  { user: 'u1', amount: 30, at: '2026-01-20T10:00:00.000001Z' },
  { user: 'u1', amount: 500, at: '2026-02-10T10:00:00.000000Z' },
  { user: 'u1', amount: 70, at: '2026-02-10T10:00:00.000000Z' },
  { user: 'u2', amount: 8, at: '2026-01-15T00:00:00.123456Z' },
]

const FILE = `import { db, entity, feature, source } from 'fabra'
import { viaImport } from './deep.ts'
export const User = entity('User', { key: 'user_id' })
export const Pair = entity('Pair', { key: { user_id: 'string', merchant_id: 'int' } })
export const transactions = source('transactions', { timestamp: 'created_at', file: './transactions.csv' })
export const notes = source('notes', { columns: { user_id: 'VARCHAR' } })

export const spend = feature({
  entity: User, refresh: { minutes: 5 }, columns: { total_30d: 'float', avg_30d: 'float' },
  sql: \`SELECT COALESCE(SUM(amount), 0) AS total_30d, AVG(amount) AS avg_30d FROM transactions
        WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '30 days'\`,
})
export const amount_vs_usual = feature({ entity: User, refresh: 0, type: 'float', inputs: { amount: 'float' } },
  async (userId, { get, inputs }) => inputs.amount / Math.max(1, (await get<number>('spend.avg_30d')) ?? 0))
const count = (name: string, read: (db: any, id: string) => Promise<unknown>) =>
  feature({ entity: User, name, refresh: 0, type: 'json' }, (id, context) => read(context.db, id))
export const dollar = count('dollar', (db, id) => db.fetchval('SELECT COUNT(*) FROM transactions WHERE user_id = $1', id))
export const mark = count('mark', (db, id) => db.fetchval('SELECT COUNT(*) FROM transactions WHERE user_id = ?', id))
export const percent = count('percent', (db, id) => db.fetchval("SELECT COUNT(*) FROM transactions WHERE user_id LIKE %s AND user_id NOT LIKE '%s'", id))
export const twice = count('twice', (db, id) => db.fetchval('SELECT COUNT(*) + $2 FROM transactions WHERE user_id = $1 OR user_id = $1', id, 100))
export const window = count('window', (db, id) => db.query(
  "SELECT COUNT(*) AS n, MAX(created_at) AS last, NOW() AS at FROM transactions WHERE user_id = $1 AND created_at > NOW() - INTERVAL '10 days'", id))
export const sub = count('sub', (db, id) => db.fetchval(
  'SELECT (SELECT COUNT(*) FROM transactions) - (SELECT COUNT(*) FROM main.transactions t WHERE t.user_id = $1)', id))
export const imported = feature({ entity: User, refresh: 0, type: 'int' }, (id) => viaImport(id))
export const importedLate = feature({ entity: User, name: 'imported_late', refresh: 0, type: 'int' }, async (id) => {
  await new Promise((resolve) => setTimeout(resolve, 1))
  return db.fetchval('SELECT COUNT(*) FROM transactions WHERE user_id = $1', id)
})
const waiting: ((value: unknown) => void)[] = []
setInterval(() => {
  for (const resolve of waiting.splice(0)) resolve(db.fetchval('SELECT COUNT(*) FROM transactions').then(() => 'read the present', (error) => 'threw'))
}, 1)
export const lost = feature({ entity: User, refresh: 0, type: 'string' }, () => new Promise<string>((resolve) => waiting.push(resolve as never)))
export const lostAndNotCaught = feature({ entity: User, name: 'lost_and_thrown', refresh: 0, type: 'int' }, () =>
  new Promise<number>((resolve, reject) => { orphans.push(() => { db.fetchval('SELECT COUNT(*) FROM transactions').then(resolve as never, reject) }) }))
const orphans: (() => void)[] = []
setInterval(() => { for (const orphan of orphans.splice(0)) orphan() }, 1)
export const present = feature({ entity: User, refresh: 0, type: 'json' }, (id, { asOf }) => [asOf.toISOString(), new Date(Date.now()).toISOString().slice(0, 10)])
export const timeless = feature({ entity: User, refresh: 0, type: 'json' }, (id, { db }) => db.fetchval('SELECT COUNT(*) FROM notes'))
export const volatile = feature({ entity: User, refresh: 0, type: 'json' }, (id, { db }) => db.fetchval('SELECT random()'))
export const churn_score = feature({ entity: User, type: 'float', max_staleness: '7d' })
export const usual = feature({ entity: User, type: 'float', default: 5 })
export const daily = feature({ entity: User, refresh: '1d', type: 'int' }, () => 1)
export const parts = feature({ entity: User, refresh: 0, type: 'json' }, async (id, { get }) => [await get('churn_score'), await get('usual'), await get('daily')])
export const of_pair = feature({ entity: Pair, refresh: 0, type: 'json' }, async (key, { get }) => [await get('dollar'), await get('spend')])
export const of_user = feature({ entity: User, refresh: 0, type: 'json' }, (id, { get }) => get('of_pair'))
export const a = feature({ entity: User, refresh: 0, type: 'int' }, (id, { get }) => get('b') as Promise<number>)
export const b = feature({ entity: User, refresh: 0, type: 'int' }, async (id, { get }) => ((await get('c')) as number) + 1)
export const c = feature({ entity: User, refresh: 0, type: 'int' }, (id, { get }) => get('a') as Promise<number>)
export const self = feature({ entity: User, refresh: 0, type: 'int' }, (id, { get }) => get('self') as Promise<number>)
export const deep = feature({ entity: User, refresh: 0, type: 'float' }, async (id, { get }) => ((await get('deeper')) as number) + 1)
export const deeper = feature({ entity: User, refresh: 0, type: 'float' }, async (id, { get }) => (await get<number>('spend.total_30d')) ?? 0)
`

let bench: PastBench
beforeAll(async () => {
  const rows = transactions.map(({ user, amount, at }) => `${user},${amount},${at}`)
  bench = await pastBench({
    'features.ts': FILE,
    'deep.ts': `import { db } from 'fabra'\nexport const viaImport = async (id) => db.fetchval('SELECT COUNT(*) FROM transactions WHERE user_id = %s', id)\n`,
    'transactions.csv': `user_id,amount,created_at\n${rows.join('\n')}\n`,
  })
})
afterAll(() => bench[Symbol.asyncDispose]())

/** As-of times: long before, at events, a microsecond on either side, between, long after. */
const times = [
  '2025-01-01T00:00:00Z',
  ...transactions.flatMap(({ at }) => [
    at,
    shifted(at, 1),
    shifted(at, -1),
    shifted(at, 30 * 86_400_000_000),
    shifted(at, 30 * 86_400_000_000 + 1),
  ]),
  '2026-02-05T00:00:00Z',
]

function micros(at: string): number {
  return Date.parse(`${at.slice(0, 19)}Z`) * 1000 + Number(at.slice(20, 26).replace('Z', '') || 0)
}
function shifted(at: string, by: number): string {
  const to = micros(at) + by
  const seconds = Math.floor(to / 1e6)
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(to - seconds * 1e6).padStart(6, '0')}Z`
}
function seen(user: string, asOf: string, days = Number.POSITIVE_INFINITY): Transaction[] {
  const t = micros(asOf)
  return transactions.filter(({ user: own, at }) => own === user && micros(at) < t && micros(at) > t - days * 86_400_000_000)
}
function values(answers: readonly Computed[]): unknown[] {
  return answers.map((answer) => {
    if (answer.kind === 'error') return `${answer.error.code}: ${answer.error.message}`
    return answer.kind === 'missing' ? undefined : JSON.parse(answer.texts[0] ?? '')
  })
}
const everywhere = (inputs?: Readonly<Record<string, unknown>>): PastRow[] =>
  times.flatMap((time) => ['u1', 'u2', 'nobody'].map((user): PastRow => [user, time, inputs]))

describe('in the past', () => {
  test('amount_vs_usual divides by the average of that time, in one batch of many times', async () => {
    const rows = everywhere({ amount: 120 })
    const wanted = rows.map(([user, time]) => {
      const amounts = seen(String(user), String(time), 30).map(({ amount }) => amount)
      return 120 / Math.max(1, amounts.length === 0 ? 0 : amounts.reduce((total, amount) => total + amount, 0) / amounts.length)
    })
    expect(values(await bench.ask('amount_vs_usual', rows))).toEqual(wanted)
    expect(new Set(wanted).size).toBeGreaterThan(5)
  })

  test.each(['dollar', 'mark', 'percent', 'imported', 'imported_late'])('db counts what was there: %s', async (name) => {
    const rows = everywhere()
    expect(values(await bench.ask(name, rows))).toEqual(rows.map(([user, time]) => seen(String(user), String(time)).length))
  })

  test('one value may stand in several places, beside others', async () => {
    expect(values(await bench.ask('twice', [['u1', '2026-02-01T00:00:00Z']]))).toEqual([102])
  })

  test('the present of a query is the time asked for', async () => {
    expect(values(await bench.ask('window', [['u1', '2026-01-25T00:00:00.000007Z']]))).toEqual([
      [{ n: 1, last: '2026-01-20T10:00:00.000001Z', at: '2026-01-25T00:00:00.000007Z' }],
    ])
  })

  test('every table of a query is held back, in subqueries too', async () => {
    const rows = everywhere()
    const all = (time: string) => ['u1', 'u2'].reduce((total, user) => total + seen(user, time).length, 0)
    expect(values(await bench.ask('sub', rows))).toEqual(
      rows.map(([user, time]) => all(String(time)) - seen(String(user), String(time)).length),
    )
  })

  test('asOf is the time asked for, and the clock of the machine says the same', async () => {
    expect(values(await bench.ask('present', [['u1', '2026-01-25T00:00:00.123456Z']]))).toEqual([
      ['2026-01-25T00:00:00.123Z', '2026-01-25'],
    ])
  })

  test('a db that lost its context throws and never reads the present', async () => {
    expect(values(await bench.ask('lost', [['u1', '2026-01-25T00:00:00Z']]))).toEqual(['threw'])
    expect(String(values(await bench.ask('lost_and_thrown', [['u1', '2026-01-25T00:00:00Z']])))).toStartWith('feature_failed')
  })

  test.each(['timeless', 'volatile'])('what has no past is refused, not answered with today: %s', async (name) => {
    expect(String(values(await bench.ask(name, [['u1', '2026-01-25T00:00:00Z']])))).toStartWith('feature_failed')
  })
})

describe('get() in the past', () => {
  test('goes down through derived features to queries of that time', async () => {
    const rows = everywhere()
    const wanted = rows.map(([user, time]) => seen(String(user), String(time), 30).reduce((total, { amount }) => total + amount, 1))
    expect(values(await bench.ask('deep', rows))).toEqual(wanted)
  })

  test('reads parts of another entity by the columns both have', async () => {
    const answers = await bench.ask('of_pair', [[['u1', 7], '2026-01-25T00:00:00Z']])
    expect(values(answers)).toEqual([[2, { total_30d: 40, avg_30d: 20 }]])
    expect(String(values(await bench.ask('of_user', [['u1', '2026-01-25T00:00:00Z']])))).toMatch(/feature_failed.*merchant_id/)
  })

  test('names the whole cycle', async () => {
    const at = '2026-01-25T00:00:00Z'
    expect(String(values(await bench.ask('a', [['u1', at]])))).toContain('a → b → c → a')
    expect(String(values(await bench.ask('self', [['u1', at]])))).toContain('self → self')
    expect(String(values(await bench.ask('b', [['u1', at]], { mode: 'present' })))).toContain('b → c → a → b')
  })

  test('gives what was known then, though hundreds of corrections came later', async () => {
    await bench.push('churn_score', ['p3'], { text: '0.25', eventAt: '2026-03-01T00:00:00Z' })
    const late = { eventAt: '2026-03-02T00:00:00Z', availableAt: '2026-03-20T00:00:00Z' }
    for (let i = 0; i < 150; i++) await bench.push('churn_score', ['p3'], { text: '0.75', ...late })
    expect(values(await bench.ask('parts', [['p3', '2026-03-03T00:00:00Z']]))).toEqual([[0.25, 5, null]])
  })

  test('gives of what was pushed the newest that was known then, else the default, else null', async () => {
    await bench.push('churn_score', ['p1'], { text: '0.25', eventAt: '2026-03-01T00:00:00Z' })
    await bench.push('churn_score', ['p1'], { text: '0.5', eventAt: '2026-03-03T00:00:00Z', availableAt: '2026-03-04T00:00:00Z' })
    await bench.push('usual', ['p1'], { text: '9', eventAt: '2026-03-02T00:00:00Z' })
    const at = (times: readonly string[]) =>
      bench
        .ask(
          'parts',
          times.map((time): PastRow => ['p1', time]),
        )
        .then(values)
    expect(await at(['2026-02-28T23:59:59.999999Z', '2026-03-01T00:00:00Z', '2026-03-03T12:00:00Z', '2026-03-04T00:00:00Z'])).toEqual([
      [null, 5, null],
      [0.25, 5, null],
      [0.25, 9, null],
      [0.5, 9, null],
    ])
  })

  test('gives nothing that would have been too old to serve then', async () => {
    await bench.push('churn_score', ['p2'], { text: '0.25', eventAt: '2026-03-01T00:00:00Z' })
    const rows: PastRow[] = ['2026-03-08T00:00:00Z', '2026-03-08T00:00:00.000001Z'].map((time) => ['p2', time])
    expect(values(await bench.ask('parts', rows))).toEqual([
      [0.25, 5, null],
      [null, 5, null],
    ])
  })
})

test('what is served now equals what is computed as of the same time', async () => {
  const plan = bench.serving.planOne('dollar')
  const entity = bench.registry.entities.get('User')
  if (!entity) throw new Error('No entity.')
  const { entityKey } = await import('../../src/definition/entity-key.ts')
  const [result] = await bench.serving.engine.read(plan, [{ keys: [entityKey(entity, ['u1'])], inputs: undefined }], { maxAge: null })
  const [again] = await bench.ask('dollar', [['u1', result?.sources[0]?.eventAt ?? 0]])
  expect(again).toMatchObject({ kind: 'value', texts: [result?.values[0] ?? 'nothing'] })
})

test('what has left history is refused, and never told from what is left of it', async () => {
  await bench.push('churn_score', ['p4'], { text: '0.25', eventAt: '2026-03-01T00:00:00Z' })
  await bench.push('churn_score', ['p4'], { text: '0.5', eventAt: '2026-03-03T00:00:00Z' })
  const before = Date.UTC(2026, 5, 2) * 1000
  expect((await bench.removal.removeLot({ feature: 'churn_score', before, origins: ['pushed'] }, { after: null })).removed).toBeGreaterThan(
    0,
  )
  const [gone, kept] = await bench.ask('parts', [
    ['p4', '2026-03-02T00:00:00Z'],
    ['p4', '2026-06-02T00:00:00Z'],
  ])
  expect(gone?.kind === 'error' ? gone.error.message : gone).toContain(
    '"churn_score" was asked for as of 2026-03-02T00:00:00Z, but what it held before',
  )
  expect(kept).toMatchObject({ kind: 'value' })
})
