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

/** The last block that rows of a table lie in, from what the engine knows of them: none is read. Null: in none. */
export function lastBlock(catalog: string, schema: string, name: string): string {
  const table = [catalog, schema, name].map(quoteName).join('.')
  return `SELECT greatest(max(block_id), max(list_max(additional_block_ids))) FROM pragma_storage_info(${quoteText(table)})`
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

/** Adds rows from texts whose items are apart by NUL. Parameters: the number of the first row, how many there are, a text per key column, one of as-of times. */
export function appendRows(keyTypes: readonly string[]): string {
  const items = (parameter: number, name: string) => `UNNEST(string_split(CAST($${parameter} AS VARCHAR), chr(0))) AS ${name}`
  const keys = keyTypes.map((_, i) => items(i + 3, `k${i}`))
  const casts = keyTypes.map((type, i) => `CAST(k${i} AS ${type})`)
  return `INSERT INTO temp.main.__fabra_row
SELECT CAST($1 AS BIGINT) + i, ${[...casts, 'make_timestamptz(CAST(t AS BIGINT))'].join(', ')}
FROM (SELECT ${['UNNEST(range(CAST($2 AS BIGINT))) AS i', ...keys, items(keyTypes.length + 3, 't')].join(', ')})`
}

export const CLEAR_ROW_TABLE = 'DELETE FROM temp.main.__fabra_row'

export const DROP_ROW_TABLE = 'DROP TABLE IF EXISTS temp.main.__fabra_row'

export const READ_FILE = `
SELECT path, size, modified_us, content_hash, settings_hash
FROM fabra.source_files
WHERE source = $1`

export const FORGET_FILE = 'DELETE FROM fabra.source_files WHERE source = $1'

export const REMEMBER_FILE = `
INSERT INTO fabra.source_files (source, path, size, modified_us, content_hash, settings_hash, loaded_at)
VALUES ($1, $2, $3, $4, $5, $6, now())`

/** Gives a row where Fabra has a table of this name. */
export function hasTable(name: string): string {
  return `SELECT 1 FROM duckdb_tables() WHERE database_name = '${CATALOG}' AND schema_name = 'fabra' AND table_name = ${quoteText(name)}`
}
