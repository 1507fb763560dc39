import type { Micros } from '../../src/clock.ts'
import { COMPUTED, PUSHED, windowDays } from './definitions.ts'

const DAY: Micros = 86_400_000_000

interface Push {
  readonly at: Micros
  readonly value: number
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

  push(key: string, value: number, at: Micros): void {
    const known = this.pushes.get(key)
    if (known) known.push({ at, value })
    else this.pushes.set(key, [{ at, value }])
  }

  forget(key: string): void {
    this.pushes.delete(key)
  }

  /** In the order of the features, the pushed one first. */
  asOf(key: string, time: Micros, version: number): readonly (number | null)[] {
    return [this.pushedAsOf(key, time), ...COMPUTED.map((_, i) => this.counted(key, time, { feature: i, version }))]
  }

  private pushedAsOf(key: string, time: Micros): number | null {
    return this.pushes.get(key)?.findLast(({ at }) => at <= time)?.value ?? null
  }

  private counted(key: string, time: Micros, { feature, version }: { readonly feature: number; readonly version: number }): number {
    const since = time - windowDays(feature, version) * DAY
    return (this.events.get(`${feature % 3} ${key}`) ?? []).filter((at) => at > since && at <= time).length
  }
}

export const NAMES = [PUSHED, ...COMPUTED]
