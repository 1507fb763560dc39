import { afterEach, expect, test } from 'bun:test'
import { type Bench, openBench, type WrittenBench } from '../support/bench.ts'

let bench: Bench
afterEach(() => bench.close())

/** A feature whose value is the time it was given, read for so many keys at once. */
async function timesGiven(written: WrittenBench['features'][string], rowCount: number): Promise<unknown[]> {
  bench = await openBench({ features: { f: written }, requestTimeoutMs: 1_000 })
  bench.programme.set('f', (call) => call.timeoutMs)
  const rows = Array.from({ length: rowCount }, (_, i) => ({ user_id: `u${i}` }))
  return (await bench.readRows(['f'], rows)).map(([served]) => served?.value)
}

for (const refresh of ['5m', 0] as const) {
  for (const [rows, given] of [
    [1, 1_000],
    [2, 1_020],
    [300, 6_980],
    [1_000, 10_000],
  ] as const) {
    test(`${rows} cold rows of a feature with refresh ${refresh} have ${given} ms`, async () => {
      expect([...new Set(await timesGiven({ refresh }, rows))]).toEqual([given])
    })
  }
}

test('a longer timeout of a feature stays, a shorter one grows with the rows as well', async () => {
  expect(await timesGiven({ refresh: '5m', timeout: '30s' }, 2)).toEqual([30_000, 30_000])
  await bench.close()
  expect((await timesGiven({ refresh: '5m', timeout: '200ms' }, 101))[0]).toBe(2_200)
})

test('what a function of a batch asks for has the time that is left to the function', async () => {
  bench = await openBench({ features: { f: { refresh: 0 }, part: { refresh: '5m' } }, requestTimeoutMs: 1_000 })
  bench.programme.set('part', (call) => call.timeoutMs)
  bench.programme.set('f', (call) => call.get('part'))
  const rows = Array.from({ length: 101 }, (_, i) => ({ user_id: `u${i}` }))
  expect((await bench.readRows(['f'], rows)).map(([served]) => served?.value)).toEqual(rows.map(() => 3_000))
  expect((await bench.read('f', 'u200')).value).toBe(1_000)
})
