import { describe, expect, test } from 'bun:test'
import { backoff, jittered } from '../src/collections/backoff.ts'
import { createSemaphore } from '../src/collections/semaphore.ts'

describe('the pause before the next attempt', () => {
  test('doubles with each failure, up to the longest', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 1_000_000].map((failures) => backoff(failures, { first: 100, longest: 1_500 }))
    expect(pauses).toEqual([100, 200, 400, 800, 1_500, 1_500, 1_500])
  })

  test('is cut by half at the most, by chance', () => {
    expect([0, 0.5, 1].map((chance) => jittered(100, () => chance))).toEqual([50, 75, 100])
  })
})

describe('a semaphore', () => {
  test('without limits lets any number wait, and each has its turn in the order in which they came', async () => {
    const semaphore = createSemaphore(2)
    const begun: number[] = []
    let running = 0
    let most = 0
    const works = Array.from({ length: 20_000 }, (_, i) =>
      semaphore.pass(async () => {
        begun.push(i)
        most = Math.max(most, ++running)
        await null
        running--
      }),
    )
    await Promise.all(works)
    expect(most).toBe(2)
    expect(begun).toEqual(Array.from({ length: 20_000 }, (_, i) => i))
  })

  test('with limits refuses who waits for too long, and the turn goes to the next', async () => {
    const semaphore = createSemaphore(1, { most: 10, longestMs: 20, refuse: () => new Error('not today') })
    const { promise, resolve } = Promise.withResolvers<void>()
    const first = semaphore.pass(() => promise)
    await expect(semaphore.pass(async () => 'never')).rejects.toThrow('not today')
    const next = semaphore.pass(async () => 'next')
    resolve()
    await first
    expect(await next).toBe('next')
  })
})
