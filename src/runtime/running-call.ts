/**
 * Tells the host whose code runs at this instant, so that the right call is blamed when the thread goes silent. Known while a function is
 * being called, and while it goes on after a question was answered or a timer fired.
 */
export interface RunningCall {
  /** Runs something that belongs to a call. */
  during<T>(id: number, run: () => T): T
  /** The same for something that resumes the call's code a few microtasks later. Resolves when that code has run up to its next wait. */
  resuming(id: number, resume: () => void): Promise<void>
}

/** Microtasks between our promise and the user's code that awaits it, with room to spare. */
const HOPS = 10

/** @param slot Shared with the host; null where there is no shared memory. */
export function createRunningCall(slot: Int32Array | null): RunningCall {
  const set = (id: number) => {
    if (slot) Atomics.store(slot, 0, id)
  }
  return {
    during(id, run) {
      set(id)
      try {
        return run()
      } finally {
        set(0)
      }
    },
    async resuming(id, resume) {
      set(id)
      resume()
      for (let hop = 0; hop < HOPS; hop++) await null
      set(0)
    },
  }
}

/** Makes timers tell whose code they resume. `current` gives the call that sets the timer; 0 for none. */
export function watchTimers(running: RunningCall, current: () => number): void {
  const original = globalThis.setTimeout
  const watched = (callback: unknown, ms?: number, ...args: unknown[]) => {
    const id = typeof callback === 'function' ? current() : 0
    if (id === 0) return Reflect.apply(original, globalThis, [callback, ms, ...args])
    const resume = (...given: unknown[]) => void running.resuming(id, () => Reflect.apply(callback as () => void, undefined, given))
    return original(resume, ms, ...args)
  }
  // What else hangs on the function, such as its promise form, stays.
  Object.defineProperties(watched, Object.getOwnPropertyDescriptors(original))
  globalThis.setTimeout = watched as typeof setTimeout
}
