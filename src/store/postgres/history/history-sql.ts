import type { Micros } from '../../../clock.ts'
import type { AsOfRequest } from '../../ports/training-store.ts'

/** Every statement about history. Times cross as microseconds in bigint: neither side may round them. */

const EPOCH = "timestamptz 'epoch'"

/** Exact: an interval of microseconds is a whole number inside, and 2^53 holds all the times there are. */
export function timeOf(micros: string): string {
  return `(${EPOCH} + ${micros} * interval '1 microsecond')`
}

export function microsOf(time: string): string {
  return `(extract(epoch FROM ${time}) * 1000000)::bigint`
}

const COLUMNS = 'feature, fingerprint, entity_key, value, event_timestamp, available_at, created_at, seq, origin'
const NEWEST_FIRST = 'event_timestamp DESC, available_at DESC, seq DESC'

/** What `toHistoryRow` reads. */
function wire(table: string): string {
  const times = ['event_timestamp', 'available_at', 'created_at'].map((name) => microsOf(`${table}.${name}`))
  const texts = ['feature', 'fingerprint', 'entity_key', 'value'].map((name) => `${table}.${name}`)
  return [...texts, ...times, `${table}.seq`, `${table}.origin`].join(', ')
}

/**
 * Appends see every erasure that was raised before them: raising one waits for the appends that run, and those that come wait for it. A statement
 * of its own, so that the one after it looks at the data anew.
 */
export const SHARE_ERASURES = "SELECT pg_advisory_xact_lock_shared(hashtext('fabra.fences'))"
export const LOCK_ERASURES = "SELECT pg_advisory_xact_lock(hashtext('fabra.fences'))"

/**
 * Pushes of equal rows at two processes go one after the other, by key: an append then sees what was pushed before it. Keys share few locks, taken in
 * one order, so that a large push holds no more than these and no two wait for each other.
 */
export const LOCK_PUSHED = `
SELECT pg_advisory_xact_lock(hashtext('fabra.pushed'), lot.n)
FROM (SELECT unnest($1::integer[]) AS n ORDER BY 1) AS lot`

const IS_ERASED = `EXISTS (
  SELECT FROM fabra.feature_fences AS f
  WHERE f.feature = w.feature AND f.entity_key = r.entity_key AND f.fenced_at >= ${timeOf('r.event_us')}
)`

/**
 * For transactions that append. A look for an equal row is one descent into the index, whatever is known of the table: a month that was empty when it
 * was last counted would be read whole for each row. Compiling the plan takes longer than it saves.
 */
export const APPEND_SETTINGS = { enable_seqscan: 'off', enable_bitmapscan: 'off', jit: 'off' } as const

/**
 * What rows of one write have in common is told once ($6 on); $1 says per row which write it is of. A row that is there already was committed
 * by an attempt whose answer was lost. Of the rows that $11 tells, one that is equal to the last accepted of its key and event time is left out.
 */
export const APPEND = `
INSERT INTO fabra.feature_history (${COLUMNS})
SELECT w.feature, w.fingerprint, r.entity_key, r.value, ${timeOf('r.event_us')}, ${timeOf('w.available_us')}, ${timeOf('w.created_us')}, r.seq, w.origin
FROM unnest($1::integer[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $11::boolean[])
  AS r(write, entity_key, value, event_us, seq, may_repeat)
JOIN unnest($6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[]) WITH ORDINALITY
  AS w(feature, fingerprint, available_us, created_us, origin, write) ON w.write = r.write
WHERE NOT ${IS_ERASED}
  AND NOT (r.may_repeat AND (
    SELECT one.value IS NOT DISTINCT FROM r.value
    FROM fabra.feature_history AS one
    WHERE one.feature = w.feature AND one.fingerprint = w.fingerprint AND one.entity_key = r.entity_key
      AND one.event_timestamp = ${timeOf('r.event_us')}
    ORDER BY one.available_at DESC, one.seq DESC
    LIMIT 1
  ) IS TRUE)
ON CONFLICT DO NOTHING`

/**
 * Of the rows that an append of this transaction was given, those that it left out though no erasure hides them: history had their equals. A scalar
 * subquery for each row, where NOT EXISTS would become a join: that one compares all rows of a key with all, or reads all history.
 */
