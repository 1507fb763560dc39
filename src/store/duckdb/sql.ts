/** Every statement Fabra itself runs on DuckDB. Users' statements come from `compute`. */

/** An SQL name, whatever it holds. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** An SQL text literal. Used only where DuckDB takes no parameter (file names, settings). */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** `schema.table` or `table` (in `main`), quoted. */
export function quoteTable(name: string): string {
  const dot = name.indexOf('.')
  return dot < 0 ? `main.${quoteName(name)}` : `${quoteName(name.slice(0, dot))}.${quoteName(name.slice(dot + 1))}`
}

/** The file is attached under a name of our own, so that it may be called anything (`main.db`, `fabra.db`) without hiding a schema. */
export const CATALOG = '__fabra_store'

export const CREATE_SCHEMA = `
CREATE SCHEMA IF NOT EXISTS fabra;
CREATE TABLE IF NOT EXISTS fabra.feature_history (
  feature VARCHAR NOT NULL,
  fingerprint VARCHAR NOT NULL,
  entity_key VARCHAR NOT NULL,
  value VARCHAR,
  event_timestamp TIMESTAMPTZ NOT NULL,
  available_at TIMESTAMPTZ NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  seq BIGINT NOT NULL,
  origin VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.fences (
  entity VARCHAR NOT NULL,
  entity_key VARCHAR NOT NULL,
  fenced_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.debts (
  writer VARCHAR NOT NULL,
  told_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.source_rows (
  source VARCHAR NOT NULL,
  arrived_at TIMESTAMPTZ NOT NULL,
  row VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.source_arrivals (
  source VARCHAR NOT NULL,
  visible_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.idempotency_keys (
  source VARCHAR NOT NULL,
  key VARCHAR NOT NULL,
  content_hash VARCHAR NOT NULL,
  accepted_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.source_files (
  source VARCHAR NOT NULL,
  path VARCHAR NOT NULL,
  size BIGINT NOT NULL,
  modified_us BIGINT NOT NULL,
  content_hash VARCHAR NOT NULL,
  settings_hash VARCHAR NOT NULL,
  loaded_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.mark (
  known VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS fabra.api_keys (
  id VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  hash VARCHAR NOT NULL,
  scopes VARCHAR NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  revoked_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS fabra.runs (
  id VARCHAR NOT NULL,
  feature VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ NOT NULL,
  keys BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  error VARCHAR
);`

/**
 * One row, one text; see mark.ts. The log has what an update changes and no more: were the id in a column of its own, the log of another database
 * would not bring it along. Whole names: it is read before the file is in use.
 */
export const readMarkRow = (catalog: string) => `SELECT known FROM ${catalog}.fabra.mark`
export const FIRST_MARK = `INSERT INTO ${CATALOG}.fabra.mark (known) VALUES ($1)`
export const raiseMark = (catalog: string) => `UPDATE ${catalog}.fabra.mark SET known = $1`
/** Rows of history, of sources, and API keys. Milliseconds for millions of rows: no column is read. Rows of sources are never deleted singly. */
export const markRows = (catalog: string) => `
SELECT (SELECT COUNT(*) FROM ${catalog}.fabra.feature_history),
  (SELECT COALESCE(SUM(estimated_size), 0)::BIGINT FROM duckdb_tables() WHERE database_name = '${catalog}' AND schema_name <> 'fabra'),
  (SELECT COUNT(*) FROM ${catalog}.fabra.api_keys)`

/** $1: a catalog. Tables of anybody. */
export const LIST_ALL_TABLES = `
SELECT schema_name, table_name, sql
FROM duckdb_tables()
WHERE database_name = $1 AND NOT internal
ORDER BY 1, 2`

export const LIST_ALL_VIEWS = `
SELECT sql, view_name
FROM duckdb_views()
WHERE database_name = $1 AND NOT internal`

/** When the newest row was recorded. */
export const newestRecorded = (catalog: string) => `
SELECT strftime(MAX(moment), '%Y-%m-%dT%H:%M:%SZ')
FROM (SELECT MAX(created_at) AS moment FROM ${catalog}.fabra.feature_history
  UNION ALL SELECT MAX(arrived_at) FROM ${catalog}.fabra.source_rows)`

/** Takes every value of every row into its hands and gives one number. */
export function readAll(catalog: string, schema: string, name: string): string {
  return `SELECT bit_xor(hash(t)) FROM ${catalog}.${quoteName(schema)}.${quoteName(name)} AS t`
}

/** Tables and views of users. Not Fabra's own, not the engine's, not temporary ones. (`duckdb_columns()` would first bind every system view.) */
export const LIST_TABLES = `
SELECT schema_name, table_name, FALSE AS is_view
FROM duckdb_tables()
WHERE database_name = '${CATALOG}' AND NOT internal AND schema_name <> 'fabra'
UNION ALL
SELECT schema_name, view_name, TRUE
FROM duckdb_views()
WHERE database_name = '${CATALOG}' AND NOT internal AND schema_name <> 'fabra'
ORDER BY 1, 2`

