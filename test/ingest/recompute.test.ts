import { expect, test } from 'bun:test'
import { entityKey } from '../../src/definition/entity-key.ts'
import type { Feature } from '../../src/definition/model.ts'
import { FabraError } from '../../src/errors.ts'
import { createRecomputer, type Recomputer } from '../../src/ingest/recompute.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import type { OnlineStore } from '../../src/store/ports/online-store.ts'
import { type Bench, openBench, type WrittenBench } from '../support/bench.ts'
import { until } from '../support/until.ts'

interface RecomputeBench extends AsyncDisposable {
  readonly bench: Bench
  readonly recomputer: Recomputer
  feature(name: string): Feature
  /** Rows about these keys came and can be seen from then on. */
  add(name: string, keys: readonly string[] | 'all', visibleAt?: number): void
}

async function open(
  features: WrittenBench['features'] = { count: { refresh: '1h' } },
  wrapOnline: (store: OnlineStore) => OnlineStore = (store) => store,
): Promise<RecomputeBench> {
  const bench = await openBench({ features, wrapOnline })
  const { online, activeKeys } = bench.parts()
  const version = () => bench.version().ingest
  const recomputer = createRecomputer({
    version,
    online,
    keysInUse: activeKeys.of,
    recorded: async (_, keys) => keys.map(() => false),
    sharedWithinMs: null,
    clock: bench.clock,
    log: silentLogger,
  })
  const feature = (name: string) => {
    const found = bench.registry.features.get(name)
    if (!found) throw new Error(`No feature ${name}.`)
    return found
  }
  return {
    bench,
    recomputer,
    feature,
    add(name, keys, visibleAt = bench.clock.now()) {
      const user = bench.registry.entities.get('User')
      if (!user) throw new Error('No User.')
      recomputer.add(feature(name), keys === 'all' ? 'all' : new Map(keys.map((key) => [key, entityKey(user, [key])])), visibleAt)
    },
    async [Symbol.asyncDispose]() {
      await recomputer.close()
      await bench.close()
    },
  }
}

test('only keys that have a value are computed, each once for all rows that came meanwhile', async () => {
  await using open_ = await open()
  const { bench, recomputer, add } = open_
  bench.programme.set('count', ({ asOf }) => asOf)
  for (const key of ['u1', 'u2', 'u3']) await bench.read('count', key)
  bench.clock.advance('1m')
  for (let i = 0; i < 100; i++) add('count', ['u1', 'u2', 'stranger'])
  await recomputer.idle()
  expect(['u1', 'u2', 'u3', 'stranger'].map((key) => bench.programme.count('count', key))).toEqual([2, 2, 1, 0])
  expect(await bench.read('count', 'u2')).toMatchObject({ value: bench.clock.now(), servedFrom: 'online' })
  add('count', 'all')
  await recomputer.idle()
  expect(['u1', 'u2', 'u3', 'stranger'].map((key) => bench.programme.count('count', key))).toEqual([3, 3, 2, 0])
})

test('a computation that had begun before the row does not count: the key is computed once more', async () => {
  await using open_ = await open()
  const { bench, recomputer, add, feature } = open_
  let events = 1
  bench.programme.set('count', () => events)
  await bench.read('count')
  bench.clock.advance('1m')
  const gate = Promise.withResolvers<void>()
  bench.programme.set('count', async () => {
    const seen = events
    await gate.promise
    return seen
  })
  const user = bench.registry.entities.get('User')
  if (!user) throw new Error('No User.')
  const running = bench.version().refresher.run(feature('count'), [entityKey(user, ['u1'])], { reason: 'request', before: null })
  await Bun.sleep(1)
  bench.clock.advance('1s')
  events = 2
  add('count', ['u1'])
  await Bun.sleep(30)
  gate.resolve()
  await running
  await recomputer.idle()
  expect((await bench.read('count')).value).toBe(2)
})

test('a first value that was being computed when the row came is computed once more', async () => {
  await using open_ = await open()
  const { bench, recomputer, add } = open_
  const gate = Promise.withResolvers<void>()
  let events = 1
  bench.programme.set('count', async () => {
    const seen = events
    await gate.promise
    return seen
  })
  const first = bench.read('count')
  await until('the computation', 5_000, async () => (bench.programme.count('count') === 1 ? true : undefined))
  bench.clock.advance('1s')
  events = 2
  add('count', ['u1', 'stranger'])
  await Bun.sleep(30)
  gate.resolve()
  expect(await first).toMatchObject({ value: 1 })
  await recomputer.idle()
  expect(await bench.read('count')).toMatchObject({ value: 2, servedFrom: 'online' })
  expect(bench.programme.count('count', 'stranger')).toBe(0)
})

