/** Statements by which training sets are made. Rows and values are Parquet files of the desk's folder; `rows` is a quoted path. */
import type { ValueType } from '../../definition/model.ts'
import type { AsOfQuestion, TypedColumn } from '../training-store.ts'
import { quoteText } from './sql.ts'

/** The row list of `SourceStore.queryOver`, out of a file. */
export function rowTableFrom(rows: string, entity: number, keyCount: number, range: { from: number; to: number }): string {
  const keys = Array.from({ length: keyCount }, (_, i) => `__fabra_e${entity}_k${i} AS __fabra_k${i}`)
  return `CREATE OR REPLACE TEMP TABLE __fabra_row AS
SELECT __fabra_ord, ${keys.join(', ')}, __fabra_as_of
FROM read_parquet(${rows})
WHERE __fabra_ord >= ${range.from} AND __fabra_ord < ${range.to}`
}

/** A statement's values in their declared types. Fails on a value that does not fit, so that no other value takes its place. */
export function typedValues(text: string, columns: readonly TypedColumn[]): string {
  const names = columns.map((_, i) => `c${i}`)
  const select = columns.map(({ index, type, sqlType }, i) => `${typedValue(`t.c${index}`, type, sqlType)} AS v${i}`)
  return `SELECT t.__fabra_ord, CAST(NULL AS TIMESTAMPTZ) AS __fabra_event_at, ${select.join(', ')}
FROM (\n${text}\n) AS t(__fabra_ord, __fabra_hit, ${names.join(', ')})
WHERE t.__fabra_hit IS NOT NULL`
}

const NOT_OF_TYPE = "error('a value does not fit its type')"
/** JSON takes at most six bytes for one of text, and a value holds 64 KiB. */
const SHORT_TEXT = 10_000

/** Whether `typedValue` can bring an SQL type into a declared one. */
export function canType(type: ValueType, sqlType: string): boolean {
  const from = sqlType.toUpperCase()
  if (type === 'int') return /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL\(\d+,\s*0\))$/.test(from)
  if (type === 'float') return /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL.*|FLOAT|DOUBLE)$/.test(from)
  if (type === 'string') return from === 'VARCHAR'
  if (type === 'bool') return from === 'BOOLEAN'
  return type === 'timestamp' && (from === 'TIMESTAMP' || from === 'TIMESTAMP WITH TIME ZONE')
}

function typedValue(value: string, type: ValueType, sqlType: string): string {
  if (type === 'int') return `CAST(${value} AS BIGINT)`
  if (type === 'float') {
    if (/^(FLOAT|DOUBLE)$/i.test(sqlType))
      return `CASE WHEN ${value} IS NULL OR isfinite(${value}) THEN CAST(${value} AS DOUBLE) ELSE ${NOT_OF_TYPE} END`
    // By way of text, because the engine's own conversion of long numbers is not the nearest double.
    return /^(DECIMAL|U?HUGEINT)/i.test(sqlType) ? `CAST(CAST(${value} AS VARCHAR) AS DOUBLE)` : `CAST(${value} AS DOUBLE)`
  }
  if (type === 'string') return `CASE WHEN ${value} IS NULL OR strlen(${value}) <= ${SHORT_TEXT} THEN ${value} ELSE ${NOT_OF_TYPE} END`
  if (type === 'timestamp') {
    const instant = `CAST(${value} AS TIMESTAMPTZ)`
    return `CASE WHEN ${value} IS NULL OR ${instant} BETWEEN TIMESTAMPTZ '1685-01-01' AND TIMESTAMPTZ '2255-01-01' THEN ${instant} ELSE ${NOT_OF_TYPE} END`
  }
  return value
}

/** A value's JSON text in its declared type; JSON's null is NULL. */
export function decoded(text: string, type: ValueType): string {
  if (type === 'int') return `CAST(NULLIF(${text}, 'null') AS BIGINT)`
  if (type === 'float') return `CAST(NULLIF(${text}, 'null') AS DOUBLE)`
  if (type === 'bool') return `CAST(NULLIF(${text}, 'null') AS BOOLEAN)`
  if (type === 'string') return `json_extract_string(${text}, '$')`
  if (type === 'timestamp') return `CAST(json_extract_string(${text}, '$') AS TIMESTAMPTZ)`
  return `CAST(NULLIF(${text}, 'null') AS JSON)`
}

/** One column's text out of the text of an object. */
export function memberText(text: string, column: string): string {
  return `COALESCE(CAST(json_extract(${text}, '$."${column}"') AS VARCHAR), 'null')`
}

/** A literal of a declared type from its JSON text. */
export function literal(text: string, type: ValueType): string {
  return decoded(quoteText(text), type)
}

/** A number of BIGINT; the engine's parser takes no other form for large ones. */
const micros = (value: number) => `CAST(${Math.trunc(value)} AS BIGINT)`

