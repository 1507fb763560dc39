import { describe, expect, test } from 'bun:test'
import type { LeaseStore } from '../../src/store/ports/lease-store.ts'
import { until } from '../support/until.ts'

const LONG_MS = 60_000
/** A busy machine may take longer to renew: then it tries again. */
const TERM_MS = 500

/** What every lease store promises. `factory` gives an empty one each time. @param passing Lets so many milliseconds go by for it. */
export function leaseStoreSuite(name: string, factory: () => Promise<LeaseStore>, passing: (ms: number) => Promise<void>): void {
  describe(`lease store: ${name}`, () => {
    test('of many who ask at once, one gets the lease', async () => {
      const leases = await factory()
      const tokens = await Promise.all(Array.from({ length: 50 }, () => leases.acquire('a', LONG_MS)))
      expect(tokens.filter((token) => token !== undefined)).toHaveLength(1)
      expect(await leases.acquire('b', LONG_MS)).toBeNumber()
    })

    test('a released lease is free, and every term has a higher token', async () => {
      const leases = await factory()
      let last = 0
      for (let term = 0; term < 5; term++) {
        const token = (await leases.acquire('a', LONG_MS)) ?? 0
        expect(token).toBeGreaterThan(last)
        expect(Number.isSafeInteger(token)).toBe(true)
        await leases.release('a', token)
        last = token
      }
    })

    test('an old token neither renews nor ends the term of another', async () => {
      const leases = await factory()
      const old = (await leases.acquire('a', LONG_MS)) ?? 0
      await leases.release('a', old)
      const token = (await leases.acquire('a', LONG_MS)) ?? 0
      expect(await leases.renew('a', old, LONG_MS)).toBe(false)
      await leases.release('a', old)
      expect(await leases.acquire('a', LONG_MS)).toBeUndefined()
      expect(await leases.renew('a', token, LONG_MS)).toBe(true)
    })

    test('a term that ran out is over, and renewing keeps one from running out', async () => {
      const leases = await factory()
      let tries = 0
      const kept = await until('a renewal in time', 5_000, async () => {
        const name = `kept${++tries}`
        const token = (await leases.acquire(name, TERM_MS)) ?? 0
        return (await leases.renew(name, token, LONG_MS)) ? name : undefined
      })
      const lost = (await leases.acquire('lost', TERM_MS)) ?? 0
      await passing(TERM_MS + 1)
      const next = await until('the lease to run out', 5_000, () => leases.acquire('lost', LONG_MS))
      expect(next).toBeGreaterThan(lost)
      expect(await leases.renew('lost', lost, LONG_MS)).toBe(false)
      expect(await leases.acquire(kept, LONG_MS)).toBeUndefined()
    })
  })
}
