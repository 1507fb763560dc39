/**
 * Where rows of history are, as SQL. Until a schema is finished (`fabra migrate --finish`) all are in the table that the version before knows, plain;
 * from then on new ones are packed, in a table of their own, and the plain ones stay where they are until retention or forgetting takes them: to move
 * them would cost more than the bytes they take until then. Whoever asks reads both, until there are no plain ones any more.
 *
 * Each place is asked by itself and by its own index, newest first and no more rows than are wanted, and the greatest of all are the answer.
 */

import type { HistoryRow } from '../../ports/offline-store.ts'

/** `plain`: nothing is packed yet, or this process has not heard of it, for which the table's name is that of a view over both. */
export type HistoryLayout = 'plain' | 'both' | 'packed'

const EPOCH = "timestamptz 'epoch'"
const MICROSECOND = "interval '1 microsecond'"

/** Exact: an interval of microseconds is a whole number inside, and 2^53 holds all the times there are. */
export function timeOf(micros: string): string {
  return `(${EPOCH} + ${micros} * ${MICROSECOND})`
}

export function microsOf(time: string): string {
  return `(extract(epoch FROM ${time}) * 1000000)::bigint`
}

export const COLUMNS = 'feature, fingerprint, entity_key, value, event_timestamp, available_at, created_at, seq, origin'
export const NEWEST_FIRST = 'event_timestamp DESC, available_at DESC, seq DESC'

/** What `mark` has of the origin, in two bits; the rest is of `seq`. */
const ORIGINS = ['computed', 'pushed', 'backfill']
const MARK_BITS = 2

/** Columns of packed history that are written as differences. @param p What the table is called. */
export function unpacked(p: string): Readonly<Record<'available' | 'created' | 'seq' | 'origin', string>> {
  const either = (near: string, far: string) => `CASE WHEN ${p}.far IS NULL THEN ${near} ELSE ${far} END`
  const lag = `${p}.available_lag::bigint + ${p}.created_lag`
  return {
    available: either(`${p}.event_timestamp + ${p}.available_lag * ${MICROSECOND}`, timeOf(`${p}.far[1]`)),
    created: either(`${p}.event_timestamp + (${lag}) * ${MICROSECOND}`, timeOf(`${p}.far[2]`)),
    seq: either(`${microsOf(`${p}.event_timestamp`)} + ${lag} + (${p}.mark >> ${MARK_BITS})`, `${p}.far[3]`),
    origin: `(ARRAY[${ORIGINS.map((one) => `'${one}'`).join(', ')}] COLLATE "C")[(${p}.mark & ${2 ** MARK_BITS - 1}) + 1]`,
  }
}

export function plainTable(layout: HistoryLayout): string {
  return layout === 'plain' ? 'fabra.feature_history' : 'fabra.history_plain'
}

export const hasPlain = (layout: HistoryLayout) => layout !== 'packed'
export const hasPacked = (layout: HistoryLayout) => layout !== 'plain'

/** SQL of each; null: any. */
export interface RowsRequest {
  readonly feature: string | null
  readonly fingerprint: string | null
  readonly key: string | null
  /** Of a list of keys; default: of all that `key` says. */
  readonly keys?: string
}

/** The number of a version. Where it was never recorded packed it is NULL, and no row is of it. */
export function versionOf(feature: string, fingerprint: string): string {
  return `(SELECT id FROM fabra.feature_versions WHERE feature = ${feature} AND fingerprint = ${fingerprint})`
}

/** The places as tables of a FROM clause, which have all columns. */
export function placesOf(layout: HistoryLayout, asked: RowsRequest): string[] {
  return [...(hasPlain(layout) ? [plainRows(layout, asked)] : []), ...(hasPacked(layout) ? [packedRows(asked)] : [])]
}

function plainRows(layout: HistoryLayout, { feature, fingerprint, key, keys }: RowsRequest): string {
  const conditions = [
    ...(feature === null ? [] : [`feature = ${feature}`]),
    ...(fingerprint === null ? [] : [`fingerprint = ${fingerprint}`]),
    ...(key === null ? [] : [`entity_key = ${key}`]),
    ...(keys === undefined ? [] : [`entity_key = ANY (${keys})`]),
  ]
  return `(SELECT ${COLUMNS} FROM ${plainTable(layout)}${conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''})`
}

