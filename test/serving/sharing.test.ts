import { afterEach, describe, expect, test } from 'bun:test'
import { createComputations } from '../../src/compute/single-flight/computations.ts'
import type { EntityKey } from '../../src/definition/entity-key.ts'
import type { Feature } from '../../src/definition/model.ts'
import { type Bench, openBench, type WrittenBench } from '../support/bench.ts'
import { fail, failure, hang } from '../support/programmable-executor.ts'

let bench: Bench
afterEach(() => bench.close())
const open = async (written: WrittenBench) => {
  bench = await openBench(written)
  return bench
}
const times = <Value>(count: number, make: (i: number) => Value) => Array.from({ length: count }, (_, i) => make(i))
const keyOf = (i: number) => ({ values: [`u${i}`], encoded: `u${i}` })
/** Lets everything that can go on without a timer go on. */
const settle = async () => {
  for (let i = 0; i < 3; i++) await bench.settle()
}

describe('one computation, however many wait', () => {
  test('10,000 concurrent callers of a cold key are one computation', async () => {
    const { read, programme } = await open({ features: { f: { timeout: '30s' } } })
    const release = Promise.withResolvers<number>()
    programme.set('f', () => release.promise)
    const callers = times(10_000, () => read('f'))
    await settle()
    release.resolve(47)
    const served = await Promise.all(callers)
    expect(served.every((one) => one.value === 47 && one.status === 'fresh' && one.servedFrom === 'computed')).toBe(true)
    expect(programme.count('f')).toBe(1)
  })

  test('late callers join the one that runs', async () => {
    const { read, programme } = await open({ features: { f: {} } })
    const release = Promise.withResolvers<number>()
    programme.set('f', () => release.promise)
    const early = read('f')
    await settle()
    const late = read('f')
    release.resolve(1)
    expect(await Promise.all([early, late])).toMatchObject([{ value: 1 }, { value: 1 }])
    expect(programme.count('f')).toBe(1)
  })

  test('a failing leader shares its failure', async () => {
    const { read, programme } = await open({ features: { f: { kind: 'function' } } })
    const release = Promise.withResolvers<number>()
    programme.set('f', () => release.promise)
    const callers = times(40, () => read('f'))
    await settle()
    callers.push(read('f'))
    release.reject(failure('feature_failed'))
    const served = await Promise.all(callers)
    expect(served.every((one) => one.status === 'error' && one.error?.code === 'feature_failed')).toBe(true)
    expect(programme.count('f')).toBe(1)
  })

  test('different keys do not wait for each other', async () => {
    const { read, programme } = await open({ features: { f: { kind: 'function', timeout: '3s' } } })
    programme.set('f', (call) => (call.key === 'slow' ? hang(call) : 1))
    const slow = read('f', 'slow')
    expect(await read('f', 'quick')).toMatchObject({ value: 1 })
    expect((await slow).error?.code).toBe('feature_timeout')
  })

  test('two different inputs never share, the same ones do', async () => {
    const { readRows, programme } = await open({ features: { f: { kind: 'function', refresh: 0, inputs: { amount: 'json' } } } })
    programme.set('f', (call) => call.inputs['amount'])
    const amounts = [1, 2, '1', '9007199254740993n', 9007199254740993n, 9007199254740992n, { a: 1 }, [1], null, 1]
    const rows = await readRows(
      ['f'],
      amounts.map((amount) => ({ user_id: 'u1', amount })),
    )
    expect(rows.map(([one]) => one?.status)).toEqual(amounts.map(() => 'fresh'))
    expect(programme.count('f')).toBe(amounts.length - 1)
  })

  test('values computed from inputs are never stored nor served to anybody else', async () => {
    const { read, programme, parts } = await open({ features: { f: { kind: 'function', refresh: 0, inputs: { amount: 'int' } } } })
    programme.set('f', (call) => call.inputs['amount'])
    expect(await read('f', { user_id: 'u1', amount: 5 })).toMatchObject({ value: 5, servedFrom: 'computed' })
    programme.set('f', fail)
    expect(await read('f', { user_id: 'u1', amount: 6 })).toMatchObject({ status: 'error', value: undefined })
    await parts().recorder.flush()
    const { fingerprint } = bench.registry.features.get('f') ?? { fingerprint: '' }
    expect(await parts().offline.latestOf('f', fingerprint, ['u1'])).toEqual([undefined])
  })
})

