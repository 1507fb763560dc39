import type { Micros } from '../clock.ts'
import { ChunkedList, type List } from '../collections/chunked-list.ts'
import { createPace } from '../collections/yielding.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import type { OnlineStore, StoredValue } from '../store/ports/online-store.ts'

/** Keys looked up without a look at the clock. */
const STEP = 500

/** Some of the keys of a run. */
export interface KeyRange {
  readonly keys: List<EntityKey>
  readonly from: number
  readonly to: number
}

/** Keys that are to be computed, in two lists of one order. */
export interface DueKeys {
  /** Among all keys of the run. */
  readonly indexes: List<number>
  /** Of each the value that is stored; undefined: there is none. */
  readonly texts: List<StoredValue['texts'] | undefined>
}

export interface DueKeysOptions {
  readonly online: Pick<OnlineStore, 'read'>
  /** Keys whose stored value is at least as new as this are left out; null: none is. */
  readonly before: Micros | null
  /** When a key was last forgotten; undefined: never. */
  readonly forgottenAt: (entity: string, encodedKey: string) => Micros | undefined
  /** A key that was forgotten since then is left out: nobody has asked for it again. */
  readonly startedAt: Micros
}

/** Other work has its turn in between. @throws FabraError store_unavailable */
export async function findDueKeys(feature: Feature, { keys, from, to }: KeyRange, options: DueKeysOptions): Promise<DueKeys> {
  const { online, before, forgottenAt, startedAt } = options
  const indexes = new ChunkedList<number>()
  const texts = new ChunkedList<StoredValue['texts'] | undefined>()
  const fields = [fieldOf(feature)]
  const pace = createPace()
  for (let at = from; at < to; at += STEP) {
    const wait = pace()
    if (wait) await wait
    const encoded = Array.from({ length: Math.min(STEP, to - at) }, (_, i) => (keys.at(at + i) as EntityKey).encoded)
    const stored = await online.read(feature.entity, encoded, fields)
    encoded.forEach((key, i) => {
      const value = stored[i]?.[0]
      if (before !== null && value && value.eventAt >= before) return
      if ((forgottenAt(feature.entity, key) ?? Number.NEGATIVE_INFINITY) >= startedAt) return
      indexes.push(at + i)
      texts.push(value?.texts)
    })
  }
  return { indexes, texts }
}
