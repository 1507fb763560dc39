import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { entityKey } from '../../src/definition/entity-key.ts'
import { type Bench, openBench, type WrittenBench } from '../support/bench.ts'
import { emptyRedis, startRedis, type TestServer } from '../support/servers.ts'
import { sharedRedis } from '../support/shared-redis.ts'

let server: TestServer
let processes: Bench[] = []
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(() => emptyRedis(server))
afterEach(async () => {
  await Promise.all(processes.map((process) => process.close()))
  processes = []
})

/** Two processes that share a Redis, each with a clock and user code of its own. */
async function two(features: WrittenBench['features']): Promise<[Bench, Bench]> {
  const open = () =>
    openBench({
      features,
      openShared: () => sharedRedis(server),
    })
  const [a, b] = [await open(), await open()]
  processes = [a, b]
  return [a, b]
}
const advance = (by: string) => {
  for (const process of processes) process.clock.advance(by)
}
const tick = () => Promise.all(processes.map((process) => process.scheduler().tick()))
const sync = async () => {
  for (const process of processes) await process.shared()?.sync()
}

describe('of two processes', () => {
  test('one refreshes, for the keys that either uses, and the other serves what it computed', async () => {
    const [a, b] = await two({ f: { refresh: '5m' } })
    a.programme.set('f', () => 1)
    b.programme.set('f', () => 1)
    await a.read('f', 'u1')
    await b.read('f', 'u2')
    await b.read('f', 'ü:{3}')
    await sync()
    const before = a.programme.count('f') + b.programme.count('f')
    expect(before).toBe(3)
    for (let window = 1; window <= 3; window++) {
      advance('5m')
      await tick()
      expect(a.programme.count('f') + b.programme.count('f')).toBe(before + 3 * window)
      expect(await a.read('f', 'u2')).toMatchObject({ status: 'fresh', servedFrom: 'online' })
      expect(await b.read('f', 'ü:{3}')).toMatchObject({ status: 'fresh', servedFrom: 'online' })
    }
    // All by the same one.
    expect([a.programme.count('f'), b.programme.count('f')].sort((x, y) => x - y)).toContainEqual(expect.any(Number))
    expect(Math.min(a.programme.count('f') - 1, b.programme.count('f') - 2)).toBe(0)
  })

  test('the other takes over when the one that refreshes stops', async () => {
    const [a, b] = await two({ f: { refresh: '5m' } })
    await a.read('f', 'u1')
    await sync()
    advance('5m')
    await a.scheduler().tick()
    await b.scheduler().tick()
    expect([a.programme.count('f'), b.programme.count('f')]).toEqual([2, 0])
    await a.close()
    processes = [b]
    advance('5m')
    await tick()
    expect(b.programme.count('f')).toBe(1)
  })

  test('a value that one wrote later is not replaced by an older one of the other', async () => {
    const [a, b] = await two({ f: { kind: 'pushed' } })
    await a.push('f', 'u1', 'new', a.clock.now())
    await b.push('f', 'u1', 'old', b.clock.now() - 1)
    expect(await b.read('f')).toMatchObject({ value: 'new' })
  })

  test('what one forgot, the other neither brings back nor refreshes', async () => {
    const [a, b] = await two({ f: { refresh: '5m' }, p: { kind: 'pushed' } })
    const user = a.registry.entities.get('User')
    if (!user) throw new Error('There is no User.')
    await b.read('f', 'u1')
    await b.read('f', 'u2')
    await sync()
    const before = b.clock.now()
    advance('1m')
    await a.ingest().forget(user, entityKey(user, ['u1']))
    // Before it has heard: an event of before is refused by the store, and tells of the fence.
    await b.push('p', 'u1', 1, before)
    expect(b.parts().recorder.fences.hides('User', 'u1', before)).toBe(true)
    expect(await b.read('p')).toMatchObject({ status: 'missing' })
    await sync()
    advance('5m')
    const count = b.programme.count('f')
    await b.scheduler().tick()
    await a.scheduler().tick()
    expect(b.programme.count('f') - count).toBe(1)
    expect(a.programme.count('f')).toBe(0)
    expect(await a.parts().online.read('User', ['u1'], ['f@x'], undefined)).toEqual([[undefined]])
    await b.push('p', 'u1', 2)
    expect(await a.read('p')).toMatchObject({ value: 2 })
  })
})
