import { expect, test } from 'bun:test'
import { until } from '../support/until.ts'
import { answered, bench, errorOf, HEAD } from './project.ts'

const fn = (name: string, code: string, options = '') =>
  `export const ${name} = feature({ entity: User, refresh: 0, type: 'int', ${options} }, ${code})\n`

const FILES = {
  'features.ts': `${HEAD}
    const number = Math.floor(Math.random() * 1e9)
    ${fn('thread', '() => new Promise((resolve) => setTimeout(resolve, 5, number))')}
    ${fn('quick', '(id) => id.length')}
    ${fn('tick', '() => new Promise((resolve) => setTimeout(resolve, 5, 1))')}
    ${fn('spin', '() => { while (true) {} }')}
    ${fn('late_spin', 'async () => { await new Promise((resolve) => setTimeout(resolve, 5)); while (true) {} }')}
    ${fn('sleep', '() => { Bun.sleepSync(600_000); return 1 }')}
    ${fn('exit', '() => process.exit(1)')}
    ${fn('abort', '() => process.abort()')}
    ${fn('kill', '() => process.kill(process.pid)')}`,
}

/** Of calls that are to be answered, however busy the machine is. */
const LONG = { timeoutMs: 50_000 }

for (const name of ['spin', 'late_spin', 'sleep']) {
  test(`${name}: a function that blocks its thread costs its own caller alone, until its timeout`, async () => {
    await using on = await bench(FILES)
    await until('both threads to work', 20_000, async () => {
      const answers = await on.askMany('thread', [['a'], ['b'], ['c'], ['d']])
      return new Set(answers.map(answered)).size > 1 ? true : undefined
    })
    const gone = new AbortController()
    let isBlocked = true
    const blocked = on.ask(name, ['u1'], { timeoutMs: 600_000, signal: gone.signal }).finally(() => {
      isBlocked = false
    })
    for (let i = 0; i < 50; i++) {
      const answers = await Promise.all([on.ask('quick', ['u2'], LONG), on.ask('tick', ['u2'], LONG)])
      expect(answers.map((one) => one.kind)).toEqual(['value', 'value'])
    }
    expect(isBlocked).toBe(true)
    gone.abort()
    expect(errorOf(await blocked).code).toBe('feature_timeout')
    // Nobody else ends this one.
    expect(errorOf(await on.ask(name, ['u1'], { timeoutMs: 300 })).code).toBe('feature_timeout')
    expect(on.lines.some((line) => line.message.includes(`"${name}" blocks its worker`))).toBe(true)
  })
}

test('a feature that blocks again and again does so apart from the others', async () => {
  await using on = await bench(FILES)
  expect(errorOf(await on.ask('spin', ['u0'], { timeoutMs: 200 })).code).toBe('feature_timeout')
  const gone = new AbortController()
  let given = 0
  const blocked = Array.from({ length: 10 }, (_, i) =>
    on.ask('spin', [`u${i}`], { timeoutMs: 600_000, signal: gone.signal }).finally(() => {
      given += 1
    }),
  )
  const quick = await on.askMany(
    'quick',
    Array.from({ length: 500 }, (_, i) => [`u${i}`]),
    LONG,
  )
  expect(quick.every((one) => one.kind === 'value')).toBe(true)
  expect(given).toBe(0)
  gone.abort()
  expect((await Promise.all(blocked)).map((one) => errorOf(one).code)).toEqual(new Array(10).fill('feature_timeout'))
})

test('calls that wait on a blocked thread are answered by another', async () => {
  await using on = await bench(FILES, { workers: 1 })
  const gone = new AbortController()
  let isBlocked = true
  const blocked = on.ask('spin', ['u1'], { timeoutMs: 600_000, signal: gone.signal }).finally(() => {
    isBlocked = false
  })
  const behind = await on.askMany('quick', [['a'], ['bb'], ['ccc']], LONG)
  expect(behind).toMatchObject([{ texts: ['1'] }, { texts: ['2'] }, { texts: ['3'] }])
  expect(isBlocked).toBe(true)
  gone.abort()
  expect(errorOf(await blocked).code).toBe('feature_timeout')
})

test('a function cannot end the process, nor the thread it shares', async () => {
  await using on = await bench(FILES, { workers: 1 })
  const tick = on.ask('tick', ['u1'])
  for (const name of ['exit', 'abort', 'kill']) expect(errorOf(await on.ask(name, ['u1'])).code).toBe('feature_failed')
  expect((await tick).kind).toBe('value')
  expect((await on.ask('quick', ['u1'])).kind).toBe('value')
})

test('calls go on after many blocked ones', async () => {
  await using on = await bench(FILES, { workers: 1 })
  for (let i = 0; i < 6; i++) {
    expect(errorOf(await on.ask('spin', [`u${i}`], { timeoutMs: 80 })).code).toBe('feature_timeout')
    expect((await on.ask('quick', ['u1'])).kind).toBe('value')
  }
})

test('a thread that was blocked by a call with a very short timeout is not left running', async () => {
  await using on = await bench(
    { 'features.ts': `${HEAD}${fn('spin', '() => { while (true) {} }', `timeout: '2ms'`)}${fn('quick', '() => 1')}` },
    { workers: 1 },
  )
  await on.ask('quick', ['u1'])
  expect(errorOf(await on.ask('spin', ['u1'])).code).toBe('feature_timeout')
  // The processor is idle again once the thread is gone.
  await until('the thread to end', 30_000, async () => {
    const before = process.cpuUsage()
    await Bun.sleep(200)
    const { user } = process.cpuUsage(before)
    return user < 60_000 ? true : undefined
  })
})
