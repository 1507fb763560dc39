/** Statements that find and delete what a `RemovalRule` names: $1 is the feature, $2 the time. */
import { LEAVING_COLUMNS } from '../../ports/history-removal.ts'
import { COLUMNS, type HistoryLayout, isOfKey, placesOf, plainTable, timeOf, unpacked } from './history-rows.ts'

/** Each is a look into the index of every month before the time. */
export const KEYS_A_LOT = 200
export const ROWS_A_LOT = 2_000

export const BEFORE = timeOf('$2::bigint')

/** Where keys are gone through: plain history in their order, packed history in that of their hashes, as each index has them. */
export type RemovalPart = 'plain' | 'packed'

/** The next keys, or hashes of keys, after $3 that have rows before the time: one look into the index for each, as a key may have thousands. */
export function nextKeys(part: RemovalPart, layout: HistoryLayout): string {
  const type = part === 'plain' ? 'text' : 'integer'
  const next = part === 'plain' ? nextPlain : nextPacked
  return `
WITH RECURSIVE k(place) AS (
  SELECT ${next(layout, `$3::${type}`)}
  UNION ALL
  SELECT ${next(layout, 'k.place')} FROM k WHERE k.place IS NOT NULL
)
SELECT place FROM k WHERE place IS NOT NULL LIMIT ${KEYS_A_LOT}`
}

function nextPlain(layout: HistoryLayout, after: string): string {
  return `(SELECT h.entity_key FROM ${plainTable(layout)} AS h
    WHERE h.feature = $1 AND h.event_timestamp < ${BEFORE} AND h.entity_key > coalesce(${after}, '') ORDER BY h.entity_key LIMIT 1)`
}

/** As one bound of the index, or all keys before would be looked through for each: of nothing before, a number below all hashes. */
function nextPacked(_: HistoryLayout, after: string): string {
  return `(SELECT min(found.place) FROM fabra.feature_versions AS v CROSS JOIN LATERAL (
      SELECT hashtext(p.entity_key) AS place FROM fabra.history_packed AS p
      WHERE p.version = v.id AND p.event_timestamp < ${BEFORE} AND hashtext(p.entity_key) > coalesce(${after}::bigint, -2147483649)
      ORDER BY p.version, hashtext(p.entity_key) LIMIT 1
    ) AS found WHERE v.feature = $1)`
}

/** A row `h` whose history goes on without it, wherever that is; see RemovalRule. */
export function isOvertaken(layout: HistoryLayout, before = BEFORE): string {
  const places = placesOf(layout, { feature: 'h.feature', fingerprint: 'h.fingerprint', key: 'h.entity_key' })
  const ones = places.map(
    (place) => `EXISTS (
    SELECT FROM ${place} AS n
    WHERE n.event_timestamp >= h.event_timestamp AND n.event_timestamp <= ${before}
      AND (n.event_timestamp, n.available_at, n.seq) > (h.event_timestamp, h.available_at, h.seq)
      AND n.available_at <= ${before} AND n.created_at <= ${before}
      AND (n.origin <> 'backfill' OR h.origin = 'backfill')
  )`,
  )
  return `(${ones.join(' OR ')})`
}

/** Of the keys or hashes $3 rows of the origins $4. */
export function remove(part: RemovalPart, layout: HistoryLayout): string {
  return part === 'plain' ? removePlain(layout) : removePacked(layout)
}

function removePlain(layout: HistoryLayout): string {
  return `
WITH gone AS MATERIALIZED (
  SELECT h.entity_key, h.fingerprint, h.event_timestamp, h.available_at, h.seq
  FROM unnest($3::text[]) AS k(entity_key)
  CROSS JOIN LATERAL (
    SELECT ${COLUMNS} FROM ${plainTable(layout)} AS one
    WHERE one.feature = $1 AND one.entity_key = k.entity_key AND one.event_timestamp < ${BEFORE} AND one.origin = ANY ($4::text[])
  ) AS h
  WHERE ${isOvertaken(layout)}
  LIMIT ${ROWS_A_LOT}
)
DELETE FROM ${plainTable(layout)} AS h
USING gone AS g
WHERE h.feature = $1 AND h.event_timestamp < ${BEFORE}
  AND h.entity_key = g.entity_key AND h.fingerprint = g.fingerprint AND h.event_timestamp = g.event_timestamp
  AND h.available_at = g.available_at AND h.seq = g.seq`
}

function removePacked(layout: HistoryLayout): string {
  const { available, seq } = unpacked('p')
  const [rows = ''] = placesOf('packed', { feature: '$1', fingerprint: 'v.fingerprint', key: null })
  return `
WITH gone AS MATERIALIZED (
  SELECT h.version, h.fingerprint, h.entity_key, h.event_timestamp, h.available_at, h.seq
  FROM fabra.feature_versions AS v
  CROSS JOIN unnest($3::integer[]) AS k(place)
  CROSS JOIN LATERAL (
    SELECT v.id AS version, ${COLUMNS} FROM ${rows} AS one
    WHERE hashtext(one.entity_key) = k.place AND one.event_timestamp < ${BEFORE} AND one.origin = ANY ($4::text[])
  ) AS h
  WHERE v.feature = $1 AND ${isOvertaken(layout)}
  LIMIT ${ROWS_A_LOT}
)
DELETE FROM fabra.history_packed AS p
USING gone AS g
WHERE p.event_timestamp < ${BEFORE} AND p.version = g.version AND ${isOfKey('p', 'g.entity_key')} AND p.event_timestamp = g.event_timestamp
  AND ${available} = g.available_at AND ${seq} = g.seq`
}

/** What goes, as LEAVING_COLUMNS. */
export function returning(part: RemovalPart): string {
  const { available, created, seq, origin } = unpacked('p')
  const packed = ['$1', 'g.fingerprint', 'p.entity_key', 'p.value', 'p.event_timestamp', available, created, seq, origin]
  const plain = LEAVING_COLUMNS.map(({ name }) => `h.${name}`)
  return ` RETURNING ${(part === 'plain' ? plain : packed).map((column) => `(${column})::text`).join(', ')}`
}
