/** Statements that write history or take a key from it. Times cross as microseconds in bigint. */
import {
  allOf,
  COLUMNS,
  firstOf,
  type HistoryLayout,
  hasPacked,
  hasPlain,
  isOfKey,
  packed,
  placesOf,
  plainTable,
  timeOf,
} from './history-rows.ts'

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
export const APPEND_SETTINGS = { enable_seqscan: 'off', enable_bitmapscan: 'off', enable_mergejoin: 'off', jit: 'off' } as const

/** Rows and their writes, as `asArrays` gives them. What rows of one write have in common is told once ($6 on); $1 says per row which write it is of. */
const GIVEN = `
FROM unnest($1::integer[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $11::boolean[])
  AS r(write, entity_key, value, event_us, seq, may_repeat)
JOIN unnest($6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[]) WITH ORDINALITY
  AS w(feature, fingerprint, available_us, created_us, origin, write) ON w.write = r.write`

/** Of the rows that $11 tells, one that is equal to the last accepted of its key and event time. */
function isRepeat(layout: HistoryLayout): string {
  const places = placesOf(layout, { feature: 'w.feature', fingerprint: 'w.fingerprint', key: 'r.entity_key' })
  return `(r.may_repeat AND (
    SELECT last.value IS NOT DISTINCT FROM r.value FROM (${firstOf(places, {
      columns: 'one.value, one.available_at, one.seq',
      condition: `one.event_timestamp = ${timeOf('r.event_us')}`,
      order: 'available_at DESC, seq DESC',
      limit: '1',
    })}) AS last
  ) IS TRUE)`
}

/** A row of these times and seq is there: a scalar subquery for each, where NOT EXISTS would become a join over all history. */
function isThere(layout: HistoryLayout, given: { feature: string; fingerprint: string; available: string }): string {
  const places = placesOf(layout, { ...given, key: 'r.entity_key' })
  const condition = `one.event_timestamp = ${timeOf('r.event_us')} AND one.available_at = ${timeOf(given.available)} AND one.seq = r.seq`
  return `(SELECT found.is FROM (${allOf(places, 'TRUE AS is', condition)}) AS found LIMIT 1) IS NOT NULL`
}

const PLAIN_APPEND = `
INSERT INTO fabra.feature_history (${COLUMNS})
SELECT w.feature, w.fingerprint, r.entity_key, r.value, ${timeOf('r.event_us')}, ${timeOf('w.available_us')}, ${timeOf('w.created_us')}, r.seq, w.origin
${GIVEN}
WHERE NOT ${IS_ERASED} AND NOT ${isRepeat('plain')}
ON CONFLICT DO NOTHING`

const PACKED = packed({ event: 'r.event_us', available: 'w.available_us', created: 'w.created_us', seq: 'r.seq', origin: 'w.origin' })

/** What is looked for among the rows that are there. To look takes longer than to write, and to plan it too. */
export interface Suspicions {
  /** Some rows were pushed. */
  readonly mayRepeat: boolean
  /** Some rows may have been sent before. */
  readonly mayBeThere: boolean
}

/** A version whose number is missing is an error of its column, which may not be NULL: no row is lost for that. */
function packedAppend(layout: HistoryLayout, { mayRepeat, mayBeThere }: Suspicions): string {
  const given = { feature: 'w.feature', fingerprint: 'w.fingerprint', available: 'w.available_us' }
  return `
INSERT INTO fabra.history_packed (event_timestamp, version, available_lag, created_lag, mark, entity_key, value, far)
SELECT ${timeOf('r.event_us')}, v.id, ${PACKED.columns('near.is').join(', ')}, r.entity_key, r.value, ${PACKED.far('near.is')}
${GIVEN}
LEFT JOIN fabra.feature_versions AS v ON v.feature = w.feature AND v.fingerprint = w.fingerprint
CROSS JOIN LATERAL (SELECT ${PACKED.isNear} AS is) AS near
WHERE NOT ${IS_ERASED}
  ${mayRepeat ? `AND NOT ${isRepeat(layout)}` : ''}
  ${mayBeThere ? `AND NOT ${isThere(layout, given)}` : ''}`
}

/** Gives numbers to versions ($1, $2) that have none. In one order: two that give at once wait for each other, and never each for the other. */
export const NUMBER_VERSIONS = `
INSERT INTO fabra.feature_versions (feature, fingerprint)
SELECT DISTINCT g.feature, g.fingerprint
FROM unnest($1::text[], $2::text[]) AS g(feature, fingerprint)
WHERE NOT EXISTS (SELECT FROM fabra.feature_versions AS v WHERE v.feature = g.feature AND v.fingerprint = g.fingerprint)
ORDER BY 1, 2
ON CONFLICT DO NOTHING`

/**
 * What one process sends to packed history again waits for what it sent before, and finds the rows of an attempt whose answer was lost. Plain history
 * has a unique index for that, which would be twice as large as the one that finds rows.
 */
export function lockAppends({ mayBeThere }: Pick<Suspicions, 'mayBeThere'>): string {
  return `SELECT pg_advisory_xact_lock${mayBeThere ? '' : '_shared'}(hashtext('fabra.appends'), $1::integer)`
}

export function append(layout: HistoryLayout, suspicions: Suspicions): string {
  return hasPacked(layout) ? packedAppend(layout, suspicions) : PLAIN_APPEND
}

/**
 * Of the rows that an append of this transaction was given, those that it left out though no erasure hides them: history had their equals.
 */
export function repeated(layout: HistoryLayout): string {
  return `
SELECT r.n - 1
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
  WITH ORDINALITY AS r(feature, fingerprint, entity_key, event_us, available_us, seq, n)
CROSS JOIN LATERAL (SELECT r.feature) AS w
WHERE NOT ${IS_ERASED}
  AND NOT ${isThere(layout, { feature: 'r.feature', fingerprint: 'r.fingerprint', available: 'r.available_us' })}`
}

export const MARK = `
INSERT INTO fabra.history_marks AS m (writer, seq) VALUES ($1::integer, $2::bigint)
ON CONFLICT (writer) DO UPDATE SET seq = greatest(m.seq, excluded.seq)`

/** One statement for each place. */
export function forgetKey(layout: HistoryLayout): string[] {
  return [
    ...(hasPlain(layout) ? [`DELETE FROM ${plainTable(layout)} WHERE feature = ANY($1::text[]) AND entity_key = $2`] : []),
    ...(hasPacked(layout)
      ? [
          `DELETE FROM fabra.history_packed AS p USING fabra.feature_versions AS v
WHERE v.feature = ANY($1::text[]) AND p.version = v.id AND ${isOfKey('p', '$2')}`,
        ]
      : []),
  ]
}

export const INSERT_ERASURE = `
INSERT INTO fabra.fences AS f (entity, entity_key, fenced_at) VALUES ($1, $2, ${timeOf('$3::bigint')})
ON CONFLICT (entity, entity_key) DO UPDATE SET fenced_at = greatest(f.fenced_at, excluded.fenced_at)`

export const INSERT_FEATURE_ERASURES = `
INSERT INTO fabra.feature_fences AS f (feature, entity_key, fenced_at)
SELECT DISTINCT feature, $2, ${timeOf('$3::bigint')} FROM unnest($1::text[]) AS feature
ON CONFLICT (feature, entity_key) DO UPDATE SET fenced_at = greatest(f.fenced_at, excluded.fenced_at)`
