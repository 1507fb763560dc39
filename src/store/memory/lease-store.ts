import type { LeaseStore } from '../ports/lease-store.ts'

/** Leases among those who share this object: one process. @param nowMs Monotonic. */
export function createMemoryLeaseStore(nowMs: () => number): LeaseStore {
  const terms = new Map<string, { readonly token: number; until: number }>()
  let lastToken = 0
  const current = (name: string) => {
    const term = terms.get(name)
    return term && nowMs() < term.until ? term : undefined
  }
  return {
    async acquire(name, ttlMs) {
      if (current(name)) return undefined
      terms.set(name, { token: ++lastToken, until: nowMs() + ttlMs })
      return lastToken
    },
    async renew(name, token, ttlMs) {
      const term = current(name)
      if (term?.token !== token) return false
      term.until = nowMs() + ttlMs
      return true
    },
    async release(name, token) {
      if (terms.get(name)?.token === token) terms.delete(name)
    },
  }
}
