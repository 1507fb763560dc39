/** What a function that blocks its thread costs the others on it: no wait for its end, and no second run that need not be. */
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { until } from '../support/until.ts'
import { answered, type Bench, bench, errorOf, HEAD } from './project.ts'

const fn = (name: string, code: string) => `export const ${name} = feature({ entity: User, refresh: 0, type: 'int' }, ${code})\n`

/** Each run of a counted function leaves a line: its name and key. `long` runs until there is a file go.txt. */
const FILES = {
  'runs.txt': '',
  'features.ts': `import { appendFileSync, existsSync } from 'node:fs'
    ${HEAD}
    const ran = (name, key) => appendFileSync(new URL('./runs.txt', import.meta.url), name + ' ' + key + '\\n')
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
    ${fn('long', `async (id) => { ran('long', id); while (!existsSync(new URL('./go.txt', import.meta.url))) await wait(20); return 1 }`)}
    ${fn('short', `async (id) => { ran('short', id); await wait(60); return 1 }`)}
    ${fn('quick', `(id) => { ran('quick', id); return id.length }`)}
    ${fn('spin', `(id) => { ran('spin', id); while (true) {} }`)}
    ${fn('nap', `(id) => { ran('nap', id); Bun.sleepSync(2500); return 1 }`)}
    ${fn('spin_too', '() => { while (true) {} }')}
    ${fn('hang', `(id) => { ran('hang', id); return new Promise(() => {}) }`)}`,
}

const runsOf = (on: Bench, name: string): string[] =>
  readFileSync(on.project.path('runs.txt'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${name} `))
const running = (on: Bench, name: string, count = 1) =>
  until(`${name} to run`, 10_000, async () => (runsOf(on, name).length >= count ? true : undefined))

/** Long enough for it to count as one that has run for long. */
async function hasRunLong(on: Bench): Promise<void> {
  await running(on, 'long')
  const at = performance.now()
  await until('it to have run for long', 5_000, async () => (performance.now() > at + 400 ? true : undefined))
}

describe('a call that has run for long', () => {
  test('runs once when another blocks its thread for a while', async () => {
    await using on = await bench(FILES, { workers: 1 })
    const long = on.ask('long', ['u1'], { timeoutMs: 50_000 })
    await hasRunLong(on)
    // Its caller has gone before it is done.
    expect(errorOf(await on.ask('nap', ['u2'], { timeoutMs: 300 })).code).toBe('feature_timeout')
    on.project.write({ 'go.txt': '' })
    expect(answered(await long)).toBe(1)
    expect(runsOf(on, 'long')).toEqual(['long u1'])
  })

  test('runs twice, one after the other, and is answered when another blocks its thread for good', async () => {
    await using on = await bench(FILES, { workers: 1 })
    // Half of it is left to the blocked thread.
    const long = on.ask('long', ['u1'], { timeoutMs: 20_000 })
    await hasRunLong(on)
    expect(errorOf(await on.ask('spin', ['u2'], { timeoutMs: 300 })).code).toBe('feature_timeout')
    // Those that come now do not wait for what becomes of it.
    expect(answered(await on.ask('quick', ['abc']))).toBe(3)
    expect(runsOf(on, 'long').length).toBe(1)
    on.project.write({ 'go.txt': '' })
    expect(answered(await long)).toBe(1)
    expect(runsOf(on, 'long').length).toBe(2)
  })
})

test('a call whose threads were blocked twice is not run a third time: its error says so', async () => {
  await using on = await bench(FILES, { workers: 1 })
  const hang = on.ask('hang', ['u1'], { timeoutMs: 50_000 })
  await running(on, 'hang')
  // Two features, since one would run apart by then.
  expect(errorOf(await on.ask('spin', ['u2'], { timeoutMs: 1_000 })).code).toBe('feature_timeout')
  await running(on, 'hang', 2)
  expect(errorOf(await on.ask('spin_too', ['u2'], { timeoutMs: 1_000 })).code).toBe('feature_timeout')
  const { code, message } = errorOf(await hang)
  expect([code, message]).toEqual(['feature_failed', expect.stringContaining('not run a third time')])
  expect(runsOf(on, 'hang').length).toBe(2)
})

test('calls that wait behind one that blocks are moved, and run once each', async () => {
  await using on = await bench(FILES, { workers: 1 })
  const keys = Array.from({ length: 200 }, (_, i) => [`k${i}`])
  const gone = new AbortController()
  const spinning = on.ask('spin', ['u1'], { timeoutMs: 50_000, signal: gone.signal })
  const behind = on.askMany('quick', keys, { timeoutMs: 40_000 })
  expect((await behind).every((one) => one.kind === 'value')).toBe(true)
  expect(runsOf(on, 'quick').toSorted()).toEqual(keys.map(([key]) => `quick ${key}`).toSorted())
  gone.abort()
  await spinning
  expect(runsOf(on, 'spin')).toEqual(['spin u1'])
})

test('a short call that has begun is run once more, not twice more, and answered before the one that blocks', async () => {
  await using on = await bench(FILES, { workers: 1 })
  const gone = new AbortController()
  let isSpinning = true
  const short = on.ask('short', ['u1'], { timeoutMs: 50_000 })
  const spinning = on.ask('spin', ['u2'], { timeoutMs: 50_000, signal: gone.signal }).finally(() => {
    isSpinning = false
  })
  expect(answered(await short)).toBe(1)
  expect(isSpinning).toBe(true)
  gone.abort()
  await spinning
  expect(runsOf(on, 'short').length).toBeLessThanOrEqual(2)
})

for (const count of [100, 400]) {
  test(`beside ${count} calls that block, others are answered before any of those is given up`, async () => {
    await using on = await bench(FILES, { workers: 2 })
    const gone = new AbortController()
    let given = 0
    const blocked = Array.from({ length: count }, (_, i) =>
      on.ask('spin', [`b${i}`], { timeoutMs: 50_000, signal: gone.signal }).finally(() => {
        given += 1
      }),
    )
    const keys = Array.from({ length: 50 }, (_, i) => [`k${i}`])
    const others = [...(await on.askMany('quick', keys, { timeoutMs: 40_000 })), await on.ask('short', ['u1'], { timeoutMs: 40_000 })]
    expect(others.filter((one) => one.kind !== 'value')).toEqual([])
    expect(given).toBe(0)
    // Those that blocked are no more than there may be threads: two, four in their place and one apart. The rest waited.
    expect(runsOf(on, 'spin').length).toBeLessThanOrEqual(7)
    gone.abort()
    await Promise.all(blocked)
  }, 120_000)
}
