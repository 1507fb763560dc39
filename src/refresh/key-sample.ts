import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'

const MAX_KEYS = 1_000

/** The keys of a feature that were pushed last, some of them: enough to see whether pushes still come. */
export interface KeySample {
  note(feature: Feature, key: EntityKey): void
  of(feature: Feature): readonly EntityKey[]
  drop(feature: Feature, key: EntityKey): void
}

/** Each key has a place; where all are taken, another one's in turn. (The first entry of a map that many were deleted from takes long to find.) */
class Sample {
  readonly keys: EntityKey[] = []
  private readonly places = new Map<string, number>()
  private next = 0

  note(key: EntityKey): void {
    const { keys, places } = this
    if (places.has(key.encoded)) return
    const isFull = keys.length >= MAX_KEYS
    const place = isFull ? this.next : keys.length
    const before = keys[place]
    if (before) places.delete(before.encoded)
    keys[place] = key
    places.set(key.encoded, place)
    if (isFull) this.next = (place + 1) % MAX_KEYS
  }

  drop(key: EntityKey): void {
    const { keys, places } = this
    const place = places.get(key.encoded)
    const last = place === undefined ? undefined : keys.pop()
    if (place === undefined || !last) return
    places.delete(key.encoded)
    if (last.encoded === key.encoded) return
    keys[place] = last
    places.set(last.encoded, place)
  }
}

export function createKeySample(): KeySample {
  const features = new Map<string, Sample>()
  return {
    note({ name }, key) {
      const sample = features.get(name) ?? new Sample()
      features.set(name, sample)
      sample.note(key)
    },
    of: ({ name }) => [...(features.get(name)?.keys ?? [])],
    drop: ({ name }, key) => features.get(name)?.drop(key),
  }
}
