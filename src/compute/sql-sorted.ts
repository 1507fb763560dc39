/**
 * The event-sorted way to compute a plain aggregate: the events of a key and the rows that ask for it in one stream, ordered by time, with the
 * engine's window functions. Time grows with the number of events and rows, not with their product, so a key that holds much of both does not
 * hold up the rest. Keys with few rows or events stay with the set-based way, which is quicker for them; which is which is counted in the
 * statement itself.
 */
import type { SourceStore } from '../store/source-store.ts'
import { quoteName } from './sql-lexer.ts'
import type { PlainAggregate } from './sql-plain.ts'
import type { Json } from './sql-tree.ts'

/** A pair of row and event costs about this much less than a row or an event in the sorted stream. */
export const PAIRS_PER_EVENT = 70
/** Outside of all times that microseconds hold, and far enough from the end of int64 to add a window to. */
const BEFORE_ALL = '-4000000000000000000'

/**
 * Over `__fabra_row`; columns as the set-based statement gives them.
 * @param setText The set-based statement.
 * @param pairsPerEvent From which ratio of pairs to events and rows on a key is heavy; 0: every key with events.
 */
export async function sortedStatement(plan: PlainAggregate, setText: string, store: SourceStore, pairsPerEvent: number): Promise<string> {
  const texts = await deparse(plan, store)
  const keys = plan.keyColumns.map((_, i) => `__fabra_k${i}`)
  const light = setText.replace(
    'FROM __fabra_row JOIN LATERAL',
    `FROM (SELECT * FROM __fabra_row ANTI JOIN __fabra_heavy USING (${keys.join(', ')})) AS __fabra_row JOIN LATERAL`,
  )
  return `WITH __fabra_heavy AS MATERIALIZED (\n${heavyKeys(plan, keys, texts, pairsPerEvent)}\n)\n${light}\nUNION ALL\n${sortedPart(plan, keys, texts)}`
}

interface Texts {
  readonly lower: string | null
  readonly filters: readonly string[]
  readonly arguments: readonly string[]
  readonly select: readonly string[]
}

function heavyKeys(plan: PlainAggregate, keys: readonly string[], texts: Texts, pairsPerEvent: number): string {
  const columns = plan.keyColumns.map((column, i) => `${quoteName(column)} AS __fabra_k${i}`)
  const many = `SELECT ${keys.join(', ')}, COUNT(*) AS __fabra_rows FROM __fabra_row GROUP BY ALL HAVING COUNT(*) > ${pairsPerEvent}`
  const events = `SELECT ${columns.join(', ')} FROM ${physical(plan)}${where(texts.filters)}`
  return (
    `SELECT ${keys.join(', ')} FROM (${many}) AS __fabra_many JOIN (${events}) AS __fabra_events USING (${keys.join(', ')})\n` +
    `GROUP BY ${keys.join(', ')}, __fabra_rows HAVING COUNT(*) * __fabra_rows > ${pairsPerEvent} * (COUNT(*) + __fabra_rows)`
  )
}

