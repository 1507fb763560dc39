import { describe, expect, test } from 'bun:test'
import { createSemaphore } from '../../src/store/redis/socket/semaphore.ts'

describe('work that goes through a gate', () => {
  test('is never more than its width at once, and all of it is done', async () => {
    const gate = createSemaphore(3)
    let running = 0
    let most = 0
    const done = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        gate.pass(async () => {
          most = Math.max(most, ++running)
          await new Promise((resolve) => setImmediate(resolve))
          running--
          return i
        }),
      ),
    )
    expect(done).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect(most).toBe(3)
  })

  test('that fails gives its place on', async () => {
    const gate = createSemaphore(1)
    const fails = Array.from({ length: 5 }, () => gate.pass(() => Promise.reject(new Error('no'))).catch(() => 'failed'))
    expect(await Promise.all(fails)).toEqual(Array.from({ length: 5 }, () => 'failed'))
    expect(await gate.pass(async () => 'passed')).toBe('passed')
  })

  test('waits in a queue with an end', async () => {
    const gate = createSemaphore(1)
    const { promise, resolve } = Promise.withResolvers<void>()
    const first = gate.pass(() => promise)
    const waiting = Array.from({ length: 10_000 }, () => gate.pass(async () => 'ok'))
    await expect(gate.pass(async () => 'ok')).rejects.toMatchObject({ code: 'store_unavailable' })
    resolve()
    await first
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['ok']))
  })
})
