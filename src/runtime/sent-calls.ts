import { createGates } from './gates.ts'

/** The calls that one worker was sent, by their ids, each behind a gate; see gates.ts. */
export interface SentCalls {
  /** What the guest needs to know of the gates. */
  readonly gates: Int32Array
  /** @returns the slot of its gate, to be sent with it. */
  add(id: number): number
  hasBegun(id: number): boolean
  /** How long it had run by then. Milliseconds. @param at On the clock of `performance.now()`. */
  ranMs(id: number, at: number): number
  /** @returns whether the call never begins here. */
  withdraw(id: number): boolean
  /** Nobody waits for the call here any more. */
  release(id: number): void
}

/** @param shared See gates.ts. */
export function createSentCalls(shared?: Int32Array): SentCalls {
  const gates = createGates(shared)
  const sent = new Map<number, { readonly slot: number; readonly at: number }>()
  return {
    gates: gates.shared,
    add(id) {
      const slot = gates.open()
      sent.set(id, { slot, at: performance.now() })
      return slot
    },
    hasBegun(id) {
      const one = sent.get(id)
      return one !== undefined && gates.hasBegun(one.slot)
    },
    ranMs(id, at) {
      const one = sent.get(id)
      return one === undefined ? 0 : Math.max(0, at - one.at)
    },
    withdraw(id) {
      const one = sent.get(id)
      if (one !== undefined && !gates.withdraw(one.slot)) return false
      sent.delete(id)
      return true
    },
    release(id) {
      const one = sent.get(id)
      if (one !== undefined) gates.release(one.slot)
      sent.delete(id)
    },
  }
}
