import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type ComputeBench, openComputeBench } from '../support/compute-bench.ts'

let bench: ComputeBench
const noon = '2026-01-10T12:00:00Z'

beforeAll(async () => {
  bench = await openComputeBench()
  await bench.execute(`
    CREATE TABLE transactions (user_id VARCHAR, amount DECIMAL(18, 2), category VARCHAR, created_at TIMESTAMPTZ);
    INSERT INTO transactions VALUES
      ('a', 10.50, 'food', '2026-01-10 11:30:00+00'), ('a', 20.00, 'fuel', '2026-01-10 11:59:59.999999+00'), ('a', 99.00, 'food', '2026-01-10 12:00:00+00'),
      ('a', 1.25, 'food', '2026-01-09 12:00:00+00'), ('b', 7.00, 'toys', '2026-01-10 11:00:00.000001+00'), ('b', 8.00, NULL, NULL), ('b', 9.00, 'toys', '2030-01-01 00:00:00+00')`)
})

afterAll(() => bench.store.close())

const sources = { transactions: { timestamp: 'created_at' } }

describe('one query, three ways', () => {
  test('a count sees only what was there before its time, set-based and row by row alike', async () => {
    const { definitions, ask } = await bench.define({
      sources,
      features: { n: "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'" },
    })
    expect(definitions.problems).toEqual([])
    expect(definitions.registry.features.get('n')?.columns).toEqual([{ name: null, type: 'int' }])
    expect(await ask('n', [['a', noon]])).toEqual(['=2'])
    expect(
      await ask('n', [
        ['a', noon],
        ['b', noon],
        ['nobody', noon],
        ['a', '2026-01-10T12:00:00.000001Z'],
        ['a', noon],
      ]),
    ).toEqual(['=2', '=1', '=0', '=3', '=2'])
  })

  test('no row is missing, a null is a value, two rows are an error, and they stay apart in one batch', async () => {
    const { ask } = await bench.define({
      sources,
      features: { c: 'SELECT category FROM transactions WHERE user_id = $user_id AND amount < 20' },
    })
    const rows = [
      ['a', '2026-01-10T11:30:00Z'],
      ['b', noon],
      ['nobody', noon],
      ['a', noon],
    ] as const
    expect(await ask('c', rows)).toEqual(['="food"', '="toys"', 'missing', 'not_one_row'])
    for (const [i, row] of rows.entries()) expect(await ask('c', [row])).toEqual([(await ask('c', rows))[i] ?? ''])
  })

  test('a row that fails does not fail its neighbours', async () => {
    const { ask } = await bench.define({ sources, features: { v: 'SELECT CAST($user_id AS INTEGER) AS v' } })
    const rows = Array.from({ length: 50 }, (_, i) => [i === 17 ? 'x' : String(i), noon] as const)
    expect(await ask('v', rows)).toEqual(rows.map(([key]) => (key === 'x' ? 'invalid_key' : `=${key}`)))
  })
})

describe('a long list of rows', () => {
  const odd = ["o'neil", '"quoted"', 'back\\slash', 'new\nline', '日本 🦆', '[1,2]', 'null', ' space ', '%_', '\u0001', '\u2028']

  test('keeps every key and time exact', async () => {
    const rows = Array.from({ length: 25_000 }, (_, i) => [`${odd[i % odd.length]}${i}`, 1_768_046_400_000_000 + i * 1_000_003] as const)
    const features = { f: { sql: 'SELECT $user_id AS k, EPOCH_US(NOW()) AS t', columns: { k: 'string', t: 'int' } } } as const
    const { ask } = await bench.define({ sources, features })
    expect(await ask('f', rows)).toEqual(rows.map(([key, time]) => `=${JSON.stringify(key)} ${time}`))
  })

  test('of composite keys of all types', async () => {
    const uuid = (i: number) => `6f1e1a5e-0000-4000-8000-${String(i).padStart(12, '0')}`
    const rows = Array.from(
      { length: 100 },
      (_, i) => [[String(9223372036854775807n - BigInt(i)), uuid(i), odd[i % odd.length]], noon] as const,
    )
    const features = { f: { sql: 'SELECT $n AS n, $u AS u, $s AS s', columns: { n: 'int', u: 'string', s: 'string' } } } as const
    const { ask } = await bench.define({ key: { n: 'int', u: 'uuid', s: 'string' }, features })
    expect(await ask('f', rows)).toEqual(rows.map(([[n, u, s]]) => `=${n} ${JSON.stringify(u)} ${JSON.stringify(s)}`))
  })
})