describe('a failing key', () => {
  test('is not hammered: it rests for a moment, longer each time, and recovers', async () => {
    const { clock, read, programme } = await open({ features: { f: {} } })
    programme.set('f', fail)
    for (let i = 0; i < 100; i++) expect((await read('f')).status).toBe('error')
    expect(programme.count('f')).toBe(1)
    // The first pause is 50 to 100 ms.
    clock.advance('49ms')
    await read('f')
    expect(programme.count('f')).toBe(1)
    clock.advance('51ms')
    await read('f')
    expect(programme.count('f')).toBe(2)
    // The second is 100 to 200 ms.
    clock.advance('99ms')
    await read('f')
    expect(programme.count('f')).toBe(2)
    for (let i = 0; i < 200; i++) {
      clock.advance('1s')
      await read('f')
    }
    const tries = programme.count('f')
    expect(tries).toBeGreaterThan(38)
    expect(tries).toBeLessThan(84)
    programme.set('f', () => 5)
    clock.advance('5s')
    expect(await read('f')).toMatchObject({ value: 5, status: 'fresh' })
  })

  test('rests after a success no more, and only shortly after the next failure', async () => {
    const { clock, read, programme } = await open({ features: { f: { refresh: 0 } } })
    programme.set('f', fail)
    for (let i = 0; i < 6; i++) {
      await read('f')
      clock.advance('5s')
    }
    programme.set('f', () => 1)
    await read('f')
    await read('f')
    expect(programme.count('f')).toBe(8)
    programme.set('f', fail)
    await read('f')
    clock.advance('100ms')
    await read('f')
    expect(programme.count('f')).toBe(10)
  })

  test('serves its stale value while it rests', async () => {
    const { clock, read, programme } = await open({ features: { f: { refresh: '5m' } } })
    await read('f')
    programme.set('f', fail)
    clock.advance('1h')
    for (let i = 0; i < 20; i++) {
      expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'online' })
      await bench.idle()
    }
    expect(programme.count('f')).toBe(2)
  })

  test('and others that failed with it do not all come back at one moment', async () => {
    const { clock, readRows, programme } = await open({ features: { f: {} } })
    programme.set('f', fail)
    const rows = times(200, (i) => ({ user_id: `u${i}` }))
    await readRows(['f'], rows)
    clock.advance('75ms')
    await readRows(['f'], rows)
    expect(programme.count('f')).toBeGreaterThan(240)
    expect(programme.count('f')).toBeLessThan(360)
  })

  test('does not make other keys rest', async () => {
    const { read, programme } = await open({ features: { f: {} } })
    programme.set('f', (call) => (call.key === 'bad' ? fail(call) : 1))
    expect((await read('f', 'bad')).status).toBe('error')
    expect((await read('f', 'good')).status).toBe('fresh')
  })

  test('falls back on the default before it is an error', async () => {
    const { read, programme } = await open({ features: { f: { default: 'x' } } })
    programme.set('f', fail)
    expect(await read('f')).toMatchObject({ value: 'x', status: 'default', servedFrom: 'default', ageMs: null, error: undefined })
  })

  test('does not fail its neighbours in a batch', async () => {
    const { readRows, programme } = await open({ features: { a: {}, b: {}, c: { kind: 'pushed' } } })
    programme.set('b', (call) => (call.key === 'u2' ? fail(call) : 2))
    const rows = await readRows(
      ['a', 'b', 'c'],
      ['u1', 'u2', 'u1'].map((user_id) => ({ user_id })),
    )
    expect(rows.map((row) => row.map((one) => one.status))).toEqual([
      ['fresh', 'fresh', 'missing'],
      ['fresh', 'error', 'missing'],
      ['fresh', 'fresh', 'missing'],
    ])
    expect(programme.count('a')).toBe(2)
  })

  test('a throw of anything at all is the feature’s failure', async () => {
    const { read, programme } = await open({ features: { f: {} } })
    programme.executor.compute = () => {
      throw new RangeError('out of range')
    }
    expect(await read('f')).toMatchObject({ status: 'error', error: { code: 'feature_failed' } })
  })
})

