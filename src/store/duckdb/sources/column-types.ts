/** PostgreSQL's names of types that DuckDB has under other names. */
const TYPES: Readonly<Record<string, string>> = {
  JSONB: 'JSON',
  CITEXT: 'VARCHAR',
}

/** PostgreSQL's floats by their digits. */
const FLOAT_OF_DIGITS = /^\s*float\s*\(\s*(\d+)\s*\)/i
const SINGLE_DIGITS = 24

/** An SQL type of either engine, as DuckDB writes it. */
export function duckdbType(type: string): string {
  return type
    .replace(FLOAT_OF_DIGITS, (_, digits: string) => (Number(digits) > SINGLE_DIGITS ? 'DOUBLE' : 'FLOAT'))
    .replace(/^\s*\w+/, (word) => TYPES[word.trim().toUpperCase()] ?? word)
}
