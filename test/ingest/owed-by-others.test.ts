/** Nobody takes the online store for whole while another process may owe it what it refused. */
import { expect, test } from 'bun:test'
import { OwedByOthers } from '../../src/app/owed-by-others.ts'
import { createDoubts } from '../../src/store/ports/doubts.ts'

const NOTE = { writer: 'another', at: 0 }

function world() {
  const doubts = createDoubts()
  const pendingOfOthers = new OwedByOthers(doubts)
  /** Redis answers as the look finds it. */
  const look = (found: 'refused' | 'takes writes') =>
    pendingOfOthers.duringLook(async () => doubts.set('refused', found === 'refused' ? 'NOREPLICAS' : null))
  /** The question is answered when that is called. */
  function ask() {
    const { promise, resolve } = Promise.withResolvers<readonly (typeof NOTE)[]>()
    const asked = pendingOfOthers.duringQuestion(() => promise)
    return async (notes: readonly (typeof NOTE)[]) => {
      resolve(notes)
      await asked
    }
  }
  return { doubts, look, ask }
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
