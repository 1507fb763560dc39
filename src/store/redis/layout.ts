import type { StoredValue } from '../online-store.ts'
import { bucketOf, findBody, readBody, recordHead } from './record.ts'

/** Where the fields of a feature list lie. */
export interface Layout {
  readonly buckets: readonly string[]
  /** For each field, which of the buckets it is in. */
  readonly places: readonly number[]
  readonly heads: readonly string[]
}

export function layoutOf(fields: readonly string[]): Layout {
  const buckets: string[] = []
  const places = fields.map((field) => {
    const bucket = bucketOf(field)
    const known = buckets.indexOf(bucket)
    return known < 0 ? buckets.push(bucket) - 1 : known
  })
  return { buckets, places, heads: fields.map(recordHead) }
}

/** What Redis has in each bucket of a layout. */
export type Held = readonly (Buffer | null)[]

/** @returns one value a field; undefined where there is none. */
export function readRow({ places, heads }: Layout, held: Held): (StoredValue | undefined)[] {
  const texts = held.map((bytes) => bytes?.toString())
  const row: (StoredValue | undefined)[] = new Array(heads.length)
  const found: number[] = new Array(texts.length).fill(0)
  for (let f = 0; f < heads.length; f++) {
    const place = places[f] as number
    const text = texts[place]
    const at = text ? findBody(text, heads[f] as string, found[place] as number) : -1
    row[f] = text && at >= 0 ? readBody(text, at) : undefined
    if (at >= 0) found[place] = at
  }
  return row
}
