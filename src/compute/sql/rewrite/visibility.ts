import type { Source } from '../../../definition/model.ts'
import type { SourceEngine, Table, TableColumn } from '../../../store/ports/source-engine.ts'
import { quoteName, quoteText } from './lexer.ts'

/** Columns whose type has no zone: read in the source's `timezone`. */
const NAIVE = /^TIMESTAMP(?:_S|_MS|_NS)?(?:\(\d\))?$|^TIMESTAMP(?:\(\d\))? WITHOUT TIME ZONE$|^DATETIME$|^DATE$/
const ZONED = /^TIMESTAMPTZ|^TIMESTAMP(?:\(\d\))? WITH TIME ZONE$/

/** A source where it is read. */
export interface Shadowed {
  readonly source: Source
  readonly table: Table
  readonly dialect: SourceEngine['dialect']
}

/**
 * A derived table that hides the rows of a source that were not there yet. Visible at t: timestamp + delay < t, available ≤ t, and until is null
 * or ≥ t. Comparisons with NULL are not true, so rows without a time are never visible.
 * @param asOf SQL of the row's as-of time (TIMESTAMPTZ).
 */
export function shadowOf(shadowed: Shadowed, physical: string, asOf: string): string {
  return derived(shadowed, physical, visibility(shadowed.source, shadowed.table, asOf))
}

/** The same with the rows of all times: each once, with its times in UTC. Null where that is what the table has. */
export function rowsOfAllTimes(shadowed: Shadowed, physical: string): string | null {
  const { source, table } = shadowed
  return source.id === null && selectList(source, table) === '*' ? null : derived(shadowed, physical, [])
}

function derived({ source, table, dialect }: Shadowed, physical: string, conditions: string[]): string {
  const hasRowId = table.kind === 'table'
  let rows = physical
  if (source.id !== null && hasRowId) {
    rows = `${physical} AS "__fabra_one"`
    conditions.push(notRepeated({ source, table, dialect }, physical, source.id))
  } else if (source.id !== null) rows = withoutRepeats({ source, table, dialect }, physical, source.id)
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''
  return `(SELECT ${selectList(source, table)} FROM ${rows}${where})`
}

/** What is wrong with a source's time columns, if anything. */
export function timeColumnProblem(source: Source, table: Table): { readonly message: string; readonly hint: string } | null {
  const wanted = { timestamp: source.timestamp, available: source.available, until: source.until }
  for (const [setting, name] of Object.entries(wanted)) {
    if (name === null) continue
    const column = columnOf(table, name)
    if (!column) {
      const known = table.columns.map((candidate) => candidate.name).join(', ')
      return { message: `it has no column "${name}", which is its ${setting}.`, hint: `Its columns: ${known}.` }
    }
    if (!NAIVE.test(column.type) && !ZONED.test(column.type)) {
      const hint = `Declare it a time: columns: { ${name}: "timestamptz" }, or convert it where the table is made.`
      return { message: `its ${setting} "${name}" is ${column.type}, not a time.`, hint }
    }
  }
  if (source.id !== null && !columnOf(table, source.id)) {
    return {
      message: `it has no column "${source.id}", which is its id.`,
      hint: `Its columns: ${table.columns.map((c) => c.name).join(', ')}.`,
    }
  }
  return null
}

export function columnOf(table: Table, name: string): TableColumn | undefined {
  return (
    table.columns.find((column) => column.name === name) ?? table.columns.find((column) => column.name.toLowerCase() === name.toLowerCase())
  )
}

function visibility(source: Source, table: Table, asOf: string): string[] {
  const conditions: string[] = []
  if (source.timestamp !== null) {
    const limit = source.delay === 0 ? asOf : `${asOf} - INTERVAL '${source.delay} microseconds'`
    conditions.push(compare(source, table, source.timestamp, '<', limit))
  }
  if (source.available !== null) conditions.push(compare(source, table, source.available, '<=', asOf))
  if (source.until !== null) {
    const until = instant(source, table, source.until)
    conditions.push(`(${until} IS NULL OR ${compare(source, table, source.until, '>=', asOf)})`)
  }
  return conditions
}

/** In UTC the limit is made naive rather than the column zoned: once a query instead of once a row, and the same order. */
function compare(source: Source, table: Table, name: string, operator: string, limit: string): string {
  const column = columnOf(table, name)
  if (column && NAIVE.test(column.type) && isUtc(source.timezone)) return `${quoteName(name)} ${operator} CAST(${limit} AS TIMESTAMP)`
  return `${instant(source, table, name)} ${operator} ${limit}`
}

function instant(source: Source, table: Table, name: string, written: (name: string) => string = quoteName): string {
  const column = columnOf(table, name)
  if (!column || !NAIVE.test(column.type) || isUtc(source.timezone)) return written(name)
  return `(CAST(${written(name)} AS TIMESTAMP) AT TIME ZONE ${quoteText(source.timezone)})`
}

