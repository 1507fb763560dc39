import type { Micros } from '../../../clock.ts'
import type { AsOfRequest } from '../../ports/training-store.ts'
import {
  allOf,
  COLUMNS,
  firstOf,
  type HistoryLayout,
  hasPacked,
  hasPlain,
  microsOf,
  NEWEST_FIRST,
  placesOf,
  plainTable,
  timeOf,
} from './history-rows.ts'

export { microsOf, timeOf } from './history-rows.ts'

/** Every statement that reads history. Times cross as microseconds in bigint: neither side may round them. */

/** What `toHistoryRow` reads. */
function wire(table: string): string {
  const times = ['event_timestamp', 'available_at', 'created_at'].map((name) => microsOf(`${table}.${name}`))
  const texts = ['feature', 'fingerprint', 'entity_key', 'value'].map((name) => `${table}.${name}`)
  return [...texts, ...times, `${table}.seq`, `${table}.origin`].join(', ')
}

/** Of one version ($1, $2). */
const VERSION = { feature: '$1', fingerprint: '$2' } as const

export const LAST_SEQ = 'SELECT max(seq) FROM fabra.history_marks'

export function latest(layout: HistoryLayout): string {
  const places = placesOf(layout, { ...VERSION, key: null })
  const newest = (from: string) => `
  SELECT DISTINCT ON (entity_key) ${COLUMNS}
  FROM ${from}
  WHERE available_at <= ${timeOf('$3::bigint')}
  ORDER BY entity_key, ${NEWEST_FIRST}`
  const [only] = places
  const all =
    places.length === 1 && only !== undefined
      ? `${only} AS one`
      : `(${places.map((place) => `(${newest(`${place} AS one`)})`).join(' UNION ALL ')}) AS one`
  return `
SELECT ${wire('h')}
FROM (${newest(all)}
) AS h
ORDER BY ${NEWEST_FIRST}, entity_key
LIMIT $4::bigint`
}

/** Stops at the row that decides. */
export function isLonger(layout: HistoryLayout): string {
  const tables = [...(hasPlain(layout) ? [plainTable(layout)] : []), ...(hasPacked(layout) ? ['fabra.history_packed'] : [])]
  const rows = tables.map((table) => `SELECT FROM ${table}`).join(' UNION ALL ')
  return `
SELECT (count(*) > $1::bigint)::int FROM (${rows} LIMIT $1::bigint + 1) AS h`
}

export function keysSince(layout: HistoryLayout): string {
  const places = placesOf(layout, { feature: '$1', fingerprint: null, key: null })
  return `
SELECT entity_key
FROM (${allOf(places, 'one.entity_key, one.event_timestamp', `one.event_timestamp >= ${timeOf('$2::bigint')}`)}) AS h
GROUP BY entity_key
ORDER BY max(event_timestamp) DESC, entity_key
LIMIT $3::bigint`
}

export function latestOf(layout: HistoryLayout): string {
  const places = placesOf(layout, { ...VERSION, key: 'k.entity_key' })
  return `
SELECT ${wire('h')}
FROM unnest($3::text[]) AS k(entity_key)
CROSS JOIN LATERAL (${firstOf(places, { columns: COLUMNS, condition: 'TRUE', limit: '1' })}) AS h`
}

export function latestOfEach(layout: HistoryLayout): string {
  const places = placesOf(layout, { feature: 'k.feature', fingerprint: 'k.fingerprint', key: 'k.entity_key' })
  return `
SELECT ${wire('h')}
FROM unnest($1::text[], $2::text[], $3::text[]) AS k(feature, fingerprint, entity_key)
CROSS JOIN LATERAL (${firstOf(places, { columns: COLUMNS, condition: 'TRUE', limit: '1' })}) AS h`
}

export function rowsAt(layout: HistoryLayout): string {
  const places = placesOf(layout, { ...VERSION, key: 'k.entity_key' })
  const condition = `one.event_timestamp = ${timeOf('k.event_us')}`
  return `
SELECT ${wire('h')}
FROM unnest($3::text[], $4::bigint[]) AS k(entity_key, event_us)
CROSS JOIN LATERAL (${firstOf(places, { columns: COLUMNS, condition, order: 'available_at DESC, seq DESC', limit: '1' })}) AS h`
}

/** Bounds that are not given are left out: the planner then reads only the months it needs. */
export function readHistory(
  layout: HistoryLayout,
  { from, to, availableBy }: Readonly<Record<'from' | 'to' | 'availableBy', Micros | null>>,
): string {
  let next = 5
  const bound = (condition: string, micros: Micros | null) => (micros === null ? [] : [`${condition} ${timeOf(`$${next++}::bigint`)}`])
  const bounds = [...bound('event_timestamp >=', from), ...bound('event_timestamp <=', to), ...bound('available_at <=', availableBy)]
  const condition = bounds.length > 0 ? bounds.join(' AND ') : 'TRUE'
  const rows = firstOf(placesOf(layout, { ...VERSION, key: '$3' }), { columns: COLUMNS, condition, limit: '$4::bigint' })
  return `
SELECT ${wire('h')}
FROM (${rows}) AS h
ORDER BY ${NEWEST_FIRST}`
}

