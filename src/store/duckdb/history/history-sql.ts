/** What is recorded, and what is told of it to other processes. */

const HISTORY_COLUMNS = 'feature, fingerprint, entity_key, value, event_timestamp, available_at, created_at, seq, origin'

/** Total: no two rows tie, so the same question has the same answer on any number of threads. ASOF JOIN is not total. */
const NEWEST_FIRST = 'event_timestamp DESC, available_at DESC, seq DESC'

/** What there is history of: rows, and about how many keys. */
export const LIST_RECORDED = `
SELECT feature, fingerprint, count(*), approx_count_distinct(entity_key)
FROM fabra.feature_history
GROUP BY feature, fingerprint`

export const COUNT_ROWS = 'SELECT count(*) FROM fabra.feature_history'

/** Rows that come packed in one text. */
const PACKED = 4_096

/**
 * Newest row per key of versions ($1 and $2 side by side), newest keys first, of each version at most $4. Must not return rows that became available
 * later than $3. Rows come some thousands in a text, see latest-rows.ts.
 */
export const LATEST = `
WITH newest AS (
  SELECT *
  FROM fabra.feature_history
  WHERE (feature, fingerprint) IN (SELECT (unnest($1::VARCHAR[]), unnest($2::VARCHAR[]))) AND available_at <= $3
  QUALIFY row_number() OVER (PARTITION BY feature, fingerprint, entity_key ORDER BY ${NEWEST_FIRST}) = 1
), ranked AS (
  SELECT *, row_number() OVER (PARTITION BY feature, fingerprint ORDER BY ${NEWEST_FIRST}, entity_key) - 1 AS nth FROM newest
)
SELECT feature, fingerprint, string_agg(concat_ws(chr(0), entity_key, coalesce(value, ''), epoch_us(event_timestamp), epoch_us(available_at),
  epoch_us(created_at), seq, origin), chr(0) ORDER BY nth)
FROM ranked
WHERE nth < $4
GROUP BY feature, fingerprint, nth // ${PACKED}
ORDER BY feature, fingerprint, nth // ${PACKED}`

/**
 * The same of one version ($1, $2) and all of its keys, in any order: putting them in order takes the engine three times as long as finding them.
 * A lot ($4 of $5) at a time, so that it never holds all of them at once. Rows come about a thousand in a line, a list or a text a column: aggregates
 * of one group take its rows in one order.
 */
const latestInAnyOrder = (newest: string) => `
WITH lot AS (
  SELECT rowid AS place, entity_key, value, event_timestamp, available_at, created_at, seq, origin
  FROM fabra.feature_history
  WHERE feature = $1::VARCHAR AND fingerprint = $2::VARCHAR AND available_at <= $3::TIMESTAMPTZ
    AND hash(entity_key) % $5::UBIGINT = $4::UBIGINT
), ${newest}
SELECT string_agg(entity_key, chr(0)), string_agg(coalesce(value, ''), chr(0)), string_agg(origin, chr(0)),
  list(epoch_us(event_timestamp)::DOUBLE), list(epoch_us(available_at)::DOUBLE), list(epoch_us(created_at)::DOUBLE), list(seq::DOUBLE)
FROM newest
GROUP BY place // (1024 * $5::BIGINT)`

const NEWEST = `QUALIFY row_number() OVER (PARTITION BY entity_key ORDER BY ${NEWEST_FIRST}) = 1`

export const LATEST_IN_ANY_ORDER = latestInAnyOrder(`newest AS (SELECT * FROM lot ${NEWEST})`)

/** Where most keys have one row, it is the newest without a comparison: the others' rows alone are put in order. */
export const LATEST_OF_MOSTLY_LONE = latestInAnyOrder(`repeated AS MATERIALIZED (
  SELECT entity_key FROM lot GROUP BY entity_key HAVING count(*) > 1
), newest AS (
  SELECT * FROM lot ANTI JOIN repeated USING (entity_key)
  UNION ALL
  SELECT * FROM lot SEMI JOIN repeated USING (entity_key)
  ${NEWEST}
)`)

/** Keys in use lately, whatever version of the feature computed them. */
export const KEYS_SINCE = `
SELECT entity_key
FROM fabra.feature_history
WHERE feature = $1 AND event_timestamp >= $2
GROUP BY entity_key
ORDER BY max(event_timestamp) DESC, entity_key
LIMIT $3`

export const LATEST_OF = `
SELECT ${HISTORY_COLUMNS}
FROM fabra.feature_history
WHERE feature = $1 AND fingerprint = $2 AND entity_key IN (SELECT unnest($3::VARCHAR[]))
QUALIFY row_number() OVER (PARTITION BY entity_key ORDER BY ${NEWEST_FIRST}) = 1`

/** The table is read once for all; `(a, b, c) IN …` makes an object for each row of it and takes the engine longer. */
export const LATEST_OF_EACH = `
SELECT ${HISTORY_COLUMNS}
FROM fabra.feature_history
SEMI JOIN (SELECT unnest($1::VARCHAR[]) AS feature, unnest($2::VARCHAR[]) AS fingerprint, unnest($3::VARCHAR[]) AS entity_key) AS wanted
USING (feature, fingerprint, entity_key)
QUALIFY row_number() OVER (PARTITION BY feature, fingerprint, entity_key ORDER BY ${NEWEST_FIRST}) = 1`

/**
 * Rows of one write in one statement. What they have in common ($1 … $5), then per row, as texts whose items are apart by NUL (which none of
 * them holds): its key, value (empty: a tombstone), event time and seq. The engine takes such texts apart on its own threads. Every parameter has
 * its type written: the engine plans a statement anew at each run where it has to guess one, which takes as long as the run.
 */