/** `*`; with another zone than UTC, naive time columns become UTC, so that the user's own comparisons with the present are right too. */
function selectList(source: Source, table: Table): string {
  const times = new Set(
    [source.timestamp, source.available, source.until].filter((name) => name !== null).map((name) => name.toLowerCase()),
  )
  const moved = (column: TableColumn) => times.has(column.name.toLowerCase()) && NAIVE.test(column.type) && column.type !== 'DATE'
  if ((source.id === null || table.kind === 'table') && (isUtc(source.timezone) || !table.columns.some(moved))) return '*'
  const columns = table.columns.map((column) => {
    if (isUtc(source.timezone) || !moved(column)) return quoteName(column.name)
    return `(${instant(source, table, column.name)} AT TIME ZONE 'UTC') AS ${quoteName(column.name)}`
  })
  return columns.join(', ')
}

/**
 * Of rows with the same id the one that was visible first stays: then "repeats dropped" means the same at every time. Ties are settled by the
 * whole row, so the answer does not hang on the order of storage. Rows without an id are not repeats of each other. As a search for an earlier
 * row, it is made only for rows that the rest of the query asks for.
 */
function notRepeated({ source, table, dialect }: Shadowed, physical: string, id: string): string {
  const column = (alias: string) => (name: string) => `"${alias}".${quoteName(name)}`
  const location = (alias: string) => {
    const of = column(alias)
    // Rows that are equal to the last column: any of them will do. Partitions have rows of the same ctid.
    const last = [`md5(CAST("${alias}" AS TEXT))`, `"${alias}".tableoid`, `"${alias}".ctid`]
    // As a record, NULL is greater than everything; between plain rows it would be no answer at all.
    if (dialect === 'postgres') return `CAST(ROW(${[...arrival(source, table, of), ...sortable(table, of), ...last].join(', ')}) AS record)`
    return `ROW(${[...arrival(source, table, of), ...table.columns.map(({ name }) => of(name)), `"${alias}".rowid`].join(', ')})`
  }
  const other = column('__fabra_other')
  const timed = timesOf(source).map((name) => `${other(name)} IS NOT NULL AND `)
  const same = `${other(id)} = ${column('__fabra_one')(id)}`
  return `NOT EXISTS (SELECT 1 FROM ${physical} AS "__fabra_other" WHERE ${same} AND ${timed.join('')}${location('__fabra_other')} < ${location('__fabra_one')})`
}

/** The same for views, whose rows have no identity of their own. */
function withoutRepeats({ source, table, dialect }: Shadowed, physical: string, id: string): string {
  const known = timesOf(source).map((name) => `${quoteName(name)} IS NOT NULL`)
  const names = table.columns.map((column) => quoteName(column.name))
  const whole = dialect === 'postgres' ? [...sortable(table, quoteName), `md5(CAST(ROW(${names.join(', ')}) AS TEXT))`] : names
  const order = [...arrival(source, table, quoteName), ...whole]
  const where = known.length > 0 ? ` WHERE ${known.join(' AND ')}` : ''
  const number = `CASE WHEN ${quoteName(id)} IS NULL THEN 1 ELSE row_number() OVER (PARTITION BY ${quoteName(id)} ORDER BY ${order.join(', ')}) END`
  return `(SELECT * FROM (SELECT *, ${number} AS "__fabra_repeat" FROM ${physical}${where}) AS "__fabra_numbered" WHERE "__fabra_repeat" = 1) AS "__fabra_once"`
}

const SORTABLE =
  /^(?:BIGINT|INTEGER|SMALLINT|NUMERIC|REAL|DOUBLE|BOOLEAN|DATE|TIME|UUID|INTERVAL|BYTEA|JSONB|ENUM|TEXT|CHARACTER|BPCHAR|CITEXT|NAME)[^[]*(?:\[\])?$/
const COLLATED = /^(?:TEXT|CHARACTER|BPCHAR|CITEXT|NAME)/

/** Columns by which PostgreSQL can put rows in order, texts by their bytes: so DuckDB does. */
function sortable(table: Table, written: (name: string) => string): string[] {
  const fitting = table.columns.filter(({ type }) => SORTABLE.test(type))
  return fitting.map(({ name, type }) => (COLLATED.test(type) ? `${written(name)} COLLATE "C"` : written(name)))
}

function timesOf(source: Source): string[] {
  return [source.timestamp, source.available].filter((name) => name !== null)
}

/** The first time at which a row is visible: strictly after its timestamp and delay, and not before it is available. */
function arrival(source: Source, table: Table, column: (name: string) => string): string[] {
  const [first, ...more] = timesOf(source)
  if (first === undefined || more.length === 0) return timesOf(source).map(column)
  const [timestamp = '', available = ''] = timesOf(source).map((name) => instant(source, table, name, column))
  return [`greatest(${timestamp} + INTERVAL '${source.delay + 1} microseconds', ${available})`]
}

function isUtc(zone: string): boolean {
  return /^(?:UTC|GMT|Etc\/(?:UTC|GMT|Zulu)|Zulu|Z)$/i.test(zone)
}
