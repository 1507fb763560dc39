/** What a feature's SQL may not hold, because its answer would change between two runs at one as-of time, or look where time cannot be held back. */
import type { SqlFunction } from '../../../store/ports/source-engine.ts'
import { identifierOf } from './lexer.ts'
import { isAgeFromToday, isBarePresent, presentFunction } from './now-functions.ts'
import type { FunctionRef } from './sql-tree.ts'
import { nameAt, type ParsedSql } from './statement.ts'

/** Something wrong with a text. `at`: character offset into it, null when unknown. */
export interface SqlFault {
  readonly message: string
  readonly hint: string
  readonly at: number | null
}

/** Functions in FROM that only unfold their arguments. */
export const TABLE_FUNCTIONS = new Set([
  ...['range', 'generate_series', 'unnest', 'json_each', 'json_tree', 'repeat', 'repeat_row', 'generate_subscripts'],
  ...[
    'jsonb_each',
    'jsonb_each_text',
    'jsonb_populate_recordset',
    'json_populate_recordset',
    'json_to_record',
    'jsonb_path_query_tz',
    'json_each_text',
    'jsonb_array_elements',
    'jsonb_array_elements_text',
    'json_array_elements',
  ],
  ...['json_array_elements_text', 'jsonb_object_keys', 'json_object_keys', 'jsonb_to_recordset', 'json_to_recordset', 'jsonb_to_record'],
  ...['regexp_matches', 'regexp_split_to_table', 'string_to_table', 'jsonb_path_query'],
])

/** Functions that read the session, the machine or its clock though their catalogue entry does not say so, or sample at random. */
const REFUSED = new Set([
  ...[
    'ago',
    'timeofday',
    'getenv',
    'getvariable',
    'current_setting',
    'set_config',
    'current_query',
    'current_schemas',
    'reservoir_quantile',
  ],
  ...[
    'pg_conf_load_time',
    'pg_postmaster_start_time',
    'txid_current',
    'pg_sleep',
    'query_to_xml',
    'table_to_xml',
    'cursor_to_xml',
    'schema_to_xml',
  ],
  ...['crosstab', 'crosstab2', 'crosstab3', 'crosstab4', 'connectby', 'xpath_table', 'ts_stat', 'ts_rewrite'],
  ...['database_to_xml', 'json_execute_serialized_sql', 'in_search_path', 'read_text', 'read_blob', 'dblink', 'lo_get'],
])

const HINTS: Readonly<Record<string, string>> = {
  ago: 'Write NOW() - INTERVAL … instead.',
  timeofday: 'Use NOW().',
  random: 'A feature is the same each time it is computed for one time. Derive what you need from the data, with hash() for instance.',
}

/** PostgreSQL calls everything that looks at the session's time zone or locale "stable"; sessions are ours, so these are as good as constant. */
const HARMLESS_WITHIN_QUERY = new Set([
  ...['to_char', 'to_date', 'to_timestamp', 'date_trunc', 'date_part', 'extract', 'timezone', 'age', 'concat', 'concat_ws', 'format'],
  ...[
    'array_to_string',
    'to_json',
    'to_jsonb',
    'json_build_object',
    'jsonb_build_object',
    'json_build_array',
    'jsonb_build_array',
    'row_to_json',
  ],
  ...[
    'json_agg',
    'jsonb_agg',
    'json_object_agg',
    'jsonb_object_agg',
    'array_to_json',
    'date',
    'timestamp',
    'timestamptz',
    'make_timestamptz',
  ],
  ...[
    'string_agg',
    'overlaps',
    'generate_series',
    'to_tsvector',
    'to_tsquery',
    'plainto_tsquery',
    'websearch_to_tsquery',
    'text',
    'unistr',
  ],
  ...[
    'quote_literal',
    'quote_nullable',
    'jsonb_populate_record',
    'json_populate_record',
    'jsonb_to_recordset',
    'date_add',
    'date_subtract',
  ],
  ...[
    'convert',
    'convert_from',
    'convert_to',
    'enum_first',
    'enum_last',
    'enum_range',
    'length',
    'money',
    'numeric',
    'pg_typeof',
    'time',
    'timetz',
  ],
  ...[
    'json_populate_recordset',
    'json_to_record',
    'json_to_recordset',
    'jsonb_populate_recordset',
    'jsonb_to_record',
    'to_number',
    'unaccent',
  ],
  ...['jsonb_path_exists_tz', 'jsonb_path_match_tz', 'jsonb_path_query_tz', 'jsonb_path_query_array_tz', 'jsonb_path_query_first_tz'],
  ...['phraseto_tsquery', 'ts_headline', 'json_to_tsvector', 'jsonb_to_tsvector'],
])

