import { afterEach, describe, expect, test } from 'bun:test'
import { FabraError } from '../../src/errors.ts'
import type { OfflineStore } from '../../src/store/offline-store.ts'
import type { OnlineStore } from '../../src/store/online-store.ts'
import { type Bench, openBench } from '../support/bench.ts'
import { fail } from '../support/programmable-executor.ts'

let bench: Bench
afterEach(() => bench.close())

/** The memory store behind a switch. */
function flaky() {
  const state = { down: false }
  const wrapOnline = (store: OnlineStore): OnlineStore => ({
    ...store,
    read(entity, keys, fields, signal) {
      if (state.down) return Promise.reject(new FabraError('store_unavailable', 'The online store cannot be reached.'))
      return store.read(entity, keys, fields, signal)
    },
    write: (rows) => (state.down ? Promise.reject(new FabraError('store_unavailable', 'It is down.')) : store.write(rows)),
  })
  return { state, wrapOnline }
}

describe('while the online store is down', () => {
  test('a failing feature gives its last good value from history, with its age', async () => {
    const { state, wrapOnline } = flaky()
    bench = await openBench({ wrapOnline, features: { f: { maxStaleness: '1h' } } })
    const { clock, read, programme, parts } = bench
    await read('f')
    await parts().recorder.flush()
    state.down = true
    programme.set('f', fail)
    clock.advance('10m')
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'last_good', ageMs: 600_000 })
    clock.advance('51m')
    expect(await read('f')).toMatchObject({ value: undefined, status: 'error' })
  })

  test('a pushed feature gives its last value from history, else its default, else store_unavailable', async () => {
    const { state, wrapOnline } = flaky()
    bench = await openBench({ wrapOnline, features: { f: { kind: 'pushed', maxStaleness: '1h' }, d: { kind: 'pushed', default: 3 } } })
    const { clock, read, push, parts } = bench
    await push('f', 'u1', 9)
    await parts().recorder.flush()
    state.down = true
    clock.advance('1m')
    expect(await read('f')).toMatchObject({ value: 9, status: 'stale', servedFrom: 'last_good', ageMs: 60_000 })
    expect(await read('f', 'u2')).toMatchObject({ status: 'error', error: { code: 'store_unavailable' } })
    expect(await read('d')).toMatchObject({ value: 3, status: 'default' })
  })

  test('what is computed is served, though it cannot be kept', async () => {
    const { state, wrapOnline } = flaky()
    bench = await openBench({ wrapOnline, features: { f: {} } })
    state.down = true
    expect(await bench.read('f')).toMatchObject({ value: 1, status: 'fresh', servedFrom: 'computed', error: undefined })
  })

  test('history is asked once, however many wait for a failing key', async () => {
    const { state, wrapOnline } = flaky()
    let asked = 0
    const wrapOffline = (store: OfflineStore): OfflineStore => ({
      ...store,
      latestOf(...args) {
        asked++
        return store.latestOf(...args)
      },
    })
    bench = await openBench({ wrapOnline, wrapOffline, features: { f: {} } })
    await bench.read('f')
    await bench.parts().recorder.flush()
    state.down = true
    bench.programme.set('f', fail)
    const served = await Promise.all(Array.from({ length: 100 }, () => bench.read('f')))
    expect(served.every((one) => one.value === 1 && one.servedFrom === 'last_good')).toBe(true)
    expect(asked).toBe(1)
  })

  test('reads are as before as soon as it is back', async () => {
    const { state, wrapOnline } = flaky()
    bench = await openBench({ wrapOnline, features: { f: { kind: 'pushed' } } })
    await bench.push('f', 'u1', 9)
    state.down = true
    await bench.read('f')
    state.down = false
    expect(await bench.read('f')).toMatchObject({ value: 9, status: 'fresh', servedFrom: 'online' })
  })
})