/** Many features of one key ($1 and $2 side by side): a look into the index for each, which holds a key's rows by time. */
export function keyHistory(layout: HistoryLayout): string {
  const places = placesOf(layout, { feature: 'asked.feature', fingerprint: 'asked.fingerprint', key: '$3' })
  const condition = `one.event_timestamp <= ${timeOf('$4::bigint')}`
  return `
SELECT ${wire('h')}
FROM unnest($1::text[], $2::text[]) AS asked(feature, fingerprint)
CROSS JOIN LATERAL (${firstOf(places, { columns: COLUMNS, condition, limit: '$5::bigint' })}) AS h
ORDER BY h.event_timestamp DESC, h.available_at DESC, h.seq DESC`
}

export function hasRecorded(layout: HistoryLayout): string {
  return `SELECT 1 FROM (${allOf(placesOf(layout, { ...VERSION, key: null }), '1')}) AS h LIMIT 1`
}

/** All rows of some keys of which the newest may be asked for at some time. */
export function recorded(layout: HistoryLayout): string {
  const columns = ['event_timestamp', 'available_at', 'created_at'].map(microsOf).join(', ')
  const times = `event_timestamp >= ${timeOf('$4::bigint')} AND event_timestamp <= ${timeOf('$5::bigint')}`
  return allOf(placesOf(layout, { ...VERSION, key: null, keys: '$3::text[]' }), `entity_key, value, ${columns}, seq, origin`, times)
}

/** The planner's guess, as one line of JSON. */
export function guessRecorded(layout: HistoryLayout): string {
  return `EXPLAIN (FORMAT JSON) ${allOf(placesOf(layout, { ...VERSION, key: null }), '1')}`
}

/**
 * Per row the greatest of what is recorded of its key, unless it is a tombstone. Must not give what came later than the row's time, by event or by
 * arrival. Each row is a look into the index, which holds a key's rows by time.
 */
export function recordedAsOf(
  layout: HistoryLayout,
  { knowledge, snapshot, lookBack }: Pick<AsOfRequest, 'knowledge' | 'snapshot' | 'lookBack'>,
): string {
  const arrived = { serving: 'AND available_at <= r.t', latest: '', served: "AND (origin = 'computed' OR available_at <= r.t)" }[knowledge]
  const condition = `event_timestamp <= r.t ${arrived}
    ${lookBack === null ? '' : `AND event_timestamp >= r.t - ${Math.trunc(lookBack)} * interval '1 microsecond'`}
    ${snapshot === null ? '' : `AND created_at <= ${timeOf(String(Math.trunc(snapshot)))}`}
    ${knowledge === 'served' ? "AND origin <> 'backfill'" : ''}`
  const places = placesOf(layout, { ...VERSION, key: 'r.entity_key' })
  return `
SELECT r.ord, ${microsOf('h.event_timestamp')}, h.value
FROM (
  SELECT n - 1 AS ord, entity_key, ${timeOf('us')} AS t
  FROM unnest($3::text[], $4::bigint[]) WITH ORDINALITY AS given(entity_key, us, n)
) AS r
CROSS JOIN LATERAL (${firstOf(places, { columns: 'event_timestamp, available_at, seq, value', condition, limit: '1' })}) AS h
WHERE h.value IS NOT NULL`
}

export const OWE = `
INSERT INTO fabra.debts AS d (writer, told_at) VALUES ($1, ${timeOf('$2::bigint')})
ON CONFLICT (writer) DO UPDATE SET told_at = greatest(d.told_at, excluded.told_at)`

export const READ_PENDING_NOTES = `SELECT writer, ${microsOf('told_at')} FROM fabra.debts ORDER BY writer`

export const FORGET_PENDING_NOTES = `DELETE FROM fabra.debts WHERE writer = ANY ($1::text[]) AND ($2::bigint IS NULL OR told_at < ${timeOf('$2::bigint')})`

export const READ_ERASURES = `SELECT entity, entity_key, ${microsOf('fenced_at')} FROM fabra.fences`

/** Everything recorded, of one feature ($1) or of all, of events before $2 or of all. */
export function exported(layout: HistoryLayout): string {
  const places = placesOf(layout, { feature: null, fingerprint: null, key: null })
  const condition = `($1::text IS NULL OR feature = $1) AND ($2::bigint IS NULL OR event_timestamp < ${timeOf('$2::bigint')})`
  return `
SELECT ${wire('h')}
FROM (${allOf(places, COLUMNS, condition)}) AS h`
}