function packedRows({ feature, fingerprint, key, keys }: RowsRequest): string {
  const isOne = feature !== null && fingerprint !== null
  const conditions = [
    ...(isOne ? [`p.version = ${versionOf(feature, fingerprint)}`] : []),
    ...(!isOne && feature !== null ? [`v.feature = ${feature}`] : []),
    ...(key === null ? [] : [isOfKey('p', key)]),
    ...(keys === undefined ? [] : [isOfKeys('p', keys)]),
  ]
  const names = isOne ? `${feature}::text AS feature, ${fingerprint}::text AS fingerprint` : 'v.feature, v.fingerprint'
  const { available, created, seq, origin } = unpacked('p')
  return `(SELECT ${names}, p.entity_key, p.value, p.event_timestamp,
    ${available} AS available_at, ${created} AS created_at, ${seq} AS seq, ${origin} AS origin
  FROM fabra.history_packed AS p${isOne ? '' : ' JOIN fabra.feature_versions AS v ON v.id = p.version'}
  ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''})`
}

/** The index has keys by their hash. */
export function isOfKey(packed: string, key: string): string {
  return `hashtext(${packed}.entity_key) = hashtext(${key}) AND ${packed}.entity_key = ${key}`
}

export function isOfKeys(packed: string, keys: string): string {
  const hashes = `ARRAY(SELECT hashtext(k) FROM unnest(${keys}) AS k)`
  return `hashtext(${packed}.entity_key) = ANY (${hashes}) AND ${packed}.entity_key = ANY (${keys})`
}

/** All of the places that meet a condition about `one`. */
export function allOf(places: readonly string[], columns: string, condition = 'TRUE'): string {
  return places.map((place) => `(SELECT ${columns} FROM ${place} AS one WHERE ${condition})`).join('\n  UNION ALL\n  ')
}

/** The first of them, in an order that no two rows tie in. */
export function firstOf(
  places: readonly string[],
  { columns, condition, order = NEWEST_FIRST, limit }: { columns: string; condition: string; order?: string; limit: string },
): string {
  const parts = places.map((place) => `SELECT ${columns} FROM ${place} AS one WHERE ${condition} ORDER BY ${order} LIMIT ${limit}`)
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  return `SELECT * FROM (${parts.map((part) => `(${part})`).join('\n  UNION ALL\n  ')}) AS each_first ORDER BY ${order} LIMIT ${limit}`
}

/** What the packed columns are written with, of microseconds in bigint. */
export function packed({
  event,
  available,
  created,
  seq,
  origin,
}: Readonly<Record<'event' | 'available' | 'created' | 'seq' | 'origin', string>>) {
  const lags = [`${available} - ${event}`, `${created} - ${available}`] as const
  const rest = `${seq} - ${created}`
  const code = `(array_position(ARRAY[${ORIGINS.map((one) => `'${one}'`).join(', ')}], ${origin}) - 1)`
  const isWithin = (difference: string, bits: number) => `${difference} BETWEEN ${-(2 ** bits)} AND ${2 ** bits - 1}`
  const isNear = [...lags.map((lag) => isWithin(lag, 31)), isWithin(rest, 31 - MARK_BITS)].join(' AND ')
  return {
    isNear,
    /** @param near Whether it is so, once it is known. */
    columns: (near: string) => [
      `CASE WHEN ${near} THEN (${lags[0]})::integer ELSE 0 END`,
      `CASE WHEN ${near} THEN (${lags[1]})::integer ELSE 0 END`,
      `CASE WHEN ${near} THEN ((${rest}) * ${2 ** MARK_BITS} + ${code})::integer ELSE ${code}::integer END`,
    ],
    far: (near: string) => `CASE WHEN ${near} THEN NULL ELSE ARRAY[${available}, ${created}, ${seq}] END`,
  }
}

/** The same, of a row at hand. Numbers hold all times exactly. */
export function packedRow({ eventAt, availableAt, createdAt, seq, origin }: HistoryRow): PackedRow {
  const availableLag = availableAt - eventAt
  const createdLag = createdAt - availableAt
  const rest = seq - createdAt
  const code = ORIGINS.indexOf(origin)
  return isInteger(availableLag) && isInteger(createdLag) && isInteger(rest * MARKS)
    ? { availableLag, createdLag, mark: rest * MARKS + code, far: null }
    : { availableLag: 0, createdLag: 0, mark: code, far: [availableAt, createdAt, seq] }
}

export interface PackedRow {
  readonly availableLag: number
  readonly createdLag: number
  readonly mark: number
  readonly far: readonly number[] | null
}

const MARKS = 2 ** MARK_BITS

/** As the server calls it: of four bytes. */
function isInteger(value: number): boolean {
  return value >= -2_147_483_648 && value <= 2_147_483_647
}