test('keys wait while the store of the values is down, refuse no rows, and follow when it is back', async () => {
  const down = { is: false }
  const failing = () => new FabraError('store_unavailable', 'down')
  await using open_ = await open(undefined, (store) => ({
    ...store,
    read: (...given) => (down.is ? Promise.reject(failing()) : store.read(...given)),
  }))
  const { bench, recomputer, add } = open_
  for (const key of ['u1', 'u2', 'u3']) await bench.read('count', key)
  bench.clock.advance('1m')
  down.is = true
  add('count', ['u1'])
  add(
    'count',
    Array.from({ length: 30_000 }, (_, i) => `u${i}`),
  )
  await Bun.sleep(30)
  recomputer.checkRoom()
  expect(recomputer.isIdle()).toBe(false)
  down.is = false
  await recomputer.idle()
  expect(['u1', 'u2', 'u3', 'u4'].map((key) => bench.programme.count('count', key))).toEqual([2, 2, 2, 0])
})

test('a key that fails is tried again, and in the end left to the schedule', async () => {
  await using open_ = await open()
  const { bench, recomputer, add } = open_
  await bench.read('count')
  let failures = 2
  bench.programme.set('count', () => {
    if (failures-- > 0) throw new Error('It broke.')
    return 9
  })
  bench.clock.advance('1m')
  add('count', ['u1'])
  const moving = setInterval(() => bench.clock.advance('6s'), 20)
  await recomputer.idle()
  expect((await bench.read('count')).value).toBe(9)
  failures = 100
  add('count', ['u1'])
  await recomputer.idle()
  clearInterval(moving)
  expect(failures).toBeGreaterThan(90)
}, 30_000)

test('a row that is visible later is computed when its time has come, not before', async () => {
  await using open_ = await open()
  const { bench, recomputer, add } = open_
  await bench.read('count')
  add('count', ['u1'], bench.clock.now() + 60_000)
  await recomputer.idle()
  expect(bench.programme.count('count')).toBe(1)
  bench.clock.advance('100ms')
  // It sleeps by the machine's clock, 60 ms.
  await until('the computation', 5_000, async () => (bench.programme.count('count') >= 2 ? true : undefined))
  expect(bench.programme.count('count')).toBe(2)
})

test('too many waiting keys are refused, and taken again when they are done', async () => {
  await using open_ = await open()
  const { bench, recomputer, add } = open_
  const keys = Array.from({ length: 200_001 }, (_, i) => `k${i}`)
  recomputer.checkRoom()
  add('count', keys, bench.clock.now())
  expect(() => recomputer.checkRoom()).toThrow(expect.objectContaining({ code: 'overloaded', status: 503 }))
  await recomputer.idle()
  recomputer.checkRoom()
})

test('functions that nobody declared to depend on rows have no rows refused, and hold up nobody else', async () => {
  const easy = { refresh: '1h', kind: 'function' } as const
  await using open_ = await open({ count: { refresh: '1h' }, slow: easy, slower: easy })
  const { bench, recomputer, add } = open_
  const gates = ['slow', 'slower'].map((name) => {
    const gate = Promise.withResolvers<number>()
    bench.programme.set(name, () => 1)
    return { name, gate }
  })
  for (const name of ['count', 'slow', 'slower']) await bench.read(name, 'u1')
  for (const { name, gate } of gates) bench.programme.set(name, () => gate.promise)
  bench.clock.advance('1m')
  for (const { name } of gates) add(name, ['u1'])
  await until('one of them to be under way', 5_000, async () =>
    bench.programme.count('slow') + bench.programme.count('slower') === 3 ? true : undefined,
  )
  add('count', ['u1'])
  await until('the other feature', 5_000, async () => (bench.programme.count('count') === 2 ? true : undefined))
  // One at a time, and what is too much is left to the schedule.
  expect(bench.programme.count('slow') + bench.programme.count('slower')).toBe(3)
  add(
    'slower',
    Array.from({ length: 300_000 }, (_, i) => `k${i}`),
  )
  add('slower', 'all')
  recomputer.checkRoom()
  for (const { gate } of gates) gate.resolve(2)
  await recomputer.idle()
  expect([bench.programme.count('slow'), bench.programme.count('slower')]).toEqual([2, 2])
})