/** Name and type of each column. Refused where there is no such table or view. */
export function describeTable(schema: string, name: string): string {
  return `SELECT column_name, column_type FROM (DESCRIBE ${CATALOG}.${quoteName(schema)}.${quoteName(name)})`
}

export const LIST_FUNCTIONS = `
SELECT DISTINCT function_name, function_type, stability, internal
FROM duckdb_functions()
ORDER BY ALL`

/** Schemas in which users may have made functions of their own. */
export const LIST_SCHEMAS = `
SELECT schema_name
FROM duckdb_schemas()
WHERE database_name = '${CATALOG}' AND schema_name <> 'fabra' AND (NOT internal OR schema_name = 'main')`

/** Two statements, as a scalar and as a table. Both are refused, in words of their own, where the schema has no function of that name. (`count()` would be another function.) */
export function probeFunction(schema: string, name: string): readonly string[] {
  const call = `${CATALOG}.${quoteName(schema)}.${quoteName(name)}(0)`
  return [`SELECT ${call}`, `SELECT * FROM ${call}`]
}

export const SERIALIZE = 'SELECT json_serialize_sql($1::VARCHAR)'

/** The row list of one call: `keyTypes` in the order of the key's columns. Temporary, so it belongs to one connection. */
export function createRowTable(keyTypes: readonly string[]): string {
  const keys = keyTypes.map((type, i) => `__fabra_k${i} ${type}`)
  return `CREATE OR REPLACE TEMP TABLE __fabra_row (__fabra_ord BIGINT, ${[...keys, '__fabra_as_of TIMESTAMPTZ'].join(', ')})`
}

/** The same with its rows in one statement; the quickest way for few rows. Parameters: keys, then as-of, row by row. */
export function createRowTableOf(keyTypes: readonly string[], rowCount: number): string {
  const width = keyTypes.length + 1
  const rows = Array.from({ length: rowCount }, (_, row) => {
    const keys = keyTypes.map((type, i) => `CAST($${row * width + i + 1} AS ${type})`)
    return `(${row}::BIGINT, ${[...keys, `CAST($${row * width + width} AS TIMESTAMPTZ)`].join(', ')})`
  })
  const names = ['__fabra_ord', ...keyTypes.map((_, i) => `__fabra_k${i}`), '__fabra_as_of']
  return `CREATE OR REPLACE TEMP TABLE __fabra_row AS SELECT * FROM (VALUES ${rows.join(', ')}) v(${names.join(', ')})`
}

/** Adds rows from JSON lists. Parameters: the number of the first row, how many there are, a list per key column, a list of as-of times. */
export function appendRows(keyTypes: readonly string[]): string {
  const keys = keyTypes.map((_, i) => `UNNEST(from_json(CAST($${i + 3} AS VARCHAR), '["VARCHAR"]')) AS k${i}`)
  const times = `UNNEST(from_json(CAST($${keyTypes.length + 3} AS VARCHAR), '["BIGINT"]')) AS t`
  const casts = keyTypes.map((type, i) => `CAST(k${i} AS ${type})`)
  return `INSERT INTO temp.main.__fabra_row
SELECT CAST($1 AS BIGINT) + i, ${[...casts, 'make_timestamptz(t)'].join(', ')}
FROM (SELECT ${['UNNEST(range(CAST($2 AS BIGINT))) AS i', ...keys, times].join(', ')})`
}

export const DROP_ROW_TABLE = 'DROP TABLE IF EXISTS temp.main.__fabra_row'

export const READ_FILE = `
SELECT path, size, modified_us, content_hash, settings_hash
FROM fabra.source_files
WHERE source = $1`

export const FORGET_FILE = 'DELETE FROM fabra.source_files WHERE source = $1'

export const REMEMBER_FILE = `
INSERT INTO fabra.source_files (source, path, size, modified_us, content_hash, settings_hash, loaded_at)
VALUES ($1, $2, $3, $4, $5, $6, now())`

const HISTORY_COLUMNS = 'feature, fingerprint, entity_key, value, event_timestamp, available_at, created_at, seq, origin'

/** Total: no two rows tie, so the same question has the same answer on any number of threads. ASOF JOIN is not total. */
const NEWEST_FIRST = 'event_timestamp DESC, available_at DESC, seq DESC'

/** What there is history of. */
export const LIST_RECORDED = 'SELECT DISTINCT feature, fingerprint FROM fabra.feature_history'