describe('micro-batching', () => {
  test('100 rows of a realtime SQL feature are one question', async () => {
    const { readRows, programme } = await open({ features: { f: { refresh: 0 } } })
    await readRows(
      ['f'],
      times(100, (i) => ({ user_id: `u${i}` })),
    )
    expect(programme.batches('f')).toEqual([100])
  })

  test('concurrent reads of one SQL feature go together, and what comes while they run goes together next', async () => {
    const { read, programme } = await open({ features: { f: { refresh: 0 } } })
    const release = Promise.withResolvers<number>()
    programme.set('f', () => release.promise)
    const early = times(50, (i) => read('f', `u${i}`))
    await settle()
    expect(programme.batches('f')).toEqual([50])
    const second = read('f', 'v')
    await settle()
    const late: Promise<unknown>[] = []
    for (let i = 0; i < 4; i++) {
      late.push(...times(20, (j) => read('f', `w${i}.${j}`)))
      await settle()
    }
    release.resolve(1)
    await Promise.all([...early, second, ...late])
    expect(programme.batches('f')).toEqual([50, 1, 80])
  })

  test('a batch has at most a thousand rows', async () => {
    const { readRows, programme } = await open({ features: { f: { refresh: 0 } } })
    const rows = await readRows(
      ['f'],
      times(2_500, (i) => ({ user_id: `u${i}` })),
    )
    expect(rows.every(([one]) => one?.status === 'fresh')).toBe(true)
    // Of the two that run at once the smaller may begin first.
    expect([...programme.batches('f')].sort((a, b) => b - a)).toEqual([1000, 1000, 500])
  })

  test('no more than 100,000 computations of a feature wait; further callers are told at once', async () => {
    const { programme, registry } = await open({ features: { f: {} } })
    programme.set('f', hang)
    const feature = registry.features.get('f') as Feature
    const { executor } = programme
    const computations = createComputations({ executor, clock: bench.clock, random: () => 0, onComputed: () => undefined, shared: null })
    const ask = (i: number) => computations.compute({ feature, key: keyOf(i), chain: [], timeoutMs: 600_000 })
    for (let i = 0; i < 100_000; i++) void ask(i)
    expect(await ask(100_000)).toMatchObject({ computed: { kind: 'error', error: { code: 'overloaded' } } })
  })

  test('a refresh of many keys refuses no reader of others', async () => {
    const { programme, registry } = await open({ features: { f: {} } })
    programme.set('f', hang)
    const feature = registry.features.get('f') as Feature
    const { executor } = programme
    const computations = createComputations({ executor, clock: bench.clock, random: () => 0, onComputed: () => undefined, shared: null })
    void computations.computeAll(feature, times(100_000, keyOf), 600_000)
    while (programme.count('f') < 100_000) await settle()
    const asked = computations.compute({ feature, key: keyOf(100_000), chain: [], timeoutMs: 600_000 })
    expect(await Promise.race([asked, settle().then(() => 'it waits')])).toBe('it waits')
  })

  test('a refresh by a function that takes many keys has the time of each list of them', async () => {
    const { programme, registry } = await open({ features: { f: {} } })
    const given: number[] = []
    programme.set('f', ({ timeoutMs }) => given.push(timeoutMs))
    const { executor } = programme
    const computations = createComputations({ executor, clock: bench.clock, random: () => 0, onComputed: () => undefined, shared: null })
    const feature = registry.features.get('f') as Feature
    for (const batch of [null, 100, 1])
      await computations.computeAll({ ...feature, batch, fingerprint: String(batch) }, times(1000, keyOf), 30_000)
    // No timer is set for longer than six hours.
    expect([...new Set(given)]).toEqual([30_000, 300_000, 21_600_000])
  })

  test('while a refresh goes on, readers join what it computes still, and not what it has computed', async () => {
    const { programme, registry } = await open({ features: { f: {} } })
    const feature = registry.features.get('f') as Feature
    const { executor } = programme
    const rest = Promise.withResolvers<void>()
    let batches = 0
    // The second lot of answers is being kept until we say so.
    const onComputed = () => (++batches === 2 ? rest.promise : undefined)
    const computations = createComputations({ executor, clock: bench.clock, random: () => 0, onComputed, shared: null })
    const refreshed = computations.computeAll(feature, times(600, keyOf), 600_000)
    while (batches < 2) await settle()
    const ask = (i: number) => computations.compute({ feature, key: keyOf(i), chain: [], timeoutMs: 600_000 })
    const joined = ask(599)
    await ask(0)
    expect(programme.count('f')).toBe(601)
    expect(await computations.underway(feature, [keyOf(0), keyOf(599)])).toEqual([false, true])
    rest.resolve()
    expect(await joined).toMatchObject({ computed: { kind: 'value' } })
    expect((await refreshed)(599)).toMatchObject({ computed: { kind: 'value' } })
    expect(programme.count('f')).toBe(601)
  })

  test('of a refresh, a key that is forgotten meanwhile is not kept, and nobody joins it', async () => {
    const { programme, registry } = await open({ features: { f: {} } })
    const feature = registry.features.get('f') as Feature
    const release = Promise.withResolvers<void>()
    programme.set('f', () => release.promise.then(() => 1))
    const kept: string[] = []
    const onComputed = (_: Feature, answers: readonly { readonly key: EntityKey }[]) => {
      kept.push(...answers.map(({ key }) => key.encoded))
    }
    const { executor } = programme
    const computations = createComputations({ executor, clock: bench.clock, random: () => 0, onComputed, shared: null })
    const refreshed = computations.computeAll(feature, times(3, keyOf), 600_000)
    while (programme.count('f') < 3) await settle()
    computations.forget(feature, keyOf(1))
    expect(await computations.underway(feature, times(3, keyOf))).toEqual([true, false, true])
    release.resolve()
    expect((await refreshed)(1)).toMatchObject({ computed: { kind: 'value' } })
    expect(kept).toEqual([keyOf(0).encoded, keyOf(2).encoded])
  })

  test('duplicates of a row are computed once and answered each', async () => {
    const { readRows, programme } = await open({ features: { f: {} } })
    programme.set('f', (call) => call.key)
    const rows = await readRows(
      ['f', 'f'],
      ['a', 'b', 'a', 'a'].map((user_id) => ({ user_id })),
    )
    expect(rows.map((row) => row.map((one) => one.value))).toEqual([
      ['a', 'a'],
      ['b', 'b'],
      ['a', 'a'],
      ['a', 'a'],
    ])
    expect(programme.count('f')).toBe(2)
  })
})

