import { afterEach, describe, expect, test } from 'bun:test'
import { FabraError } from '../../src/errors.ts'
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