/** Newest row per key. Must not return rows that became available later than $3. */
export const LATEST = `
SELECT ${HISTORY_COLUMNS}
FROM fabra.feature_history
WHERE feature = $1 AND fingerprint = $2 AND available_at <= $3
QUALIFY row_number() OVER (PARTITION BY entity_key ORDER BY ${NEWEST_FIRST}) = 1
ORDER BY ${NEWEST_FIRST}, entity_key
LIMIT $4`

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

/**
 * Rows of one write in one statement. What they have in common ($1 … $5), then per row, as texts whose items are apart by NUL (which none of
 * them holds): its key, value (empty: a tombstone), event time and seq. The engine takes such texts apart on its own threads.
 */
export const APPEND_WRITE = `
INSERT INTO fabra.feature_history (${HISTORY_COLUMNS})
SELECT $1, $2, entity_key, NULLIF(value, ''), make_timestamptz(CAST(event_us AS BIGINT)),
  make_timestamptz(CAST($3 AS BIGINT)), make_timestamptz(CAST($4 AS BIGINT)), CAST(seq AS BIGINT), $5
FROM (
  SELECT
    UNNEST(string_split($6, chr(0))) AS entity_key,
    UNNEST(string_split($7, chr(0))) AS value,
    UNNEST(string_split($8, chr(0))) AS event_us,
    UNNEST(string_split($9, chr(0))) AS seq
)`

/** Rows of several writes. $1: as JSON, what rows of one write have in common; then as above, with each row's write before its key. Takes twice as long. */
export const APPEND_WRITES = `
INSERT INTO fabra.feature_history (${HISTORY_COLUMNS})
SELECT w.feature, w.fingerprint, r.entity_key, NULLIF(r.value, ''), make_timestamptz(CAST(r.event_us AS BIGINT)),
  make_timestamptz(w.available_us), make_timestamptz(w.created_us), CAST(r.seq AS BIGINT), w.origin
FROM (
  SELECT
    UNNEST(string_split($2, chr(0))) AS write,
    UNNEST(string_split($3, chr(0))) AS entity_key,
    UNNEST(string_split($4, chr(0))) AS value,
    UNNEST(string_split($5, chr(0))) AS event_us,
    UNNEST(string_split($6, chr(0))) AS seq
) AS r
JOIN (
  SELECT UNNEST(from_json(CAST($1 AS VARCHAR),
    '[{"write":"VARCHAR","feature":"VARCHAR","fingerprint":"VARCHAR","origin":"VARCHAR","available_us":"BIGINT","created_us":"BIGINT"}]'),
    recursive := true)
) AS w ON w.write = r.write`

/** Of the rows with exactly these times ($3 keys, $4 microseconds, side by side) the one accepted last. The bounds ($5, $6) let the engine skip blocks. */
export const ROWS_AT = `
SELECT ${HISTORY_COLUMNS}
FROM fabra.feature_history
WHERE feature = $1 AND fingerprint = $2 AND event_timestamp BETWEEN $5 AND $6
  AND (entity_key, epoch_us(event_timestamp)) IN (SELECT (unnest($3::VARCHAR[]), unnest($4::BIGINT[])))
QUALIFY row_number() OVER (PARTITION BY entity_key, event_timestamp ORDER BY available_at DESC, seq DESC) = 1`

export const READ_HISTORY = `
SELECT ${HISTORY_COLUMNS}
FROM fabra.feature_history
WHERE feature = $1 AND fingerprint = $2 AND entity_key = $3
  AND ($4::TIMESTAMPTZ IS NULL OR event_timestamp >= $4::TIMESTAMPTZ)
  AND ($5::TIMESTAMPTZ IS NULL OR event_timestamp <= $5::TIMESTAMPTZ)
  AND ($6::TIMESTAMPTZ IS NULL OR available_at <= $6::TIMESTAMPTZ)
ORDER BY ${NEWEST_FIRST}
LIMIT $7`

export const LAST_SEQ = 'SELECT max(seq) FROM fabra.feature_history'

export const FORGET_KEY = `
DELETE FROM fabra.feature_history
WHERE feature IN (SELECT unnest($1::VARCHAR[])) AND entity_key = $2`

export const OWE = 'INSERT INTO fabra.debts (writer, told_at) VALUES ($1, $2)'

export const READ_PENDING_NOTES = 'SELECT writer, max(told_at) FROM fabra.debts GROUP BY writer ORDER BY writer'

export const FORGET_PENDING_NOTES = 'DELETE FROM fabra.debts WHERE writer IN (SELECT unnest($1::VARCHAR[]))'

export const INSERT_ERASURE = 'INSERT INTO fabra.fences (entity, entity_key, fenced_at) VALUES ($1, $2, $3)'

export const READ_ERASURES = `
SELECT entity, entity_key, max(fenced_at)
FROM fabra.fences
GROUP BY entity, entity_key`
