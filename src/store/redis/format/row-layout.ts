import type { StoredRow, StoredValue } from '../../ports/online-store.ts'
import { bucketOf, endOfRecord, headAt, RECORD, readBody, readRecord, recordHead } from './record.ts'
import { RecordGuess } from './record-guess.ts'

/** Where the fields of a feature list lie. */
export interface Layout {
  readonly buckets: readonly string[]
  /** What the record of each field begins with. */
  readonly heads: readonly string[]
  /** Indexes of the fields, those of one bucket after the other: mostly as their records lie. */
  readonly order: readonly number[]
  /** By head. */
  readonly indexesInOrder: ReadonlyMap<string, number>
  readonly guess: RecordGuess
  /** Fields that are named a second time, with the index of the first. */
  readonly repeats: readonly (readonly [f: number, first: number])[]
}

export function layoutOf(fields: readonly string[]): Layout {
  const buckets = [...new Set(fields.map(bucketOf))]
  const heads = fields.map(recordHead)
  const isFirst = (field: string, f: number) => fields.indexOf(field) === f
  const order = buckets.flatMap((bucket) => fields.flatMap((field, f) => (bucketOf(field) === bucket && isFirst(field, f) ? [f] : [])))
  return {
    buckets,
    heads,
    order,
    indexesInOrder: new Map(order.map((f, place) => [heads[f] as string, place])),
    guess: new RecordGuess(heads, order),
    repeats: fields.flatMap((field, f) => (isFirst(field, f) ? [] : [[f, fields.indexOf(field)] as const])),
  }
}

export type Row = StoredRow

/** @param text What Redis has in the buckets of the layout. @returns one value a field; undefined where there is none. */
export function readRow({ heads, order, indexesInOrder, repeats }: Layout, text: string): Row {
  if (heads.length === 1) return [readRecord(text, heads[0] as string)]
  const row: (StoredValue | undefined)[] = new Array(heads.length).fill(undefined)
  /** Of the one that is expected next. */
  let place = 0
  for (let from = text.indexOf(RECORD); from >= 0; ) {
    const next = text.indexOf(RECORD, from + 1)
    const expected = heads[order[place] as number]
    const found = expected !== undefined && text.startsWith(expected, from) ? place : indexesInOrder.get(headAt(text, from))
    if (found !== undefined) {
      const f = order[found] as number
      row[f] = readBody(text, from + (heads[f] as string).length, endOfRecord(text, from, next))
      place = found + 1
    }
    from = next
  }
  for (const [f, first] of repeats) row[f] = row[first]
  return row
}
