import { expect, test } from 'bun:test'
import { FabraError } from '../../src/errors.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { createLeaseKeeper } from '../../src/refresh/lease-keeper.ts'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import type { LeaseStore } from '../../src/store/ports/lease-store.ts'

/** Several processes with one clock and one lease store that can be away. */
function processes() {
  const state = { nowMs: 0, down: false }
  const store = createMemoryLeaseStore(() => state.nowMs)
  const calls = async <Answer>(answer: () => Promise<Answer>) => {
    if (state.down) throw new FabraError('store_unavailable', 'It is down.')
    return answer()
  }
  const leases: LeaseStore = {
    acquire: (name, ttlMs) => calls(() => store.acquire(name, ttlMs)),
    renew: (name, token, ttlMs) => calls(() => store.renew(name, token, ttlMs)),
    release: (name, token) => calls(() => store.release(name, token)),
  }
  return { state, keeper: () => createLeaseKeeper({ leases, nowMs: () => state.nowMs, log: silentLogger }) }
}

test('of many processes one refreshes a feature, for as long as it renews its lease', async () => {
  const { state, keeper } = processes()
  const [a, b] = [keeper(), keeper()]
  expect(await Promise.all([a.hold('f'), b.hold('f'), a.hold('f')])).toEqual([true, false, true])
  expect(await b.hold('g')).toBe(true)
  for (let minute = 0; minute < 10; minute++) {
    state.nowMs += 10_000
    await Promise.all([a.renew(), b.renew()])
    expect(await Promise.all([a.hold('f'), b.hold('f')])).toEqual([true, false])
  }
})

test('a process that stops hands its leases back, one that dies is followed when they have run out', async () => {
  const { state, keeper } = processes()
  const [a, b, c] = [keeper(), keeper(), keeper()]
  await a.hold('f')
  await a.close()
  expect(await a.hold('f')).toBe(false)
  expect(await b.hold('f')).toBe(true)
  // b is killed: it renews no more.
  state.nowMs += 29_999
  expect(await c.hold('f')).toBe(false)
  state.nowMs += 1
  expect(await c.hold('f')).toBe(true)
})

test('a process that stood still no longer trusts its lease, and cannot renew it when another has it', async () => {
  const { state, keeper } = processes()
  const [a, b] = [keeper(), keeper()]
  await a.hold('f')
  state.nowMs += 31_000
  expect(await b.hold('f')).toBe(true)
  await a.renew()
  expect(await a.hold('f')).toBe(false)
})

test('while leases cannot be renewed they are trusted until shortly before their end, and nobody gets one', async () => {
  const { state, keeper } = processes()
  const [a, b] = [keeper(), keeper()]
  await a.hold('f')
  state.down = true
  state.nowMs += 27_000
  await a.renew()
  expect(await Promise.all([a.hold('f'), b.hold('f')])).toEqual([true, false])
  state.nowMs += 1_001
  expect(await a.hold('f')).toBe(false)
  state.down = false
  state.nowMs += 2_000
  expect(await b.hold('f')).toBe(true)
})