export const REPEATED = `
SELECT r.n - 1
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
  WITH ORDINALITY AS r(feature, fingerprint, entity_key, event_us, available_us, seq, n)
CROSS JOIN LATERAL (SELECT r.feature) AS w
WHERE NOT ${IS_ERASED}
  AND (
    SELECT TRUE
    FROM fabra.feature_history AS one
    WHERE one.feature = r.feature AND one.fingerprint = r.fingerprint AND one.entity_key = r.entity_key
      AND one.event_timestamp = ${timeOf('r.event_us')} AND one.available_at = ${timeOf('r.available_us')} AND one.seq = r.seq
    LIMIT 1
  ) IS NULL`

export const MARK = `
INSERT INTO fabra.history_marks AS m (writer, seq) VALUES ($1::integer, $2::bigint)
ON CONFLICT (writer) DO UPDATE SET seq = greatest(m.seq, excluded.seq)`

export const LAST_SEQ = 'SELECT max(seq) FROM fabra.history_marks'

export const LATEST = `
SELECT ${wire('h')}
FROM (
  SELECT DISTINCT ON (entity_key) *
  FROM fabra.feature_history
  WHERE feature = $1 AND fingerprint = $2 AND available_at <= ${timeOf('$3::bigint')}
  ORDER BY entity_key, ${NEWEST_FIRST}
) AS h
ORDER BY ${NEWEST_FIRST}, entity_key
LIMIT $4::bigint`

/** Stops at the row that decides. */
export const IS_LONGER = `
SELECT (count(*) > $1::bigint)::int FROM (SELECT FROM fabra.feature_history LIMIT $1::bigint + 1) AS recorded`

export const KEYS_SINCE = `
SELECT entity_key
FROM fabra.feature_history
WHERE feature = $1 AND event_timestamp >= ${timeOf('$2::bigint')}
GROUP BY entity_key
ORDER BY max(event_timestamp) DESC, entity_key
LIMIT $3::bigint`

export const LATEST_OF = `
SELECT ${wire('h')}
FROM unnest($3::text[]) AS k(entity_key)
CROSS JOIN LATERAL (
  SELECT *
  FROM fabra.feature_history AS one
  WHERE one.feature = $1 AND one.fingerprint = $2 AND one.entity_key = k.entity_key
  ORDER BY ${NEWEST_FIRST}
  LIMIT 1
) AS h`

export const LATEST_OF_EACH = `
SELECT ${wire('h')}
FROM unnest($1::text[], $2::text[], $3::text[]) AS k(feature, fingerprint, entity_key)
CROSS JOIN LATERAL (
  SELECT *
  FROM fabra.feature_history AS one
  WHERE one.feature = k.feature AND one.fingerprint = k.fingerprint AND one.entity_key = k.entity_key
  ORDER BY ${NEWEST_FIRST}
  LIMIT 1
) AS h`

export const ROWS_AT = `
SELECT ${wire('h')}
FROM unnest($3::text[], $4::bigint[]) AS k(entity_key, event_us)
CROSS JOIN LATERAL (
  SELECT *
  FROM fabra.feature_history AS one
  WHERE one.feature = $1 AND one.fingerprint = $2 AND one.entity_key = k.entity_key AND one.event_timestamp = ${timeOf('k.event_us')}
  ORDER BY available_at DESC, seq DESC
  LIMIT 1
) AS h`

/** Bounds that are not given are left out: the planner then reads only the months it needs. */
export function readHistory({ from, to, availableBy }: Readonly<Record<'from' | 'to' | 'availableBy', Micros | null>>): string {
  let next = 5
  const bound = (condition: string, micros: Micros | null) => (micros === null ? '' : `AND ${condition} ${timeOf(`$${next++}::bigint`)}`)
  const bounds = [bound('event_timestamp >=', from), bound('event_timestamp <=', to), bound('available_at <=', availableBy)]
  return `
SELECT ${wire('h')}
FROM fabra.feature_history AS h
WHERE feature = $1 AND fingerprint = $2 AND entity_key = $3 ${bounds.join(' ')}
ORDER BY ${NEWEST_FIRST}
LIMIT $4::bigint`
}

/** Many features of one key ($1 and $2 side by side): a look into the index for each, which holds a key's rows in this very order. */
export const KEY_HISTORY = `
SELECT ${wire('h')}
FROM unnest($1::text[], $2::text[]) AS asked(feature, fingerprint)
CROSS JOIN LATERAL (
  SELECT *
  FROM fabra.feature_history AS one
  WHERE one.feature = asked.feature AND one.fingerprint = asked.fingerprint AND one.entity_key = $3
    AND one.event_timestamp <= ${timeOf('$4::bigint')}
  ORDER BY ${NEWEST_FIRST}
  LIMIT $5::bigint
) AS h
ORDER BY h.event_timestamp DESC, h.available_at DESC, h.seq DESC`

