import type { Slots } from '../process/slots.ts'
import type { Blame } from './blame.ts'

/** Calls that nobody waits for any more and that run on all the same: Python cannot end a thread. */
export interface LostCalls {
  add(id: number, feature: string): void
  stop(): void
}

export interface LostCallsOptions {
  readonly slots: Slots
  readonly blame: Blame
  /** They tie the process up. Called once. */
  onTooMany(features: readonly string[]): void
}

const LOOK_MS = 500
/** Half of those that may run at once. */
const MOST = 16
/** Hundredths of a second that a call burned after its end: it takes the processor, and the interpreter's lock, from the others. */
const BURNED_TICKS = 30

export function createLostCalls({ slots, blame, onTooMany }: LostCallsOptions): LostCalls {
  const lost = new Map<number, { readonly feature: string; burned: number | null }>()
  let timer: ReturnType<typeof setInterval> | null = null

  function look(): void {
    const running = new Map(slots.running().map((thread) => [thread.call, thread]))
    const burning: string[] = []
    for (const [id, one] of lost) {
      const thread = running.get(id)
      if (thread === undefined) {
        lost.delete(id)
        continue
      }
      const burned = blame.burned(thread)
      if (one.burned === null) one.burned = burned
      else if (burned !== null && burned - one.burned >= BURNED_TICKS) burning.push(one.feature)
    }
    const features = burning.length > 0 ? burning : [...lost.values()].map((one) => one.feature)
    if (lost.size === 0) stop()
    else if (burning.length > 0 || lost.size >= MOST) {
      stop()
      lost.clear()
      onTooMany([...new Set(features)])
    }
  }
  function stop(): void {
    if (timer !== null) clearInterval(timer)
    timer = null
  }

  return {
    add(id, feature) {
      lost.set(id, { feature, burned: null })
      if (timer !== null) return
      timer = setInterval(look, LOOK_MS)
      timer.unref()
    },
    stop,
  }
}
