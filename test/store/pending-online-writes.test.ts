import { afterAll, expect, test } from 'bun:test'
import { FabraError } from '../../src/errors.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createMemoryOnlineStore } from '../../src/store/memory/online-store.ts'
import type { OfflineStore } from '../../src/store/ports/offline-store.ts'
import type { OnlineStore, StoredWrite } from '../../src/store/ports/online-store.ts'
import { createPendingOnlineWrites } from '../../src/store/recording/pending-online-writes.ts'
import { movableClock } from '../support/clock.ts'

const opened: OfflineStore[] = []
afterAll(() => Promise.all(opened.map((store) => store.close())))

async function bench(maxPending: number) {
  const memory = createMemoryOnlineStore()
  const down = { is: true }
  const online: OnlineStore = {
    ...memory,
    write: (rows) => (down.is ? Promise.reject(new FabraError('store_unavailable', 'down')) : memory.write(rows)),
  }
  const offline = createDuckdbOfflineStore(await openDatabase({ file: ':memory:' }))
  opened.push(offline)
  const clock = movableClock(1_000_000)
  const pending = createPendingOnlineWrites({ online, offline, clock, writer: 'me', maxPending })
  const filled: string[][] = []
  const replay = () =>
    pending.replay(async (fields) => {
      filled.push([...fields])
    })
  const read = async (key: string, field = 'f@1') => (await memory.read('User', [key], [field], undefined))[0]?.[0]?.texts
  return { pending, offline, clock, down, filled, replay, read }
}

const write = (key: string, value: string, eventAt: number, field = 'f@1'): StoredWrite => ({
  entity: 'User',
  key,
  field,
  value: { texts: [value], eventAt, availableAt: eventAt, seq: eventAt, origin: 'pushed', oldestInputAt: null },
})

test('the newest value of each key is written when the store is back, and that it is pending is noted until then', async () => {
  const { pending, offline, clock, down, filled, replay, read } = await bench(10)
  expect(await replay()).toEqual(new Map())
  await pending.add([write('u1', '2', 20), write('u2', '1', 5)])
  await pending.add([write('u1', '1', 10)])
  expect(await offline.pendingNotes()).toEqual([{ writer: 'me', at: clock.now() }])
  clock.advance('1m')
  expect(await replay().catch((error) => error.code)).toBe('store_unavailable')
  expect(await offline.pendingNotes()).toEqual([{ writer: 'me', at: clock.now() }])
  down.is = false
  expect(await replay()).toEqual(new Map([['f@1', ['u1', 'u2']]]))
  expect([await read('u1'), await read('u2')]).toEqual([['2'], ['1']])
  expect(await offline.pendingNotes()).toEqual([])
  expect(await replay()).toEqual(new Map())
  expect(filled).toEqual([])
})

test('is noted anew before others may take the process for gone: they bring what was there by then, and forget the note', async () => {
  const { pending, offline, clock } = await bench(10)
  await pending.add([write('u1', '1', 1)])
  const first = clock.now()
  clock.advance('9s')
  await pending.add([write('u2', '1', 1)])
  expect(await offline.pendingNotes()).toEqual([{ writer: 'me', at: first }])
  clock.advance('31s')
  await offline.forgetPendingNotes(['me'])
  await pending.add([write('u3', '1', 1)])
  expect(await offline.pendingNotes()).toEqual([{ writer: 'me', at: clock.now() }])
})

test('a note that is taken back without an answer, and later than it is noted anew, does not take the new one along', async () => {
  const { pending, offline, clock, down, replay } = await bench(10)
  const { forgetPendingNotes } = offline
  const later: Promise<void>[] = []
  const noted = Promise.withResolvers<void>()
  offline.forgetPendingNotes = (...args) => {
    later.push(noted.promise.then(() => forgetPendingNotes(...args)))
    return Promise.reject(new FabraError('store_unavailable', 'It did not answer.'))
  }
  await pending.add([write('u1', '1', 1)])
  down.is = false
  expect(await replay().catch((error) => error.code)).toBe('store_unavailable')
  clock.advance('1s')
  await pending.add([write('u2', '1', 1)])
  noted.resolve()
  await Promise.all(later)
  expect(later.length).toBe(1)
  expect(await offline.pendingNotes()).toEqual([{ writer: 'me', at: clock.now() }])
})

test('of too many the features are remembered, and filled from history', async () => {
  const { pending, offline, down, filled, replay } = await bench(3)
  await pending.add(Array.from({ length: 5 }, (_, i) => write(`u${i}`, '1', i)))
  await pending.add([write('u9', '1', 1), write('u9', '1', 1, 'g@1')])
  expect(await replay().catch((error) => error.code)).toBe('store_unavailable')
  down.is = false
  expect(await replay()).toEqual(
    new Map<string, string[] | 'all'>([
      ['g@1', ['u9']],
      ['f@1', 'all'],
    ]),
  )
  expect(filled).toEqual([['f@1']])
  expect(await offline.pendingNotes()).toEqual([])
})

test('nothing is called recorded before it is noted that it is pending', async () => {
  const { pending, offline } = await bench(3)
  await offline.close()
  expect(await pending.add([write('u1', '1', 1)]).catch((error) => error.code)).toBe('store_unavailable')
})
