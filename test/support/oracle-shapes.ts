/** Shapes of features, each written twice: as a user's SQL, and as plain loops over what the oracle lets it see. */
import { amountText, type Expected, type SeenRow, timeText } from './oracle.ts'

export interface Bound {
  /** Microseconds before the present. */
  readonly width: number
  readonly inclusive: boolean
}

export interface Draw {
  readonly lower: Bound | null
  readonly upper: Bound | null
  readonly spelling: number
  readonly filter: 'none' | 'food' | 'null' | 'positive'
}

export interface Shape extends Draw {
  readonly shape: ShapeName
}

/** What one question sees. */
export interface View {
  readonly events: readonly SeenRow[]
  readonly facts: readonly SeenRow[]
  readonly isMine: (row: SeenRow) => boolean
  readonly t: number
  readonly draw: Draw
  readonly scale: number
  readonly factScale: number
}

interface Written {
  readonly columns?: Readonly<Record<string, null>>
  /** @param key The condition on the key columns for a table's alias. */
  readonly sql: (key: (alias: string) => string, draw: Draw) => string
  readonly answer: (view: View) => Expected
}

const INT64_MAX = 2n ** 63n - 1n

function spans(draw: Draw, alias: string): string {
  const at = `${alias}.ts`
  const present = ['NOW()', 'CURRENT_TIMESTAMP', 'now ( )', 'transaction_timestamp()'][draw.spelling % 4] ?? 'NOW()'
  const bounds = [
    { bound: draw.lower, sign: '>' },
    { bound: draw.upper, sign: '<' },
  ]
  const texts = bounds.flatMap(({ bound, sign }) => {
    if (!bound) return []
    const operator = bound.inclusive ? `${sign}=` : sign
    const turned = operator.replace(/[<>]/, (found) => (found === '<' ? '>' : '<'))
    const width = `INTERVAL '${bound.width} microseconds'`
    if (draw.spelling >= 6) return [`${present} - ${width} ${turned} ${at}`]
    return [draw.spelling >= 4 ? `${at} + ${width} ${operator} ${present}` : `${at} ${operator} ${present} - ${width}`]
  })
  return texts.map((text) => ` AND ${text}`).join('')
}

function filters(draw: Draw, alias: string): string {
  const texts = {
    none: '',
    food: ` AND ${alias}.category = 'food'`,
    null: ` AND ${alias}.category IS NULL`,
    positive: ` AND ${alias}.amount > 0`,
  }
  return texts[draw.filter]
}

function inSpan({ draw, t }: View, row: SeenRow): boolean {
  const { at } = row
  if (draw.lower && (at === null || !(draw.lower.inclusive ? at >= t - draw.lower.width : at > t - draw.lower.width))) return false
  return !(draw.upper && (at === null || !(draw.upper.inclusive ? at <= t - draw.upper.width : at < t - draw.upper.width)))
}

function passes({ draw }: View, row: SeenRow): boolean {
  if (draw.filter === 'food') return row.category === 'food'
  if (draw.filter === 'null') return row.category === null
  return draw.filter === 'none' || (row.amount !== null && row.amount > 0n)
}

/** The rows of the key, in the span, that pass the filter. */
const chosen = (view: View) => view.events.filter((row) => view.isMine(row) && inSpan(view, row) && passes(view, row))
const mineOf = (rows: readonly SeenRow[], view: View) => rows.filter(view.isMine)
const known = (rows: readonly SeenRow[]) => rows.map((row) => row.amount).filter((amount) => amount !== null)
const where = (key: (alias: string) => string, draw: Draw, alias = 'e') => `${key(alias)}${spans(draw, alias)}${filters(draw, alias)}`

function sum(amounts: readonly bigint[]): bigint | null {
  return amounts.length === 0 ? null : amounts.reduce((total, amount) => total + amount, 0n)
}
function extreme(amounts: readonly bigint[], sign: 1 | -1): bigint | null {
  return amounts.reduce<bigint | null>((best, amount) => (best === null || (amount > best ? 1 : -1) === sign ? amount : best), null)
}
/** Rows without a time last, whatever the direction; infinite times are times. */
function compareTimes(a: number | null, b: number | null, direction: 1 | -1): number {
  if (a === b) return 0
  if (a === null || b === null) return a === null ? 1 : -1
  return a < b ? -direction : direction
}
/** By time, then by number. */
function byTime(a: SeenRow, b: SeenRow): number {
  return compareTimes(a.at, b.at, 1) || a.n - b.n
}
function latest(rows: readonly SeenRow[]): SeenRow | undefined {
  return [...rows].sort((a, b) => compareTimes(a.at, b.at, -1) || b.n - a.n)[0]
}
function summed(amount: bigint | null, scale: number): Expected {
  if (scale === 1 && amount !== null && (amount > INT64_MAX || amount < -INT64_MAX - 1n)) return 'wrong_type'
  return [amountText(amount, scale)]
}
const count = (n: number): Expected => [String(n)]

