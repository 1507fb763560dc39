import type { Micros } from '../clock.ts'
import type { List } from '../collections/chunked-list.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { AffectedKeys } from './affected-keys.ts'

export interface SecondLooksOptions {
  /** By any process, as far as they told. @throws FabraError store_unavailable */
  readonly keysInUse: (feature: Feature) => Promise<List<EntityKey>>
  /** After which time other processes have told which keys they use now; null: there are none. */
  readonly sharedWithinMs: number | null
  /** Told of keys in use that were not among those done. */
  readonly onLate: (feature: Feature, keys: AffectedKeys, from: Micros) => void
}

/** Keys that were read elsewhere just before rows came are told of a moment later: whoever computed all keys in use looks again. */
export class SecondLooks {
  private readonly options: SecondLooksOptions
  private readonly timers = new Set<Timer>()

  constructor(options: SecondLooksOptions) {
    this.options = options
  }

  /** @param done Encoded keys that were computed. */
  plan(feature: Feature, from: Micros, done: ReadonlyMap<string, unknown>): void {
    const { sharedWithinMs } = this.options
    if (sharedWithinMs === null) return
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      void this.look(feature, from, done)
    }, sharedWithinMs)
    timer.unref()
    this.timers.add(timer)
  }

  close(): void {
    for (const timer of this.timers) clearTimeout(timer)
  }

  private async look(feature: Feature, from: Micros, done: ReadonlyMap<string, unknown>): Promise<void> {
    const { keysInUse, onLate } = this.options
    try {
      const late = [...(await keysInUse(feature))].filter((key) => !done.has(key.encoded))
      onLate(feature, new Map(late.map((key) => [key.encoded, key])), from)
    } catch {
      onLate(feature, 'all', from)
    }
  }
}
