import type { StoredValue } from '../online-store.ts'
import { type Layout, readRow } from './layout.ts'

/** Values kept; beyond, the half that was not read of late goes. */
const MAX_VALUES = 200_000
/** Fewer are decoded as fast as they are looked up. */
const LEAST_FIELDS = 4

type Row = readonly (StoredValue | undefined)[]
type Texts = readonly (string | null)[]
type Generation = Map<Layout, Map<string, Decoded>>

interface Decoded {
  texts: Texts
  row: Row
}

/**
 * Keys that are read again have mostly not changed: then what Redis answers is the text that was decoded last time, and comparing costs a
 * fifth of decoding. Nothing is served from here that Redis did not just say.
 */
export function createDecodedRows(maxValues = MAX_VALUES): (layout: Layout, hash: string, texts: Texts) => Row {
  let young: Generation = new Map()
  let old: Generation = new Map()
  let count = 0

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

  return (layout, hash, texts) => {
    if (layout.heads.length < LEAST_FIELDS) return readRow(layout, texts)
    const recent = young.get(layout)?.get(hash)
    const known = recent ?? old.get(layout)?.get(hash)
    const decoded = known ?? { texts, row: readRow(layout, texts) }
    if (known && !areSame(known.texts, texts)) {
      known.texts = texts
      known.row = readRow(layout, texts)
    }
    if (!recent) keep(layout, hash, decoded)
    return decoded.row
  }
}

function areSame(a: Texts, b: Texts): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
