/**
 * The latest row of each key before each time, for many keys and times at once. First an ASOF JOIN over keys and times alone tells for each row of the
 * list which time its latest row has; that time is the same whatever the join makes of rows that share it. Then the rows of these times are
 * fetched, and where several share one, the one that the query's own order puts first stays, by the number of the row where that says nothing. So the
 * answer is total, and the join carries two short columns instead of all that is asked for.
 *
 * Where rows are available later than their time, they are taken in the order of being seen. A row that is seen when one of a later time was seen
 * already is nobody's latest row; of the others, which are steps, the one seen last is.
 */
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import { proveOwn } from '../proof.ts'
import { quoteName } from '../rewrite/lexer.ts'
import { columnOf } from '../rewrite/visibility.ts'
import { textsOf } from './deparse.ts'
import type { LatestRow } from './latest-row.ts'
import { BEFORE_ALL } from './windowed-aggregate-statement.ts'

const FUNCTIONS = [
  'row_number',
  'max',
  'count',
  'count_star',
  'min',
  'first',
  'epoch_us',
  'isfinite',
  'greatest',
  'least',
  '+',
  '-',
  'error',
]

/** Over `__fabra_row`; columns as the set-based statement gives them. @param plans At least one; all of them `isSameRow` as the first. */
export async function latestStatement(plans: readonly LatestRow[], store: SourceEngine): Promise<string> {
  const [first] = plans
  if (!first) throw new Error('There is nothing to look up.')
  const bounds = await textsOf(
    first.root,
    first.bounds.map(({ expression }) => expression),
    store,
  )
  const filters = await textsOf(first.root, first.filters, store)
  const ties = await textsOf(
    first.root,
    first.ties.map(({ expression }) => expression),
    store,
  )
  const select: string[] = []
  for (const plan of plans) select.push(...(await textsOf(plan.root, plan.select, store)))
  const columns = [...new Set(plans.flatMap((plan) => plan.columns))]
  const text = statementOf({ plan: first, bounds, filters, ties, select, columns })
  await proveOwn(text, { tables: [first.shadow.table], functions: [...FUNCTIONS, ...plans.flatMap((plan) => [...plan.functions])] }, store)
  return text
}

/** Whether two plans find the same row. */
export function isSameRow(a: LatestRow, b: LatestRow): boolean {
  const rowOf = ({ keyColumns, bounds, filters, ties }: LatestRow) =>
    // Without the places where they stand in their texts.
    JSON.stringify({ keyColumns, bounds, filters, ties }, (name, value: unknown) => (name === 'query_location' ? undefined : value))
  return physical(a) === physical(b) && rowOf(a) === rowOf(b)
}

interface Written {
  readonly plan: LatestRow
  readonly bounds: readonly string[]
  readonly filters: readonly string[]
  readonly ties: readonly string[]
  readonly select: readonly string[]
  readonly columns: readonly string[]
}

/** Keys are numbers on the way, which sort and join in half the time that texts take. */
function statementOf(written: Written): string {
  const { plan, select } = written
  const keys = plan.keyColumns.map((_, i) => `__fabra_k${i}`).join(', ')
  const alias = aliasOf(plan)
  return (
    'WITH __fabra_keys AS MATERIALIZED (\n' +
    `SELECT ${keys}, CAST(row_number() OVER () AS INTEGER) AS __fabra_k FROM (SELECT DISTINCT ${keys} FROM __fabra_row) AS __fabra_one\n` +
    `), __fabra_asked AS MATERIALIZED (\n${asked(written)}\n), __fabra_events AS MATERIALIZED (\n${events(written)}\n` +
    `), __fabra_found AS MATERIALIZED (\n${found(plan)}\n), __fabra_hits AS MATERIALIZED (\n${hits(plan)}\n), __fabra_met AS MATERIALIZED (\n${met(written)}\n), __fabra_first AS MATERIALIZED (\n${first(written)}\n)\n` +
    `SELECT __fabra_row.__fabra_ord, 1 AS __fabra_hit, ${select.join(', ')} FROM __fabra_found\n` +
    `JOIN __fabra_first USING (${placeOf(plan).join(', ')})\n` +
    `JOIN __fabra_met AS ${alias} ON ${['__fabra_id', ...placeOf(plan)].map((name) => `${alias}.${name} = __fabra_first.${name}`).join(' AND ')}\n` +
    'JOIN __fabra_row ON __fabra_row.__fabra_ord = __fabra_found.__fabra_ord'
  )
}

