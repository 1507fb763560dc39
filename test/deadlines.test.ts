import { expect, test } from 'bun:test'
import { createDeadlines } from '../src/collections/deadlines.ts'

test('each deadline comes once, in the order of their times, unless it was taken back', async () => {
  const deadlines = createDeadlines()
  const came: string[] = []
  const last = Promise.withResolvers<void>()
  const note = (name: string) => () => void came.push(name)
  const begun = performance.now()
  deadlines.after(150, last.resolve)
  deadlines.after(100, note('later'))
  deadlines.after(-1, note('past'))
  const shared = note('twice')
  const takeBack = deadlines.after(40, shared)
  deadlines.after(40, shared)
  takeBack()
  takeBack()
  await last.promise
  expect(came).toEqual(['past', 'twice', 'later'])
  expect(performance.now() - begun).toBeGreaterThanOrEqual(150)

  // None is left: it begins anew.
  const again = Promise.withResolvers<void>()
  deadlines.after(1, again.resolve)
  await again.promise
})
