/**
 * Who has a call: the worker that was sent it, or the host that takes it back. A call that waits in the queue of a blocked thread can go to
 * another worker without ever running twice, because only one of the two gets through the gate. One slot of shared memory per call under way.
 *
 *   FREE → SENT (host) → BEGUN (guest) → FREE (host, at the answer)
 *                      → WITHDRAWN (host) → FREE (guest, when it comes to the call)
 */
const FREE = 0
const SENT = 1
const BEGUN = 2
const WITHDRAWN = 3

/** More than run at once on one worker. A call beyond has no slot, and counts as begun. */
export const GATES = 1024
const NO_SLOT = -1

export interface Gates {
  readonly shared: Int32Array
  /** @returns the slot of a call that is about to be sent; -1 when none is free. */
  open(): number
  hasBegun(slot: number): boolean
  /** @returns whether the call is the host's again, and never begins there. */
  withdraw(slot: number): boolean
  /** The host waits for it no longer. */
  release(slot: number): void
}

/** @param shared Memory of `GATES` words that the guest has too. */
export function createGates(shared: Int32Array = new Int32Array(new SharedArrayBuffer(4 * GATES))): Gates {
  let next = 0
  const withdraw = (slot: number) => slot !== NO_SLOT && Atomics.compareExchange(shared, slot, SENT, WITHDRAWN) === SENT
  return {
    shared,
    open() {
      for (let tried = 0; tried < GATES; tried++) {
        const slot = next
        next = (next + 1) % GATES
        if (Atomics.compareExchange(shared, slot, FREE, SENT) === FREE) return slot
      }
      return NO_SLOT
    },
    hasBegun: (slot) => slot === NO_SLOT || Atomics.load(shared, slot) !== SENT,
    withdraw,
    release(slot) {
      if (slot !== NO_SLOT && !withdraw(slot)) Atomics.store(shared, slot, FREE)
    },
  }
}

/** The guest's side. @returns whether it may begin the call. */
export function enter(shared: Int32Array | null, slot: number): boolean {
  if (shared === null || slot === NO_SLOT || Atomics.compareExchange(shared, slot, SENT, BEGUN) === SENT) return true
  Atomics.store(shared, slot, FREE)
  return false
}