export type ShapeName = keyof typeof shapes

export const shapes = {
  count: { sql: (key, draw) => `SELECT COUNT(*) FROM events e WHERE ${where(key, draw)}`, answer: (view) => count(chosen(view).length) },
  countOfValues: {
    sql: (key, draw) => `SELECT COUNT(e.amount) FROM events AS e WHERE ${where(key, draw)}`,
    answer: (view) => count(known(chosen(view)).length),
  },
  sum: {
    sql: (key, draw) => `SELECT SUM(amount) FROM events e WHERE ${where(key, draw)}`,
    answer: (view) => summed(sum(known(chosen(view))), view.scale),
  },
  average: {
    sql: (key, draw) => `SELECT AVG(amount) FROM events e WHERE ${where(key, draw)}`,
    answer(view) {
      const amounts = known(chosen(view))
      const total = sum(amounts)
      return [total === null ? 'null' : { near: Number(total) / view.scale / amounts.length }]
    },
  },
  leastAndGreatest: {
    columns: { lo: null, hi: null, n: null },
    sql: (key, draw) => `SELECT MIN(amount) AS lo, MAX(amount) AS hi, COUNT(*) AS n FROM events e WHERE ${where(key, draw)}`,
    answer(view) {
      const rows = chosen(view)
      const ends = ([-1, 1] as const).map((sign) => amountText(extreme(known(rows), sign), view.scale))
      return [...ends, String(rows.length)]
    },
  },
  bareNames: {
    sql: (key, draw) => `SELECT COUNT(*) FROM events WHERE ${where(key, draw, 'events')}`,
    answer: (view) => count(chosen(view).length),
  },
  coalesced: {
    sql: (key, draw) => `SELECT COALESCE(SUM(amount), 0) + COUNT(*) FROM events e WHERE ${where(key, draw)}`,
    answer(view) {
      const rows = chosen(view)
      return summed((sum(known(rows)) ?? 0n) + BigInt(rows.length * view.scale), view.scale)
    },
  },
  distinct: {
    sql: (key, draw) => `SELECT COUNT(DISTINCT e.category) FROM events e WHERE ${where(key, draw)}`,
    answer: (view) => count(new Set(chosen(view).flatMap((row) => row.category ?? [])).size),
  },
  filtered: {
    columns: { toys: null, most: null },
    sql: (key, draw) =>
      `SELECT COUNT(*) FILTER (WHERE category = 'toys') AS toys, MAX(amount) FILTER (category IS NULL) AS most FROM events e WHERE ${where(key, draw)}`,
    answer(view) {
      const rows = chosen(view)
      const most = extreme(known(rows.filter((row) => row.category === null)), 1)
      return [String(rows.filter((row) => row.category === 'toys').length), amountText(most, view.scale)]
    },
  },
  last: {
    sql: (key, draw) => `SELECT amount FROM events e WHERE ${where(key, draw)} ORDER BY ts DESC NULLS LAST, n DESC LIMIT 1`,
    answer(view) {
      const row = latest(chosen(view))
      return row ? [amountText(row.amount, view.scale)] : 'missing'
    },
  },
  qualified: {
    sql: (key, draw) =>
      `SELECT category FROM events e WHERE ${where(key, draw)} QUALIFY row_number() OVER (ORDER BY ts DESC NULLS LAST, n DESC) = 1`,
    answer(view) {
      const row = latest(chosen(view))
      return row ? [JSON.stringify(row.category)] : 'missing'
    },
  },
  lastTime: {
    sql: (key, draw) => `SELECT CAST(MAX(ts) AS TIMESTAMPTZ) FROM events e WHERE ${where(key, draw)}`,
    answer(view) {
      const times = chosen(view).flatMap((row) => row.at ?? [])
      const last = Math.max(...times)
      return times.length > 0 && !Number.isFinite(last) ? 'wrong_type' : [times.length === 0 ? 'null' : timeText(last)]
    },
  },
  rowsAsTheyAre: {
    sql: (key, draw) => `SELECT e.category FROM events e WHERE ${where(key, draw)}`,
    answer(view) {
      const rows = chosen(view)
      if (rows.length > 1) return 'not_one_row'
      return rows[0] ? [JSON.stringify(rows[0].category)] : 'missing'
    },
  },
  join: {
    sql: (key, draw) => `SELECT COUNT(*) FROM events e JOIN facts f ON f.category = e.category AND f.ts <= e.ts WHERE ${where(key, draw)}`,
    answer(view) {
      const matches = (row: SeenRow) =>
        view.facts.filter(
          (fact) => fact.category !== null && fact.category === row.category && fact.at !== null && row.at !== null && fact.at <= row.at,
        )
      return count(chosen(view).reduce((total, row) => total + matches(row).length, 0))
    },
  },
  leftJoin: {
    sql: (key, draw) => `SELECT SUM(f.amount) FROM events e LEFT JOIN facts AS f USING (category) WHERE ${where(key, draw)}`,
    answer(view) {
      const facts = chosen(view).flatMap((row) => view.facts.filter((fact) => fact.category !== null && fact.category === row.category))
      return summed(sum(known(facts)), view.factScale)
    },
  },
  scalarSubquery: {
    sql: (key, draw) => `SELECT COUNT(*) - (SELECT COUNT(*) FROM facts f WHERE ${key('f')}) FROM events e WHERE ${where(key, draw)}`,
    answer: (view) => count(chosen(view).length - mineOf(view.facts, view).length),
  },
  twoSubqueries: {
    sql: (key, draw) =>
      `SELECT (SELECT COUNT(*) FROM events) * 100 + (SELECT COUNT(*) FROM facts WHERE ts < NOW()) + (SELECT COUNT(*) FROM events e WHERE ${where(key, draw)})`,
    answer: (view) =>
      count(view.events.length * 100 + view.facts.filter((row) => row.at !== null && row.at < view.t).length + chosen(view).length),
  },
  cte: {
    sql: (key, draw) =>
      `WITH mine AS (SELECT * FROM events e WHERE ${where(key, draw)}), facts AS (SELECT n FROM facts) SELECT COUNT(*) FROM mine m, facts f WHERE f.n < m.n`,
    answer: (view) => count(chosen(view).reduce((total, row) => total + view.facts.filter((fact) => fact.n < row.n).length, 0)),
  },
  exists: {
    sql: (key, draw) => `SELECT EXISTS (SELECT 1 FROM events e WHERE ${where(key, draw)}) AND NOT EXISTS (FROM facts f WHERE ${key('f')})`,
    answer: (view) => [String(chosen(view).length > 0 && mineOf(view.facts, view).length === 0)],
  },
  notExists: {
    sql: (key, draw) =>
      `SELECT COUNT(*) FROM events e WHERE ${where(key, draw)} AND NOT EXISTS (SELECT 1 FROM events later WHERE later.category = e.category AND later.n > e.n)`,
    answer(view) {
      const isLast = (row: SeenRow) =>
        !view.events.some((later) => later.category !== null && later.category === row.category && later.n > row.n)
      return count(chosen(view).filter(isLast).length)
    },
  },
  lag: {
    sql: (key, draw) =>
      `SELECT MAX(gap) FROM (SELECT n - LAG(n) OVER (ORDER BY ts NULLS LAST, n) AS gap FROM events e WHERE ${where(key, draw)})`,
    answer(view) {
      const rows = chosen(view).sort(byTime)
      const gaps = rows.slice(1).map((row, i) => row.n - (rows[i]?.n ?? 0))
      return [gaps.length === 0 ? 'null' : String(Math.max(...gaps))]
    },
  },
  list: {
    sql: (key, draw) => `SELECT LIST(category ORDER BY ts DESC NULLS LAST, n) FROM events e WHERE ${where(key, draw)}`,
    answer(view) {
      const rows = chosen(view).sort((a, b) => compareTimes(a.at, b.at, -1) || a.n - b.n)
      return [rows.length === 0 ? 'null' : JSON.stringify(rows.map((row) => row.category))]
    },
  },
  top: {
    sql: (key, draw) =>
      `SELECT category FROM events e WHERE ${where(key, draw)} GROUP BY category ORDER BY COUNT(*) DESC, category NULLS LAST LIMIT 1`,
    answer(view) {
      const groups = Object.entries(Object.groupBy(chosen(view), (row) => row.category ?? '￿'))
      const [first] = groups.sort(([a, x], [b, y]) => (y?.length ?? 0) - (x?.length ?? 0) || (a < b ? -1 : 1))
      return first ? [JSON.stringify(first[1]?.[0]?.category ?? null)] : 'missing'
    },
  },
  union: {
    sql: (key, draw) =>
      `SELECT SUM(one) FROM (SELECT 1 AS one FROM events e WHERE ${where(key, draw)} UNION ALL SELECT 10 FROM facts f WHERE ${key('f')}${spans(draw, 'f')})`,
    answer(view) {
      const facts = mineOf(view.facts, view).filter((row) => inSpan(view, row))
      const total = chosen(view).length + facts.length * 10
      return [total === 0 ? 'null' : String(total)]
    },
  },
  selfJoin: {
    sql: (key, draw) => `SELECT COUNT(*) FROM events e, events other WHERE ${where(key, draw)} AND other.n > e.n AND ${key('other')}`,
    answer(view) {
      const mine = mineOf(view.events, view)
      return count(chosen(view).reduce((total, row) => total + mine.filter((other) => other.n > row.n).length, 0))
    },
  },
  having: {
    sql: (key, draw) => `SELECT COUNT(*) FROM events e WHERE ${where(key, draw)} HAVING COUNT(*) > 1`,
    answer(view) {
      const { length } = chosen(view)
      return length > 1 ? count(length) : 'missing'
    },
  },
} as const satisfies Record<string, Written>

export const written: Readonly<Record<ShapeName, Written>> = shapes
