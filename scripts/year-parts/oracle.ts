import type { Micros } from '../../src/clock.ts'
import { COMPUTED, noteOf, PUSHED, windowDays } from './definitions.ts'

const DAY: Micros = 86_400_000_000

interface Push {
  readonly at: Micros
  /** Which note. */
  readonly n: number
}

/** All that was sent, and what follows from it. */
export class Oracle {
  private readonly events = new Map<string, Micros[]>()
  private readonly pushes = new Map<string, Push[]>()

  event(key: string, kind: number, at: Micros): void {
    const id = `${kind} ${key}`
    const known = this.events.get(id)
    if (known) known.push(at)
    else this.events.set(id, [at])
  }

  push(key: string, n: number, at: Micros): void {
    const known = this.pushes.get(key)
    if (known) known.push({ at, n })
    else this.pushes.set(key, [{ at, n }])
  }

  forget(key: string): void {
    this.pushes.delete(key)
  }

  /** In the order of the features, the pushed one first. */
  asOf(key: string, time: Micros, version: number): readonly (string | null)[] {
    return [this.pushedAsOf(key, time), ...COMPUTED.map((_, i) => String(this.counted(key, time, { feature: i, version })))]
  }

  private pushedAsOf(key: string, time: Micros): string | null {
    const last = this.pushes.get(key)?.findLast(({ at }) => at <= time)
    return last ? noteOf(last.n) : null
  }

  private counted(key: string, time: Micros, { feature, version }: { readonly feature: number; readonly version: number }): number {
    const since = time - windowDays(feature, version) * DAY
    return (this.events.get(`${feature % 3} ${key}`) ?? []).filter((at) => at > since && at <= time).length
  }
}

export const NAMES = [PUSHED, ...COMPUTED]
