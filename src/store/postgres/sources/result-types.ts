import { type Decoder, decodeArray, decodeComposite, decoderOf } from './values.ts'

/** A type as results have it. */
export interface ResultType {
  /** As `TableColumn.type`. */
  readonly name: string
  /** Can stand in a CAST. */
  readonly written: string
  readonly decode: Decoder
}

/** One row of the catalogue of types. */
export interface TypeRow {
  readonly oid: number
  readonly written: string
  readonly name: string
  readonly kind: string
  readonly base: number
  readonly delimiter: string
  /** Of an array: its items' type; else 0. */
  readonly item: number
  readonly fields: readonly (readonly [name: string, oid: number])[]
}

export type ResultTypes = (oids: readonly number[]) => Promise<ReadonlyMap<number, ResultType>>

/** Types deeper inside each other than this have no form in JSON. */
const MAX_DEPTH = 8

/**
 * Types never change under their number, so each is asked for once.
 * @param find Looks types up in the catalogue.
 */
export function createResultTypes(find: (oids: readonly number[]) => Promise<readonly TypeRow[]>): ResultTypes {
  const known = new Map<number, ResultType>()
  const load = async (oids: readonly number[], depth: number): Promise<void> => {
    const unknown = [...new Set(oids)].filter((oid) => !known.has(oid))
    if (unknown.length === 0) return
    const rows = await find(unknown)
    const inner = rows.flatMap((row) => [row.base, row.item, ...row.fields.map(([, oid]) => oid)]).filter((oid) => oid !== 0)
    if (depth < MAX_DEPTH) await load(inner, depth + 1)
    for (const row of rows) known.set(row.oid, typeOf(row, known))
  }
  return async (oids) => {
    await load(oids, 0)
    return known
  }
}

function typeOf(row: TypeRow, known: ReadonlyMap<number, ResultType>): ResultType {
  const { written } = row
  const base = known.get(row.base)
  if (row.kind === 'd' && base) return { ...base, written }
  if (row.kind === 'e') return { name: 'ENUM', written, decode: (text) => text }
  const item = known.get(row.item)
  if (item) return { name: `${item.name}[]`, written, decode: (text) => decodeArray(text, row.delimiter, item.decode) }
  if (row.kind === 'c') {
    const fields = row.fields.map(([name, oid]) => ({ name, type: known.get(oid) }))
    const named = fields.map(({ name, type }) => `${name} ${type?.name ?? 'UNKNOWN'}`)
    const decoders = fields.map(({ name, type }) => ({ name, decode: type?.decode ?? ((text: string) => text) }))
    return { name: `STRUCT(${named.join(', ')})`, written, decode: (text) => decodeComposite(text, decoders) }
  }
  return { ...decoderOf(row.name, written), written }
}