export type FunctionCatalogue = ReadonlyMap<string, readonly SqlFunction[]>

export function catalogueOf(functions: readonly SqlFunction[]): FunctionCatalogue {
  return Map.groupBy(functions, (entry) => entry.name.toLowerCase())
}

/** Everything that may not be in the text at all, whatever the tables hold. */
export function checkText(sql: ParsedSql, catalogue: FunctionCatalogue): SqlFault[] {
  const faults: SqlFault[] = []
  for (const { what, at } of sql.tree.refused) {
    faults.push({ message: `${what} cannot be used in a feature.`, hint: 'Write it as a plain SELECT.', at })
  }
  for (const ref of sql.tree.functions) {
    const fault = checkFunction(ref, catalogue.get(ref.name) ?? [])
    if (fault) faults.push({ ...fault, at: ref.at })
  }
  for (const word of sql.tree.timeWords) {
    if (!word.cast) continue
    const hint = `Write ${/now/i.test(word.text) ? 'NOW()' : "CURRENT_DATE, with INTERVAL '1 day' added or taken"}.`
    faults.push({ message: `'${word.text}' as a time is the present of whoever runs the query.`, hint, at: word.at })
  }
  return [...faults, ...unplacedPresents(sql)]
}

function checkFunction(ref: FunctionRef, entries: readonly SqlFunction[]): Omit<SqlFault, 'at'> | null {
  const call = `${ref.name}()`
  if (ref.schema.toLowerCase() === 'fabra') {
    return { message: `${call} is looked for where only Fabra keeps things.`, hint: "Write the function's name alone." }
  }
  const own = entries.find((entry) => !entry.builtIn)
  if (own) {
    const what = own.kind.includes('macro') ? 'a macro' : 'a function'
    return { message: `${call} is ${what} of the database's own: it could read anything.`, hint: 'Write out what it does.' }
  }
  if (ref.table && !TABLE_FUNCTIONS.has(ref.name)) {
    return { message: `${call} reads what no source declares.`, hint: 'Read a declared source: source("name", { timestamp: …, file: … }).' }
  }
  if (presentFunction(ref.name)) {
    if (ref.argumentCount === 0) return null
    return { message: `${ref.name}(…) with a precision cannot be held back in time.`, hint: `Write ${ref.name.toUpperCase()} without it.` }
  }
  if (isAgeFromToday(ref)) return null
  const volatile = entries.some((entry) => entry.stability === 'volatile')
  const within = entries.some((entry) => entry.stability === 'within_query') && !HARMLESS_WITHIN_QUERY.has(ref.name)
  if (REFUSED.has(ref.name) || volatile || within) {
    return {
      message: `${call} does not give the same answer each time.`,
      hint: HINTS[ref.name] ?? 'A feature depends on its key, its time and its sources only.',
    }
  }
  if (!ref.table && entries.some((entry) => entry.stability === 'unknown')) {
    const hint = 'Use functions of the engine whose answer hangs on their arguments alone.'
    return { message: `${call} is not among the functions that are known to read nothing.`, hint }
  }
  return null
}

/** The present where the rewrite could not reach it. DuckDB reads even a quoted "current_date" as the present when there is no such column. */
function unplacedPresents(sql: ParsedSql): SqlFault[] {
  const faults: SqlFault[] = []
  for (const ref of sql.tree.functions) {
    if (ref.argumentCount > 0 || !presentFunction(ref.name)) continue
    const name = ref.at === null ? null : nameAt(sql.tokens, ref.at)
    const isCall = name && sql.tokens[name.last + 1]?.text === '(' && sql.tokens[name.last + 2]?.text === ')'
    if (!isCall)
      faults.push({ message: `${ref.name}() is written in a way that cannot be held back in time.`, hint: 'Write NOW().', at: ref.at })
  }
  for (const column of sql.tree.columns) {
    const [only] = column.names
    if (column.names.length !== 1 || only === undefined || !isBarePresent(only)) continue
    const token = sql.tokens.find((candidate) => candidate.start === column.at)
    if (token?.kind === 'word' && identifierOf(token) !== null) continue
    const message = `"${only}" in quotes may be a column or the present.`
    faults.push({ message, hint: `Qualify the column with its table, or write ${only.toUpperCase()} without quotes.`, at: column.at })
  }
  return faults
}