/** What is the same for the rows that only the query's own order tells apart. */
function placeOf({ shadow: { source } }: LatestRow): readonly string[] {
  return ['__fabra_k', '__fabra_at', ...(source.available === null ? [] : ['__fabra_seen'])]
}

/** Of each row of the list the time of its latest row, and when the last of that time was seen. */
function found(plan: LatestRow): string {
  const isLate = plan.shadow.source.available !== null
  const steps =
    'SELECT __fabra_k, __fabra_at, __fabra_seen FROM __fabra_events\n' +
    'QUALIFY __fabra_at = max(__fabra_at) OVER (PARTITION BY __fabra_k ORDER BY __fabra_seen)'
  const columns = ['__fabra_r.__fabra_ord', ...placeOf(plan).map((name) => `__fabra_e.${name}`)]
  const seen = isLate ? '__fabra_r.__fabra_until >= __fabra_e.__fabra_seen' : '__fabra_r.__fabra_until > __fabra_e.__fabra_at'
  const within = plan.bounds.some(({ side }) => side === 'lower') ? '\nWHERE __fabra_e.__fabra_at >= __fabra_r.__fabra_from' : ''
  return (
    `SELECT ${columns.join(', ')} FROM __fabra_asked AS __fabra_r\n` +
    `ASOF JOIN ${isLate ? `(\n${steps}\n)` : '__fabra_events'} AS __fabra_e ON __fabra_r.__fabra_k = __fabra_e.__fabra_k AND ${seen}${within}`
  )
}

/** The rows of the times that were found, as far as they were seen by then. */
function hits(plan: LatestRow): string {
  if (plan.shadow.source.available === null)
    return 'SELECT __fabra_k, __fabra_at, __fabra_id FROM __fabra_events SEMI JOIN __fabra_found USING (__fabra_k, __fabra_at)'
  return (
    'SELECT __fabra_f.*, __fabra_e.__fabra_id FROM __fabra_events AS __fabra_e\n' +
    'JOIN (SELECT DISTINCT __fabra_k, __fabra_at, __fabra_seen FROM __fabra_found) AS __fabra_f\n' +
    'ON __fabra_e.__fabra_k = __fabra_f.__fabra_k AND __fabra_e.__fabra_at = __fabra_f.__fabra_at AND __fabra_e.__fabra_seen <= __fabra_f.__fabra_seen'
  )
}

/** A row's latest row is before `__fabra_until`, in microseconds (or seen by then), and not before `__fabra_from`. */
function asked({ plan, bounds }: Written): string {
  const ends = bounds.map((text, i) => ({ name: `__fabra_b${i}`, text: `CAST(${text} AS TIMESTAMPTZ) AS __fabra_b${i}` }))
  const edges = plan.bounds.map(({ side, inclusive }, i) => {
    const end = `__fabra_b${i}`
    const micros = `CASE WHEN isfinite(${end}) THEN epoch_us(${end}) ELSE error('a bound of time is infinite') END`
    return { side, text: inclusive === (side === 'lower') ? micros : `${micros} + 1` }
  })
  const textsOfSide = (wanted: string) => edges.filter(({ side }) => side === wanted).map(({ text }) => text)
  const { available, delay } = plan.shadow.source
  const until = [`epoch_us(__fabra_as_of) - ${available === null ? delay : 0}`, ...textsOfSide('upper')]
  const from = textsOfSide('lower')
  const columns = [
    '__fabra_ord',
    '__fabra_k',
    `LEAST(${until.join(', ')}) AS __fabra_until`,
    ...(from.length > 0 ? [`GREATEST(${from.join(', ')}) AS __fabra_from`] : []),
  ]
  const list = `SELECT ${['*', ...ends.map(({ text }) => text)].join(', ')} FROM __fabra_row`
  // Compared with NULL nothing is true.
  const known = ends.map(({ name }) => `${name} IS NOT NULL`)
  const using = plan.keyColumns.map((_, i) => `__fabra_k${i}`).join(', ')
  return (
    `SELECT ${columns.join(', ')} FROM (${list}) AS __fabra_list JOIN __fabra_keys USING (${using})` +
    `${known.length > 0 ? ` WHERE ${known.join(' AND ')}` : ''}`
  )
}