export const APPEND_WRITE = `
INSERT INTO fabra.feature_history (${HISTORY_COLUMNS})
SELECT $1::VARCHAR, $2::VARCHAR, entity_key, NULLIF(value, ''), make_timestamptz(CAST(event_us AS BIGINT)),
  make_timestamptz($3::BIGINT), make_timestamptz($4::BIGINT), CAST(seq AS BIGINT), $5::VARCHAR
FROM (
  SELECT
    UNNEST(string_split($6::VARCHAR, chr(0))) AS entity_key,
    UNNEST(string_split($7::VARCHAR, chr(0))) AS value,
    UNNEST(string_split($8::VARCHAR, chr(0))) AS event_us,
    UNNEST(string_split($9::VARCHAR, chr(0))) AS seq
)`

/** Rows of several writes: all of it per row, in the same order. */
export const APPEND_WRITES = `
INSERT INTO fabra.feature_history (${HISTORY_COLUMNS})
SELECT feature, fingerprint, entity_key, NULLIF(value, ''), make_timestamptz(CAST(event_us AS BIGINT)),
  make_timestamptz(CAST(available_us AS BIGINT)), make_timestamptz(CAST(created_us AS BIGINT)), CAST(seq AS BIGINT), origin
FROM (
  SELECT
    UNNEST(string_split($1::VARCHAR, chr(0))) AS feature,
    UNNEST(string_split($2::VARCHAR, chr(0))) AS fingerprint,
    UNNEST(string_split($3::VARCHAR, chr(0))) AS available_us,
    UNNEST(string_split($4::VARCHAR, chr(0))) AS created_us,
    UNNEST(string_split($5::VARCHAR, chr(0))) AS origin,
    UNNEST(string_split($6::VARCHAR, chr(0))) AS entity_key,
    UNNEST(string_split($7::VARCHAR, chr(0))) AS value,
    UNNEST(string_split($8::VARCHAR, chr(0))) AS event_us,
    UNNEST(string_split($9::VARCHAR, chr(0))) AS seq
)`

/** Of the rows with exactly these times ($3 keys, $4 microseconds, side by side) the one accepted last. The bounds ($5, $6) let the engine skip blocks. */
export const ROWS_AT = `
SELECT ${HISTORY_COLUMNS}
FROM fabra.feature_history
WHERE feature = $1 AND fingerprint = $2 AND event_timestamp BETWEEN $5 AND $6
  AND (entity_key, epoch_us(event_timestamp)) IN (SELECT (unnest($3::VARCHAR[]), unnest($4::BIGINT[])))
QUALIFY row_number() OVER (PARTITION BY entity_key, event_timestamp ORDER BY available_at DESC, seq DESC) = 1`

/** Which of some rows are there. */
export const STORED_SEQS = 'SELECT seq FROM fabra.feature_history WHERE seq IN (SELECT unnest($1::BIGINT[]))'

export const READ_HISTORY = `
SELECT ${HISTORY_COLUMNS}
FROM fabra.feature_history
WHERE feature = $1 AND fingerprint = $2 AND entity_key = $3
  AND ($4::TIMESTAMPTZ IS NULL OR event_timestamp >= $4::TIMESTAMPTZ)
  AND ($5::TIMESTAMPTZ IS NULL OR event_timestamp <= $5::TIMESTAMPTZ)
  AND ($6::TIMESTAMPTZ IS NULL OR available_at <= $6::TIMESTAMPTZ)
ORDER BY ${NEWEST_FIRST}
LIMIT $7`

/**
 * Many features of one key ($1 and $2 side by side), of each at most $5 rows, whatever their number. The first look through the table keeps the newest
 * times of each feature alone, so that only rows as new as the oldest of them are put in order: of half a million, ten thousand.
 */
export const KEY_HISTORY = `
WITH asked AS (SELECT unnest($1::VARCHAR[]) AS feature, unnest($2::VARCHAR[]) AS fingerprint),
oldest AS MATERIALIZED (
  SELECT feature, fingerprint, list_min(max(event_timestamp, CAST($5 AS BIGINT))) AS since
  FROM fabra.feature_history
  SEMI JOIN asked USING (feature, fingerprint)
  WHERE entity_key = $3 AND event_timestamp <= $4::TIMESTAMPTZ
  GROUP BY feature, fingerprint
)
SELECT ${HISTORY_COLUMNS}
FROM fabra.feature_history
JOIN oldest USING (feature, fingerprint)
WHERE entity_key = $3 AND event_timestamp <= $4::TIMESTAMPTZ AND event_timestamp >= since
QUALIFY row_number() OVER (PARTITION BY feature ORDER BY ${NEWEST_FIRST}) <= $5
ORDER BY ${NEWEST_FIRST}`

export const LAST_SEQ = 'SELECT max(seq) FROM fabra.feature_history'

export const FORGET_KEY = `
DELETE FROM fabra.feature_history
WHERE feature IN (SELECT unnest($1::VARCHAR[])) AND entity_key = $2`

export const OWE = 'INSERT INTO fabra.debts (writer, told_at) VALUES ($1, $2)'

export const READ_PENDING_NOTES = 'SELECT writer, max(told_at) FROM fabra.debts GROUP BY writer ORDER BY writer'

export const FORGET_PENDING_NOTES = `
DELETE FROM fabra.debts WHERE writer IN (SELECT unnest($1::VARCHAR[])) AND ($2::TIMESTAMPTZ IS NULL OR told_at < $2)`

export const INSERT_ERASURE = 'INSERT INTO fabra.fences (entity, entity_key, fenced_at) VALUES ($1, $2, $3)'

export const READ_ERASURES = `
SELECT entity, entity_key, max(fenced_at)
FROM fabra.fences
GROUP BY entity, entity_key`
