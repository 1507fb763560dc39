/** Keys of which history tells nothing, while the online store is down: what is known of them may be behind what others have served. */
import { afterEach, expect, test } from 'bun:test'
import { FabraError } from '../../src/errors.ts'
import type { OnlineStore } from '../../src/store/ports/online-store.ts'
import { type Bench, openBench } from '../support/bench.ts'
import { fail } from '../support/programmable-executor.ts'

let bench: Bench
afterEach(() => bench.close())

/** The memory store behind a switch. */
function flaky() {
  const state = { down: false }
  const refuse = () => Promise.reject(new FabraError('store_unavailable', 'The online store cannot be reached.'))
  const wrapOnline = (store: OnlineStore): OnlineStore => ({
    ...store,
    read: (entity, keys, fields, use) => (state.down ? refuse() : store.read(entity, keys, fields, use)),
    write: (rows) => (state.down ? refuse() : store.write(rows)),
  })
  return { state, wrapOnline }
}

test('they are computed, once a second at most, and the last good value stands in where that fails', async () => {
  const { state, wrapOnline } = flaky()
  const facts = { maxStaleness: '1h', refresh: '5m' } as const
  bench = await openBench({ wrapOnline, features: { f: { ...facts, history: 'auto', sampled: 0 }, all: { ...facts, history: 'all' } } })
  const { clock, read, programme, parts } = bench
  await read('f')
  await read('all')
  await parts().recorder.flush()
  state.down = true
  clock.advance('1m')
  // History has one of them, and nothing of the other.
  expect(await read('all')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'last_good', ageMs: 60_000 })
  expect(await read('f')).toMatchObject({ status: 'fresh', servedFrom: 'computed' })
  clock.advance('500ms')
  expect(await read('f')).toMatchObject({ status: 'stale', servedFrom: 'last_good', ageMs: 500 })
  clock.advance('600ms')
  expect(await read('f')).toMatchObject({ status: 'fresh', servedFrom: 'computed' })
  programme.set('f', fail)
  clock.advance('10m')
  expect(await read('f')).toMatchObject({ status: 'stale', servedFrom: 'last_good', ageMs: 600_000 })
})

test('a push is served as ever, until it is computed again', async () => {
  const { state, wrapOnline } = flaky()
  bench = await openBench({ wrapOnline, features: { f: { maxStaleness: '1h', refresh: '5m', history: 'auto', sampled: 0 } } })
  const { clock, read, push, parts } = bench
  await read('f')
  state.down = true
  clock.advance('1m')
  await push('f', 'u1', 9)
  await parts().recorder.flush()
  clock.advance('1m')
  expect(await read('f')).toMatchObject({ value: 9, status: 'stale', servedFrom: 'last_good', ageMs: 60_000 })
  clock.advance('10m')
  // Stale: computed behind it, and from then on it does not count, for another process neither.
  await read('f')
  await bench.idle()
  await parts().recorder.flush()
  const fingerprint = Bun.hash('f').toString(16).padStart(16, '0')
  expect(await parts().offline.latestOf('f', fingerprint, ['u1'])).toEqual([undefined])
  clock.advance('2s')
  expect(await read('f')).toMatchObject({ status: 'fresh', servedFrom: 'computed' })
})
