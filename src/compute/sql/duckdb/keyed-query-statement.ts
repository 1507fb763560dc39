/**
 * Plain look-ups by key, for the calls of a list together: each call joined with the rows that it meets, and of those a group for each call, or the
 * first. LATERAL means the same, but the engine plans and runs it as several joins with the distinct values of the list.
 */
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import { proveOwn } from '../proof.ts'
import { quoteName } from '../rewrite/lexer.ts'
import { visibleWhere } from '../rewrite/proof-shadow.ts'
import type { Json } from '../rewrite/sql-tree.ts'
import { textsOf } from './deparse.ts'
import type { KeyedAggregate, KeyedQuery } from './keyed-query.ts'

const ROW = '__fabra_row'
const FUNCTIONS = ['row_number', 'first', 'count', 'sum', 'avg', 'min', 'max', 'bool_and', 'bool_or', '-']

/**
 * Over `__fabra_row`; columns as the set-based statement gives them.
 * @param keyCount Columns of the list that stand for the values of a call.
 */
export async function keyedStatement(query: KeyedQuery, keyCount: number, store: SourceEngine): Promise<string> {
  const { filters, meets, aggregates, orders, select } = query
  const inner = aggregates.flatMap(({ argument, filter }) => [argument, filter]).filter((expression) => expression !== null)
  const parts = [filters, meets, inner, orders.map(({ expression }) => expression), select]
  const texts = await textsOf(query.root, parts.flat(), store)
  const taken = parts.map((part) => texts.splice(0, part.length))
  const [filterTexts = [], meetTexts = [], innerTexts = [], orderTexts = [], selectTexts = []] = taken
  const calls = aggregates.map((aggregate) => callOf(aggregate, innerTexts))
  const alias = quoteName(query.shadow.ref.alias || query.shadow.ref.name)
  const visible = visibleWhere(query.shadow, `${ROW}.__fabra_as_of`)
  const written = { ...query, alias, filters: filterTexts, on: [...visible, ...meetTexts].join(' AND '), select: selectTexts }
  const text =
    aggregates.length > 0
      ? grouped(written, calls, keyCount)
      : first(
          written,
          orderTexts.map((one, i) => one + (orders[i]?.way ?? '')),
        )
  await proveOwn(text, { tables: [query.shadow.table], functions: [...FUNCTIONS, ...query.functions] }, store)
  return text
}

interface Written extends Pick<KeyedQuery, 'shadow'> {
  readonly alias: string
  readonly filters: readonly string[]
  readonly on: string
  readonly select: readonly string[]
}

/**
 * A call that meets nothing has a group all the same, of a row that is not there. Groups are the numbers of calls alone: a table of whole numbers is
 * found by their place, where one with the texts of keys is hashed and made anew for each statement, which costs more than the join does.
 */
function grouped(written: Written, calls: readonly string[], keyCount: number): string {
  const list = [...Array.from({ length: keyCount }, (_, i) => `__fabra_k${i}`), '__fabra_as_of']
  const select = written.select.join(', ')
  const asked = list.filter((name) => select.includes(name)).map((name) => `first(${ROW}.${name}) AS ${name}`)
  const columns = [`${ROW}.__fabra_ord`, ...asked, ...calls.map((call, i) => `${call} AS __fabra_a${i}`)]
  return (
    `SELECT ${ROW}.__fabra_ord, 1 AS __fabra_hit, ${select} FROM (\n` +
    `SELECT ${columns.join(', ')}\nFROM ${ROW} LEFT JOIN ${rows(written, 'TRUE AS __fabra_there')} ON ${written.on}\n` +
    `GROUP BY ${ROW}.__fabra_ord\n) AS ${ROW}`
  )
}

/** Of rows that the order does not tell apart the one that was stored first, where rows have numbers. */
function first(written: Written, orders: readonly string[]): string {
  const isTable = written.shadow.table.kind === 'table'
  const order = isTable ? [...orders, `${written.alias}.__fabra_id`] : orders
  return (
    `SELECT ${ROW}.__fabra_ord, 1 AS __fabra_hit, ${written.select.join(', ')}\n` +
    `FROM ${ROW} JOIN ${rows(written, isTable ? 'rowid AS __fabra_id' : 'TRUE AS __fabra_there')} ON ${written.on}\n` +
    `QUALIFY row_number() OVER (PARTITION BY ${ROW}.__fabra_ord ORDER BY ${order.join(', ')}) = 1`
  )
}

function rows({ shadow: { table }, alias, filters }: Written, mark: string): string {
  const where = filters.length > 0 ? ` WHERE ${filters.join(' AND ')}` : ''
  return `(SELECT *, ${mark} FROM ${quoteName(table.schema)}.${quoteName(table.name)} AS ${alias}${where}) AS ${alias}`
}

/** @param texts Of the arguments and filters of all aggregates in turn; this one's are taken from it. */
function callOf({ name, isDistinct, argument, filter }: KeyedAggregate, texts: string[]): string {
  const take = (expression: Json | null) => (expression === null ? null : (texts.shift() ?? 'NULL'))
  const [looked, kept] = [take(argument), take(filter)]
  const there = kept === null ? '__fabra_there' : `__fabra_there AND ${kept}`
  const called = name === 'count_star' ? 'count' : name
  return `${called}(${isDistinct ? 'DISTINCT ' : ''}CASE WHEN ${there} THEN ${looked ?? '1'} END)`
}
