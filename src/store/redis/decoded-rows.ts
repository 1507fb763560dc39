import type { StoredValue } from '../online-store.ts'
import { type Held, type Layout, readRow } from './layout.ts'

/** Values kept; beyond, the half that was not read of late goes. */
const MAX_VALUES = 200_000
/** Fewer are decoded as fast as they are looked up. */
const LEAST_FIELDS = 4

type Row = readonly (StoredValue | undefined)[]
type Generation = Map<Layout, Map<string, Decoded>>

interface Decoded {
  held: Held
  row: Row
}

/**
 * Keys that are read again have mostly not changed: then what Redis answers are the bytes that were decoded last time, and comparing costs a
 * tenth of decoding. Nothing is served from here that Redis did not just say. A key is kept when it is read for the second time of late:
 * where there are too many keys to keep any for long, keeping them all would cost as much as decoding.
 */
export function createDecodedRows(maxValues = MAX_VALUES): (layout: Layout, hash: string, held: Held) => Row {
  let young: Generation = new Map()
  let old: Generation = new Map()
  let count = 0
  let met = new Map<Layout, Set<string>>()
  let metCount = 0

  function isMetAgain(layout: Layout, hash: string): boolean {
    if (met.get(layout)?.has(hash)) return true
    if (metCount >= maxValues / 4) {
      met = new Map()
      metCount = 0
    }
    metCount += layout.heads.length
    const hashes = met.get(layout)
    if (hashes) hashes.add(hash)
    else met.set(layout, new Set([hash]))
    return false
  }

  function keep(layout: Layout, hash: string, decoded: Decoded): void {
    if (count >= maxValues / 2) {
      old = young
      young = new Map()
      count = 0
    }
    count += layout.heads.length
    const hashes = young.get(layout)
    if (hashes) hashes.set(hash, decoded)
    else young.set(layout, new Map([[hash, decoded]]))
  }

  return (layout, hash, held) => {
    if (layout.heads.length < LEAST_FIELDS) return readRow(layout, held)
    const recent = young.get(layout)?.get(hash)
    const known = recent ?? old.get(layout)?.get(hash)
    if (!known) {
      const row = readRow(layout, held)
      if (isMetAgain(layout, hash)) keep(layout, hash, { held: copied(held), row })
      return row
    }
    if (!areSame(known.held, held)) {
      known.held = copied(held)
      known.row = readRow(layout, held)
    }
    if (!recent) keep(layout, hash, known)
    return known.row
  }
}

function areSame(a: Held, b: Held): boolean {
  for (let i = 0; i < a.length; i++) {
    const [one, other] = [a[i], b[i]]
    if (one ? !other || !one.equals(other) : other) return false
  }
  return true
}

/** What comes from the socket is a part of all that came at once. */
function copied(held: Held): Held {
  return held.map((bytes) => bytes && Buffer.from(bytes))
}
