/**
 * A process that starts over a long history answers before it has come back, and never otherwise than it will then: with rows of the recovery that
 * were read before what comes in meanwhile, and written after it.
 */
import { afterEach, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Feature } from '../../src/definition/model.ts'
import type { HistoryRow, OfflineStore } from '../../src/store/ports/offline-store.ts'
import { type Bench, openBench } from '../support/bench.ts'

let bench: Bench
let held = heldHistory()
afterEach(async () => {
  held.open()
  await bench.close()
  held = heldHistory()
})

const FEATURES = {
  score: { kind: 'pushed' },
  usual: { kind: 'pushed', default: 'usual' },
  spent: { kind: 'function', refresh: '1h', maxStaleness: '2h', timeout: '20s' },
} as const

/** History whose newest rows of all keys are read at once, and handed over when the gate opens. */
function heldHistory() {
  const state = { gate: Promise.withResolvers<void>(), fails: false }
  state.gate.resolve()
  const wrapOffline = (store: OfflineStore): OfflineStore => ({
    ...store,
    async *latestOfAll(versions, options) {
      if (state.fails) throw new Error('The engine is away.')
      const batches: (readonly HistoryRow[])[] = await Array.fromAsync(store.latestOfAll(versions, options))
      // Of no history nothing comes back behind the start: whoever held that would wait for itself.
      if (batches.length > 0) await state.gate.promise
      yield* batches
    },
  })
  return {
    state,
    wrapOffline,
    hold() {
      state.gate = Promise.withResolvers<void>()
    },
    open: () => state.gate.resolve(),
  }
}

const featureOf = (name: string) => bench.registry.features.get(name) as Feature
const row = (user: string, value: unknown, at: number) => ({
  user_id: user,
  value,
  event_timestamp: new Date(at / 1000).toISOString(),
})
const inUse = async () => Array.from(await bench.parts().activeKeys.of(featureOf('spent')), ({ encoded }) => encoded).sort()
const forget = async (user: string) => {
  const entity = bench.registry.entities.get('User')
  if (!entity) throw new Error('No entity.')
  await bench.ingest().forget(entity, { encoded: user, values: [user] })
}

test('reads, pushes and forgets while it comes back, and afterwards', async () => {
  bench = await openBench({ features: FEATURES, wrapOffline: held.wrapOffline, recoversBehind: true })
  const { clock, read, programme } = bench
  const at = clock.now()
  await bench.ingest().push(
    featureOf('score'),
    ['same', 'newer', 'older', 'unasked', 'again', 'gone', 'begone'].map((user) => row(user, 1, at)),
  )
  for (const user of ['read', 'unread', 'gone', 'begone']) await read('spent', user)
  await bench.idle()
  await forget('gone')
  await bench.parts().recorder.flush()
  clock.advance('10m')

  held.hold()
  await bench.restart()
  const { recovery } = bench
  expect(await inUse()).toEqual([])
  const recovered = recovery().run()
  expect([recovery().isOver(), recovery().progress() !== null]).toEqual([false, true])
  expect(await read('score', 'same')).toMatchObject({ value: 1, ageMs: 600_000 })
  expect(await read('spent', 'read')).toMatchObject({ value: 1, ageMs: 600_000 })
  expect(await read('score', 'nobody')).toMatchObject({ value: undefined, status: 'missing' })
  expect(await read('usual', 'nobody')).toMatchObject({ value: 'usual', status: 'default' })
  expect(await read('score', 'gone')).toMatchObject({ status: 'missing' })

  const push = (user: string, value: unknown, time: number) => bench.ingest().push(featureOf('score'), [row(user, value, time)])
  await push('newer', 2, at + 60e6)
  // History has what came later.
  await push('older', 2, at - 60e6)
  await bench.push('score', 'unasked', 2, at - 60e6)
  expect(await push('again', 1, at)).toMatchObject({ duplicates: 1 })
  await forget('begone')
  const asked = ['same', 'newer', 'older', 'unasked', 'again', 'gone', 'begone']
  const values = () => Promise.all(asked.map(async (user) => (await read('score', user)).value))
  const expected = [1, 2, 1, 1, 1, undefined, undefined]
  expect(await values()).toEqual(expected)
  const computed = programme.count('spent', 'unread')

  held.open()
  await recovered
  expect([recovery().isOver(), recovery().progress()]).toEqual([true, null])
  expect(await values()).toEqual(expected)
  expect(await inUse()).toEqual(['read', 'unread'])
  expect(await read('spent', 'unread')).toMatchObject({ value: 1, status: 'fresh', servedFrom: 'online', ageMs: 600_000 })
  expect(programme.count('spent', 'unread')).toBe(computed)
})

test('whatever comes in, and whenever the rows of the recovery arrive, the newest value is served', async () => {
  bench = await openBench({ features: FEATURES, wrapOffline: held.wrapOffline, recoversBehind: true })
  const user = fc.constantFrom('a', 'b', 'c', 'd')
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('push' as const), user, ago: fc.integer({ min: 0, max: 6 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), user }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('read' as const), user }) },
    { weight: 1, arbitrary: fc.constantFrom({ do: 'restart' as const }, { do: 'recovered' as const }) },
  )
  const served = new Map<string, { readonly value: number; readonly at: number }>()
  let values = 0
  const check = async (key: string) => expect([key, (await bench.read('score', key)).value]).toEqual([key, served.get(key)?.value])
  const doOne = async (one: typeof action extends fc.Arbitrary<infer T> ? T : never) => {
    bench.clock.advance('1s')
    if (one.do === 'read') return check(one.user)
    if (one.do === 'forget') {
      await forget(one.user)
      served.delete(one.user)
    } else if (one.do === 'push') {
      const at = bench.clock.now() - one.ago * 1e6
      const value = ++values
      const { accepted } = await bench.ingest().push(featureOf('score'), [row(one.user, value, at)])
      // Of equal times the one accepted last counts.
      if (accepted === 1 && at >= (served.get(one.user)?.at ?? 0)) served.set(one.user, { value, at })
    } else {
      held.open()
      await bench.recovery().run()
      if (one.do === 'recovered') return
      held.hold()
      await bench.restart()
      void bench.recovery().run()
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 40 }), async (actions) => {
      for (const one of actions) await doOne(one)
      for (const key of ['a', 'b', 'c', 'd']) await check(key)
    }),
    { numRuns: 15, endOnFailure: true },
  )
})

test('a recovery that fails goes on, and ends with the process', async () => {
  bench = await openBench({ features: FEATURES, wrapOffline: held.wrapOffline, recoversBehind: true })
  await bench.ingest().push(featureOf('score'), [row('u1', 1, bench.clock.now())])
  held.state.fails = true
  await bench.restart()
  const failing = bench.recovery()
  const ended = failing.run()
  expect(await bench.read('score', 'u1')).toMatchObject({ value: 1 })
  held.hold()
  held.state.fails = false
  const restarted = bench.restart()
  held.open()
  await Promise.all([ended, restarted])
  await bench.recovery().run()
  expect(bench.recovery().progress()).toBeNull()
  expect(await bench.read('score', 'u1')).toMatchObject({ value: 1, status: 'fresh' })
})
