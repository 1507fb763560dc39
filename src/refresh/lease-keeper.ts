/**
 * Which features this process refreshes.
 *
 * Of many processes one holds a feature's lease, for as long as it lives: it renews it at a third of its time and hands it back when it
 * stops, and the others ask at every tick. A holder that dies or stands still is followed when its lease runs out. A holder trusts its lease
 * only until a margin before its end, counted on its own monotonic clock from before it asked; what it cannot renew by then it has lost.
 */
import type { Logger } from '../observability/logger.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'

const LEASE_MS = 30_000
const MARGIN_MS = 2_000
const RENEW_EVERY_MS = LEASE_MS / 3

export interface LeaseKeeper {
  /** Whether this process holds the lease now, asking for it if need be. False when that cannot be known. */
  hold(name: string): Promise<boolean>
  /** Renew what is held. Done by itself every ten seconds. */
  renew(): Promise<void>
  /** Hands everything back. */
  close(): Promise<void>
}

export interface LeaseKeeperOptions {
  readonly leases: LeaseStore
  /** Monotonic. */
  readonly nowMs: () => number
  readonly log: Logger
}

interface Term {
  readonly token: number
  trustedUntil: number
}

export function createLeaseKeeper({ leases, nowMs, log }: LeaseKeeperOptions): LeaseKeeper {
  const terms = new Map<string, Term>()
  const asking = new Map<string, Promise<boolean>>()
  let closed = false
  const timer = setInterval(() => void renew(), RENEW_EVERY_MS)
  timer.unref()

  const trustedFrom = (requestedAt: number) => requestedAt + LEASE_MS - MARGIN_MS

  async function acquire(name: string): Promise<boolean> {
    const requestedAt = nowMs()
    try {
      const token = await leases.acquire(name, LEASE_MS)
      if (token === undefined) return false
      if (closed) {
        await leases.release(name, token)
        return false
      }
      terms.set(name, { token, trustedUntil: trustedFrom(requestedAt) })
      return true
    } catch (error) {
      log.debug('a lease could not be asked for', { name, error })
      return false
    }
  }

  async function renewOne(name: string, term: Term): Promise<void> {
    const requestedAt = nowMs()
    try {
      if (await leases.renew(name, term.token, LEASE_MS)) term.trustedUntil = trustedFrom(requestedAt)
      else if (terms.get(name) === term) terms.delete(name)
    } catch (error) {
      // It may still be ours; it is trusted until its time is over.
      log.debug('a lease could not be renewed', { name, error })
    }
  }

  async function renew(): Promise<void> {
    await Promise.all([...terms].map(([name, term]) => renewOne(name, term)))
  }

  return {
    async hold(name) {
      if (closed) return false
      const term = terms.get(name)
      if (term && nowMs() < term.trustedUntil) return true
      if (term) terms.delete(name)
      let asked = asking.get(name)
      if (!asked) {
        asked = acquire(name).finally(() => asking.delete(name))
        asking.set(name, asked)
      }
      return asked
    },
    renew,
    async close() {
      closed = true
      clearInterval(timer)
      await Promise.all(asking.values())
      const held = [...terms]
      terms.clear()
      await Promise.allSettled(held.map(([name, { token }]) => leases.release(name, token)))
    },
  }
}