/**
 * Recorded values as of each row's time: of the rows with event time ≤ t and available ≤ t the greatest by (event time, available at, seq), if it
 * is not older than the look-back and no tombstone. Must not return a row that came later by either time.
 *
 * A row can be seen from `seen` on, the later of its two times. In the order of being seen, a row that is not greater than all before it is
 * never the answer; the others are steps, each the answer from its own time to the next step's. Steps of one key have different times, so
 * finding a row's step is exact and total, which an ASOF JOIN over the raw history is not; and a key with much history takes no longer than others.
 *
 * This makes the steps of all questions at once; `f` is the question's index.
 */
export function makeSteps(rows: string, entity: number, questions: readonly AsOfQuestion[]): string {
  const { knowledge = 'serving', snapshot = null } = questions[0] ?? {}
  const asked = questions.map(({ feature, fingerprint }, f) => `(${quoteText(feature)}, ${quoteText(fingerprint)}, ${f})`)
  const later = 'GREATEST(event_timestamp, available_at)'
  const seen = {
    serving: later,
    latest: 'event_timestamp',
    served: `CASE WHEN origin = 'computed' THEN event_timestamp ELSE ${later} END`,
  }[knowledge]
  const conditions = [
    `entity_key IN (SELECT __fabra_e${entity}_key FROM read_parquet(${rows}))`,
    ...(knowledge === 'served' ? ["origin <> 'backfill'"] : []),
    ...(snapshot === null ? [] : [`created_at <= make_timestamptz(${micros(snapshot)})`]),
  ]
  return `CREATE OR REPLACE TEMP TABLE __fabra_steps AS
WITH known AS (
  SELECT f, entity_key AS k, value, event_timestamp, available_at, seq, ${seen} AS seen
  FROM fabra.feature_history JOIN (VALUES ${asked.join(', ')}) AS asked(feature, fingerprint, f) USING (feature, fingerprint)
  WHERE ${conditions.join(' AND ')}
)
SELECT *, lead(seen) OVER (PARTITION BY f, k ORDER BY seen) AS next_seen
FROM (SELECT f, k, seen, value, event_timestamp ${knowledge === 'served' ? STEPS_IN_ANY_ORDER : STEPS})`
}

/** Per question how many pairs of row and step of one key there are. */
export function countPairs(rows: string, entity: number): string {
  return `SELECT f, CAST(SUM(r.n * s.n) AS DOUBLE)
FROM (SELECT __fabra_e${entity}_key AS k, COUNT(*) AS n FROM read_parquet(${rows}) GROUP BY ALL) AS r
JOIN (SELECT f, k, COUNT(*) AS n FROM __fabra_steps GROUP BY ALL) AS s USING (k)
GROUP BY f`
}

/**
 * Of the rows that are seen at once the greatest, unless one of a later event was seen before. Of one event, what is seen later was available later,
 * so it is the greater one: one sort is enough.
 */
const STEPS = `FROM known
WINDOW inorder AS (PARTITION BY f, k ORDER BY seen, event_timestamp, available_at, seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
QUALIFY event_timestamp = max(event_timestamp) OVER inorder AND lead(seen) OVER inorder IS DISTINCT FROM seen`

/** Where what is seen later may have been available earlier, each row's place in the order is found first. */
const STEPS_IN_ANY_ORDER = `FROM (
  SELECT *, max(place) OVER (PARTITION BY f, k ORDER BY seen, place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS greatest
  FROM (SELECT *, row_number() OVER (PARTITION BY f, k ORDER BY event_timestamp, available_at, seq) AS place FROM known)
)
WHERE place = greatest
QUALIFY row_number() OVER (PARTITION BY f, k, seen ORDER BY place DESC) = 1`

/**
 * The step of each row for one question, out of what `makeSteps` made: the one it falls into.
 * @param isLight Few steps per key: looking at each is quicker than sorting the rows.
 */
export function asOfValues(rows: string, entity: number, f: number, question: AsOfQuestion & { readonly isLight: boolean }): string {
  const { lookBack, isLight } = question
  const oldEnough = lookBack === null ? '' : `AND epoch_us(s.event_timestamp) >= epoch_us(r.t) - ${micros(lookBack)}`
  return `SELECT r.__fabra_ord, s.event_timestamp AS __fabra_event_at, s.value
FROM (SELECT __fabra_ord, __fabra_e${entity}_key AS k, __fabra_as_of AS t FROM read_parquet(${rows})) AS r
${isLight ? '' : 'ASOF '}JOIN (SELECT * FROM __fabra_steps WHERE f = ${f}) AS s ON r.k = s.k AND r.t >= s.seen${isLight ? ' AND (s.next_seen IS NULL OR r.t < s.next_seen)' : ''}
WHERE s.value IS NOT NULL ${oldEnough}`
}

export const DROP_STEPS = 'DROP TABLE IF EXISTS temp.main.__fabra_steps'