describe('deadlines', () => {
  test('a hanging computation is feature_timeout', async () => {
    const { read, programme } = await open({ features: { f: { kind: 'function', timeout: '100ms' } } })
    programme.set('f', hang)
    expect((await read('f')).error?.code).toBe('feature_timeout')
  })

  test('so is every one that waits behind hanging queries of the same feature', async () => {
    const { read, programme } = await open({ features: { f: { timeout: '200ms' } } })
    programme.set('f', hang)
    const waiting: ReturnType<typeof read>[] = []
    for (let i = 0; i < 300; i++) {
      waiting.push(read('f', `u${i}`))
      await settle()
    }
    const start = performance.now()
    for (const { error } of await Promise.all(waiting)) expect(error?.code).toBe('feature_timeout')
    // One behind the other they would take a minute.
    expect(performance.now() - start).toBeLessThan(30_000)
  })

  test('a request that joins a long refresh keeps its own deadline', async () => {
    const { read, programme, version, registry } = await open({ features: { f: { kind: 'function' } }, requestTimeoutMs: 300 })
    const release = Promise.withResolvers<number>()
    programme.set('f', () => release.promise)
    const feature = registry.features.get('f')
    if (!feature) throw new Error('no feature')
    const run = version().refresher.run(feature, [{ values: ['u1'], encoded: 'u1' }], { reason: 'request', before: null })
    await settle()
    expect((await read('f')).error?.code).toBe('feature_timeout')
    release.resolve(8)
    expect(await run).toMatchObject({ failed: 0, changed: 1 })
    expect(await read('f')).toMatchObject({ value: 8, status: 'fresh' })
    expect(programme.count('f')).toBe(1)
  })

  test('a hanging feature gives its last good value at its deadline', async () => {
    const { clock, read, programme } = await open({ features: { f: { refresh: 0, timeout: '1s' } } })
    await read('f')
    programme.set('f', hang)
    clock.advance('1s')
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'last_good', ageMs: 1000 })
  })

  test('an answer that comes too late is refused its caller', async () => {
    const { read, programme } = await open({ features: { f: { kind: 'function', timeout: '20ms' } } })
    const release = Promise.withResolvers<number>()
    programme.set('f', () => release.promise)
    const served = await read('f')
    release.resolve(1)
    expect(served).toMatchObject({ status: 'error', error: { code: 'feature_timeout' } })
  })
})