function sortedPart(plan: PlainAggregate, keys: readonly string[], texts: Texts): string {
  const { source } = plan.shadow
  const time = quoteName(source.timestamp ?? '')
  const using = `SEMI JOIN __fabra_heavy USING (${keys.join(', ')})`
  const events = [
    'CAST(NULL AS BIGINT) AS __fabra_ord',
    ...plan.keyColumns.map((column, i) => `${quoteName(column)} AS __fabra_k${i}`),
    `CASE WHEN isfinite(${time}) THEN epoch_us(${time}) ELSE ${BEFORE_ALL} END AS __fabra_at`,
    'CAST(0 AS BIGINT) AS __fabra_reach',
    ...texts.arguments.map((text, i) => `${text} AS __fabra_x${i}`),
  ]
  const rows = ['__fabra_ord', ...keys, 'epoch_us(__fabra_as_of)', reach(plan, texts), ...texts.arguments.map(() => 'NULL')]
  const from = plan.lower === null ? 'UNBOUNDED' : '__fabra_reach'
  const windowed = plan.aggregates.map(
    ({ name }, i) => `${name === 'count_star' ? 'count' : name}(__fabra_x${i}) OVER __fabra_window AS __fabra_a${i}`,
  )
  return (
    `SELECT __fabra_ord, 1, ${texts.select.join(', ')} FROM (\n` +
    `SELECT __fabra_ord, ${windowed.join(', ')} FROM (\n` +
    `SELECT * FROM (SELECT ${events.join(', ')} FROM ${physical(plan)}${where([...texts.filters, `${time} < TIMESTAMP 'infinity'`])}) AS __fabra_event ${using}\n` +
    `UNION ALL\nSELECT ${rows.join(', ')} FROM __fabra_row ${using}\n) AS __fabra_stream\n` +
    `WINDOW __fabra_window AS (PARTITION BY ${keys.join(', ')} ORDER BY __fabra_at RANGE BETWEEN ${from} PRECEDING AND ${source.delay + 1} PRECEDING)\n` +
    ') AS __fabra_sorted WHERE __fabra_ord IS NOT NULL'
  )
}

/** How far back from a row's time its window begins: whole microseconds, so that strict and inclusive bounds are both exact. */
function reach(plan: PlainAggregate, texts: Texts): string {
  if (plan.lower === null || texts.lower === null) return '0'
  const back = `epoch_us(__fabra_as_of) - epoch_us(CAST(${texts.lower} AS TIMESTAMPTZ))`
  return `GREATEST(COALESCE(${plan.lower.inclusive ? back : `${back} - 1`}, 0), 0)`
}

function physical({ shadow: { ref, table } }: PlainAggregate): string {
  return `${quoteName(table.schema)}.${quoteName(table.name)} AS ${quoteName(ref.alias === '' ? ref.name : ref.alias)}`
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}

/** Syntax back to text, by the engine itself. */
async function deparse(plan: PlainAggregate, store: SourceStore): Promise<Texts> {
  const aggregates = plan.aggregates.flatMap(({ argument, filter }) => [argument, filter])
  const expressions = [plan.lower?.expression ?? null, ...aggregates, ...plan.filters, ...plan.select]
  const present = expressions.filter((expression) => expression !== null)
  const list = present.map((_, i) => `json_deserialize_sql(CAST($${i + 1} AS JSON))`)
  const { rows } = await store.query(
    `SELECT ${list.join(', ')}`,
    present.map((expression) => statementOf(plan.root, expression)),
    {
      signal: new AbortController().signal,
      timeoutMs: 10_000,
    },
  )
  const found = [...(rows[0] ?? [])]
  const take = (expression: Json | null) => (expression === null ? null : `(${String(found.shift()).replace(/^SELECT /, '')})`)
  const lower = take(plan.lower?.expression ?? null)
  const taken = plan.aggregates.map(({ argument, filter }) => ({ argument: take(argument) ?? '1', filter: take(filter) }))
  return {
    lower,
    arguments: taken.map(({ argument, filter }) => (filter === null ? argument : `CASE WHEN ${filter} THEN ${argument} END`)),
    filters: plan.filters.map((expression) => take(expression) ?? 'TRUE'),
    select: plan.select.map((expression) => take(expression) ?? 'NULL'),
  }
}

function statementOf(root: Json, expression: Json): string {
  const from = { type: 'EMPTY', alias: '', sample: null, query_location: 0 }
  const node = { ...root, select_list: [expression], where_clause: null, from_table: from }
  // Places that the parser does not know are numbers which do not survive JSON.
  return JSON.stringify({ error: false, statements: [{ node, named_param_map: [] }] }, (key, value: unknown) =>
    key === 'query_location' ? 0 : value,
  )
}
