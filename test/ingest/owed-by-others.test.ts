/** Nobody takes the online store for whole while another process may owe it what it refused. */
import { expect, test } from 'bun:test'
import { OwedByOthers } from '../../src/app/owed-by-others.ts'
import { FabraError } from '../../src/errors.ts'
import { createDoubts } from '../../src/store/ports/doubts.ts'
import { SqlError } from '../../src/store/ports/source-engine.ts'

const NOTE = { writer: 'another', at: 0 }

function world() {
  const doubts = createDoubts()
  const time = { now: 1_000 }
  const pendingOfOthers = new OwedByOthers(doubts, () => time.now)
  /** Whether what the store says now counts as it is. */
  const isBelieved = () => !doubts.isAny && time.now <= doubts.trustedUntil
  /** Redis answers as the look finds it. */
  const look = (found: 'refused' | 'takes writes') =>
    pendingOfOthers.duringLook(async () => doubts.set('refused', found === 'refused' ? 'NOREPLICAS' : null))
  /** The question is answered when that is called. */
  function ask() {
    const { promise, resolve } = Promise.withResolvers<readonly (typeof NOTE)[]>()
    const asked = pendingOfOthers.duringQuestion(() => promise)
    return async (notes: readonly (typeof NOTE)[] | Error) => {
      resolve(notes instanceof Error ? Promise.reject(notes) : notes)
      await asked.catch(() => undefined)
    }
  }
  return { doubts, look, ask, time, isBelieved, pendingOfOthers }
}

test('that nobody owes anything does not count while writes are refused: somebody may be refused one a moment later', async () => {
  const { doubts, look, ask } = world()
  await look('refused')
  await ask()([])
  expect(doubts.has('owed_by_others')).toBe(true)
  await look('takes writes')
  expect(doubts.has('refused')).toBe(false)
  expect(doubts.has('owed_by_others')).toBe(true)
  await ask()([])
  expect(doubts.isAny).toBe(false)
})

test('a question that began before writes were seen to be taken again proves nothing', async () => {
  const { doubts, look, ask } = world()
  await look('refused')
  const answer = ask()
  await look('takes writes')
  await answer([])
  expect(doubts.has('owed_by_others')).toBe(true)
})

test('a refusal that only a write has met makes others suspect, too, before it is over', async () => {
  const { doubts, look, ask } = world()
  doubts.set('refused', 'NOREPLICAS')
  const looking = look('takes writes')
  expect(doubts.has('owed_by_others')).toBe(true)
  await looking
  expect(doubts.has('refused')).toBe(false)
  expect(doubts.has('owed_by_others')).toBe(true)
  await ask()([NOTE])
  expect(doubts.has('owed_by_others')).toBe(true)
  await ask()([])
  expect(doubts.isAny).toBe(false)
})

test('a look that fails keeps what was suspected', async () => {
  const doubts = createDoubts()
  const pendingOfOthers = new OwedByOthers(doubts)
  doubts.set('refused', 'NOREPLICAS')
  const failing = pendingOfOthers.duringLook(() => Promise.reject(new Error('gone')))
  await expect(failing).rejects.toThrow('gone')
  expect(doubts.has('owed_by_others')).toBe(true)
})

test('what others noted while the store was out of reach is not forgotten where it is back and history is away', async () => {
  const { doubts, look, ask, isBelieved, pendingOfOthers } = world()
  await ask()([])
  expect(isBelieved()).toBe(true)
  const before = ask()
  await pendingOfOthers.duringLook(() => Promise.reject(new Error('gone'))).catch(() => undefined)
  await look('takes writes')
  await before([])
  expect(isBelieved()).toBe(false)
  await ask()(new FabraError('store_unavailable', 'No.', { cause: new SqlError('unavailable', 'No.', null) }))
  expect(isBelieved()).toBe(false)
  await ask()([NOTE])
  expect(doubts.why().get('owed_by_others')).toContain('lacks what another process')
  await ask()([])
  expect(isBelieved()).toBe(true)
})

test('that nobody owes anything holds for less than a second from when it was asked, however late the answer', async () => {
  const { ask, time, isBelieved } = world()
  time.now += 1
  expect(isBelieved()).toBe(false)
  await ask()([])
  time.now += 400
  expect(isBelieved()).toBe(true)
  const answer = ask()
  time.now += 501
  expect(isBelieved()).toBe(false)
  await answer([])
  expect(isBelieved()).toBe(true)
  // It was asked half a second ago.
  time.now += 400
  expect(isBelieved()).toBe(false)
})

test('a history that is away records nothing that anybody could owe; one that only is late may', async () => {
  const { ask, time, isBelieved } = world()
  const failure = (kind: SqlError['kind']) => new FabraError('store_unavailable', 'No.', { cause: new SqlError(kind, 'No.', null) })
  const away = ask()
  time.now += 2_000
  await away(failure('unavailable'))
  expect(isBelieved()).toBe(true)
  time.now += 901
  const late = ask()
  await late(failure('timeout'))
  expect(isBelieved()).toBe(false)
})