/** Keys, times and numbers of the rows that may be an answer. */
function events({ plan, filters }: Written): string {
  const alias = aliasOf(plan)
  const same = plan.keyColumns.map((column, i) => `${alias}.${quoteName(column)} = __fabra_keys.__fabra_k${i}`)
  const { timestamp, available, delay } = plan.shadow.source
  const times = [timestamp, available].filter((name) => name !== null).map((name) => columnName(plan, name))
  const conditions = [...filters, ...times.map((name) => `${quoteName(name)} < TIMESTAMP 'infinity'`)]
  const [at = '', seen] = times.map((name) => timeOf(plan, name))
  const columns = [`${at} AS __fabra_at`, ...(seen === undefined ? [] : [`GREATEST(${at} + ${delay + 1}, ${seen}) AS __fabra_seen`])]
  return (
    `SELECT __fabra_k, ${columns.join(', ')}, ${alias}.rowid AS __fabra_id\n` +
    `FROM ${physical(plan)} JOIN __fabra_keys ON ${same.join(' AND ')}\nWHERE ${conditions.join(' AND ')}`
  )
}

/** All that is looked at of the rows that have a time that was found. */
function met({ plan, columns, ties }: Written): string {
  const alias = aliasOf(plan)
  const looked = [...columns.map((name) => `${alias}.${quoteName(name)}`), ...ties.map((text, i) => `${text} AS __fabra_o${i}`)]
  return (
    `SELECT ${['__fabra_id', ...placeOf(plan)].map((name) => `__fabra_hits.${name}`).join(', ')}${looked.map((text) => `, ${text}`).join('')}\n` +
    `FROM ${physical(plan)} JOIN __fabra_hits ON ${alias}.rowid = __fabra_hits.__fabra_id`
  )
}

/** Of the rows of one key and time the first. Few times have several: only these are put in order. */
function first({ plan }: Written): string {
  const { ties } = plan
  const place = placeOf(plan).join(', ')
  const group = `FROM __fabra_hits GROUP BY ${place}`
  const stored = `SELECT ${place}, min(__fabra_id) AS __fabra_id ${group}`
  if (ties.length === 0) return stored
  const order = [...ties.map(({ way }, i) => `__fabra_o${i}${way}`), '__fabra_id'].join(', ')
  return (
    `${stored} HAVING count(*) = 1\nUNION ALL\nSELECT ${place}, first(__fabra_id ORDER BY ${order}) FROM __fabra_met\n` +
    `SEMI JOIN (SELECT ${place} ${group} HAVING count(*) > 1) AS __fabra_several USING (${place})\n` +
    `GROUP BY ${place}`
  )
}

function timeOf(plan: LatestRow, name: string): string {
  const time = quoteName(name)
  const micros = columnOf(plan.shadow.table, name)?.type === 'DATE' ? `epoch_us(CAST(${time} AS TIMESTAMP))` : `epoch_us(${time})`
  return `CASE WHEN isfinite(${time}) THEN ${micros} ELSE ${BEFORE_ALL} END`
}

function columnName({ shadow: { table } }: LatestRow, name: string): string {
  return columnOf(table, name)?.name ?? name
}

function physical(plan: LatestRow): string {
  const { table } = plan.shadow
  return `${quoteName(table.schema)}.${quoteName(table.name)} AS ${aliasOf(plan)}`
}

function aliasOf({ shadow: { ref } }: LatestRow): string {
  return quoteName(ref.alias === '' ? ref.name : ref.alias)
}