export const HAS_RECORDED = 'SELECT 1 FROM fabra.feature_history WHERE feature = $1 AND fingerprint = $2 LIMIT 1'

/** All rows of some keys of which the newest may be asked for at some time. */
export const RECORDED = `
SELECT entity_key, value, ${microsOf('event_timestamp')}, ${microsOf('available_at')}, ${microsOf('created_at')}, seq, origin
FROM fabra.feature_history
WHERE feature = $1 AND fingerprint = $2 AND entity_key = ANY ($3::text[])
  AND event_timestamp >= ${timeOf('$4::bigint')} AND event_timestamp <= ${timeOf('$5::bigint')}`

/** The planner's guess, as one line of JSON. */
export const GUESS_RECORDED = 'EXPLAIN (FORMAT JSON) SELECT 1 FROM fabra.feature_history WHERE feature = $1 AND fingerprint = $2'

/**
 * Per row the greatest of what is recorded of its key, unless it is a tombstone. Must not give what came later than the row's time, by event or by
 * arrival. Each row is a look into the index, which holds a key's rows in this very order.
 */
export function recordedAsOf({ knowledge, snapshot, lookBack }: Pick<AsOfRequest, 'knowledge' | 'snapshot' | 'lookBack'>): string {
  const arrived = { serving: 'AND available_at <= r.t', latest: '', served: "AND (origin = 'computed' OR available_at <= r.t)" }[knowledge]
  return `
SELECT r.ord, ${microsOf('h.event_timestamp')}, h.value
FROM (
  SELECT n - 1 AS ord, entity_key, ${timeOf('us')} AS t
  FROM unnest($3::text[], $4::bigint[]) WITH ORDINALITY AS given(entity_key, us, n)
) AS r
CROSS JOIN LATERAL (
  SELECT one.event_timestamp, one.value
  FROM fabra.feature_history AS one
  WHERE one.feature = $1 AND one.fingerprint = $2 AND one.entity_key = r.entity_key AND event_timestamp <= r.t ${arrived}
    ${lookBack === null ? '' : `AND event_timestamp >= r.t - ${Math.trunc(lookBack)} * interval '1 microsecond'`}
    ${snapshot === null ? '' : `AND created_at <= ${timeOf(String(Math.trunc(snapshot)))}`}
    ${knowledge === 'served' ? "AND origin <> 'backfill'" : ''}
  ORDER BY ${NEWEST_FIRST}
  LIMIT 1
) AS h
WHERE h.value IS NOT NULL`
}

export const FORGET_KEY = 'DELETE FROM fabra.feature_history WHERE feature = ANY($1::text[]) AND entity_key = $2'

export const INSERT_ERASURE = `
INSERT INTO fabra.fences AS f (entity, entity_key, fenced_at) VALUES ($1, $2, ${timeOf('$3::bigint')})
ON CONFLICT (entity, entity_key) DO UPDATE SET fenced_at = greatest(f.fenced_at, excluded.fenced_at)`

export const INSERT_FEATURE_ERASURES = `
INSERT INTO fabra.feature_fences AS f (feature, entity_key, fenced_at)
SELECT DISTINCT feature, $2, ${timeOf('$3::bigint')} FROM unnest($1::text[]) AS feature
ON CONFLICT (feature, entity_key) DO UPDATE SET fenced_at = greatest(f.fenced_at, excluded.fenced_at)`

export const OWE = `
INSERT INTO fabra.debts AS d (writer, told_at) VALUES ($1, ${timeOf('$2::bigint')})
ON CONFLICT (writer) DO UPDATE SET told_at = greatest(d.told_at, excluded.told_at)`

export const READ_PENDING_NOTES = `SELECT writer, ${microsOf('told_at')} FROM fabra.debts ORDER BY writer`

export const FORGET_PENDING_NOTES = `DELETE FROM fabra.debts WHERE writer = ANY ($1::text[]) AND ($2::bigint IS NULL OR told_at < ${timeOf('$2::bigint')})`

export const READ_ERASURES = `SELECT entity, entity_key, ${microsOf('fenced_at')} FROM fabra.fences`

/** Everything recorded, of one feature ($1) or of all, of events before $2 or of all. */
export const EXPORTED = `
SELECT ${wire('h')}
FROM fabra.feature_history AS h
WHERE ($1::text IS NULL OR feature = $1) AND ($2::bigint IS NULL OR event_timestamp < ${timeOf('$2::bigint')})`

/** Names of the months there are. */
export const LIST_PARTITIONS = `
SELECT c.relname
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'fabra.feature_history'::regclass`
