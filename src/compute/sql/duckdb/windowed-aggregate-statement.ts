/**
 * Plain aggregates over many rows, without LATERAL. Two ways in one statement, settled key by key in the statement itself:
 *
 * Light keys: rows and events meet in a hash join. With a window, time is cut into pieces somewhat longer than the longest window asked for, and a
 * row meets only the events of the one or two pieces that its window touches; so few pairs are looked at in vain.
 *
 * Heavy keys: where rows × events would be many times rows + events, the events are put in order of time. The ends of every row's window are put
 * among them once, which tells between which two places its events stand; then the engine's window functions aggregate from place to place. Time
 * grows with the number of rows and events, not with their product: a key that holds much of both does not hold up the rest. (Windows given to
 * the engine as a RANGE of time mean the same, and take forty times as long.)
 *
 * Windows of several lengths over the same events are one statement: all end with the row's time, so the events of each are among those of the longest,
 * which are looked at once.
 */
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import { proveJoined } from '../proof.ts'
import { quoteName } from '../rewrite/lexer.ts'
import type { Json } from '../rewrite/sql-tree.ts'
import { textsOf } from './deparse.ts'
import type { PlainAggregate } from './windowed-aggregate.ts'

/** A pair of row and event in the join costs about this much less than a row or an event in order of time (15 ns against 2 µs). */
export const PAIRS_PER_EVENT = 150
/** Outside of all times that microseconds hold, and far enough from the end of int64 to add a window to. */
export const BEFORE_ALL = '-4000000000000000000'
/** A longer piece holds more events that a row looks at in vain; a shorter one is more often left by a window, which then looks in two. */
const WINDOWS_PER_PIECE = 4
/** Added to times before they are cut into pieces: whole division rounds towards zero. */
const SHIFT = '500000000000000000'

/**
 * Over `__fabra_row`; columns as the set-based statement gives them. Several plans become one statement, with their columns one after another.
 * @param plans At least one; all of them `joinsWith` the first.
 * @param pairsPerEvent From which ratio of pairs to events and rows on a key is heavy; 0: every key with events.
 */
export async function joinedStatement(plans: readonly PlainAggregate[], store: SourceEngine, pairsPerEvent: number): Promise<string> {
  const joined = await joinedOf(plans, store)
  const text = statementOver(joined, pairsPerEvent)
  await proveJoined(text, plans, store)
  return text
}

function statementOver(joined: Joined, pairsPerEvent: number): string {
  const { keys } = joined
  return (
    `WITH __fabra_asked AS MATERIALIZED (\n${asked(joined)}\n), __fabra_width AS MATERIALIZED (\n` +
    `SELECT ${WINDOWS_PER_PIECE} * (MAX(__fabra_reach) + 1) AS __fabra_piece FROM __fabra_asked\n), __fabra_heavy AS MATERIALIZED (\n` +
    `${heavyKeys(joined, pairsPerEvent / joined.lowers.length)}\n), __fabra_light AS MATERIALIZED (\n` +
    `SELECT * FROM __fabra_asked ANTI JOIN __fabra_heavy USING (${keys.join(', ')})\n), __fabra_placed AS MATERIALIZED (\n` +
    `${placed(joined)}\n)\n${lightPart(joined)}\nUNION ALL\n${sortedPart(joined)}`
  )
}

/** Whether two plans may be one statement: windows of the same source, or all of its events, by the same key. */
export function joinsWith(a: PlainAggregate, b: PlainAggregate): boolean {
  return (
    a.shadow.source.name === b.shadow.source.name &&
    physical(a) === physical(b) &&
    a.keyColumns.join('\0') === b.keyColumns.join('\0') &&
    (a.lower === null) === (b.lower === null)
  )
}

interface Texts {
  readonly lower: string | null
  readonly filters: readonly string[]
  readonly arguments: readonly string[]
  readonly select: readonly string[]
}

type Lower = { readonly text: string; readonly inclusive: boolean } | null

interface Joined {
  readonly plan: PlainAggregate
  /** Where the windows begin: one of each length, or one null where all events count. */
  readonly lowers: readonly Lower[]
  readonly keys: readonly string[]
  readonly windowed: boolean
  /** What is looked at of an event: `__fabra_x<i>`. */
  readonly looks: readonly string[]
  readonly aggregates: readonly { readonly name: string; readonly call: string; readonly isCount: boolean; readonly window: number }[]
  readonly select: readonly string[]
  /** Conditions that every member puts on events. */
  readonly filters: readonly string[]
}

async function joinedOf(plans: readonly PlainAggregate[], store: SourceEngine): Promise<Joined> {
  const members: { readonly plan: PlainAggregate; readonly texts: Texts }[] = []
  for (const plan of plans) members.push({ plan, texts: await deparse(plan, store) })
  const [first] = members
  if (!first) throw new Error('There is nothing to join.')
  const filters = first.texts.filters.filter((filter) => members.every((member) => member.texts.filters.includes(filter)))
  const looks: string[] = []
  const lowers: Lower[] = []
  const aggregates = members.flatMap((member, m) => {
    const window = windowIn(lowers, member)
    return member.plan.aggregates.map((aggregate, i) => {
      const own = member.texts.filters.filter((filter) => !filters.includes(filter))
      const argument = member.texts.arguments[i] ?? '1'
      const look = own.length === 0 ? argument : `CASE WHEN ${own.join(' AND ')} THEN ${argument} END`
      const index = looks.includes(look) ? looks.indexOf(look) : looks.push(look) - 1
      const name = functionOf(aggregate)
      return { name: `__fabra_m${m}a${i}`, call: `${name}(__fabra_x${index})`, isCount: name === 'count', window }
    })
  })
  const select = members.flatMap((member, m) => member.texts.select.map((text) => text.replace(/__fabra_a(\d+)/g, `__fabra_m${m}a$1`)))
  const keys = first.plan.keyColumns.map((_, i) => `__fabra_k${i}`)
  return { plan: first.plan, lowers, keys, windowed: first.plan.lower !== null, looks, aggregates, select, filters }
}

/** The place of a member's window among those that are known, where it is put if it is another. */
function windowIn(lowers: Lower[], { plan, texts }: { readonly plan: PlainAggregate; readonly texts: Texts }): number {
  const own = plan.lower === null || texts.lower === null ? null : { text: texts.lower, inclusive: plan.lower.inclusive }
  const known = lowers.findIndex((lower) => lower?.text === own?.text && lower?.inclusive === own?.inclusive)
  return known < 0 ? lowers.push(own) - 1 : known
}

/** `__fabra_reach`: of the row's longest window. */
function asked({ keys, lowers }: Joined): string {
  const reaches = lowers.map(reach)
  const each = reaches.length === 1 ? [] : reaches.map((text, i) => `${text} AS __fabra_reach${i}`)
  const longest = reaches.length === 1 ? reaches.join() : `GREATEST(${reaches.map((_, i) => `__fabra_reach${i}`).join(', ')})`
  return `SELECT __fabra_ord, ${keys.join(', ')}, epoch_us(__fabra_as_of) AS __fabra_at, ${[...each, `${longest} AS __fabra_reach`].join(', ')} FROM __fabra_row`
}

/** The share of a key's events that a row meets is guessed from the time they span. */
function heavyKeys(joined: Joined, pairsPerEvent: number): string {
  const key = joined.keys.join(', ')
  const many = `SELECT ${key}, COUNT(*) AS __fabra_rows FROM __fabra_asked GROUP BY ALL HAVING COUNT(*) > ${pairsPerEvent}`
  const share = joined.windowed
    ? ' * LEAST(1.0, 1.25 * (SELECT __fabra_piece FROM __fabra_width) / (MAX(__fabra_at) - MIN(__fabra_at) + 1.0))'
    : ''
  return (
    `SELECT ${key}, COUNT(*) AS __fabra_events FROM (${many}) AS __fabra_many JOIN (${events(joined)}) AS __fabra_event USING (${key})\n` +
    `GROUP BY ${key}, __fabra_rows HAVING COUNT(*) * CAST(__fabra_rows AS DOUBLE)${share} > ${pairsPerEvent} * (COUNT(*) + __fabra_rows)`
  )
}

function lightPart(joined: Joined): string {
  const { keys, windowed } = joined
  const piece = '(SELECT __fabra_piece FROM __fabra_width)'
  const pieceOf = (time: string) => `(${time} + ${SHIFT}) // ${piece}`
  const pieces = `range(${pieceOf('__fabra_at - __fabra_reach')}, ${pieceOf('__fabra_at')} + 1)`
  const on = [...keys, ...(windowed ? ['__fabra_p'] : [])].map((name) => `__fabra_r.${name} = __fabra_e.${name}`)
  on.push(`__fabra_e.__fabra_at < __fabra_r.__fabra_at - ${joined.plan.shadow.source.delay}`)
  if (windowed) on.push('__fabra_e.__fabra_at >= __fabra_r.__fabra_at - __fabra_r.__fabra_reach')
  const within = (window: number) =>
    joined.lowers.length === 1 ? '' : ` FILTER (__fabra_e.__fabra_at >= __fabra_r.__fabra_at - __fabra_r.__fabra_reach${window})`
  const aggregates = joined.aggregates.map(({ name, call, window }) => `${call}${within(window)} AS ${name}`)
  const found = joined.aggregates.map(({ name, isCount }) => (isCount ? `COALESCE(${name}, 0) AS ${name}` : name))
  const rows = windowed ? `SELECT *, UNNEST(${pieces}) AS __fabra_p FROM __fabra_light` : 'SELECT * FROM __fabra_light'
  const met = windowed ? `SELECT *, ${pieceOf('__fabra_at')} AS __fabra_p FROM (${events(joined)})` : events(joined)
  return (
    `SELECT __fabra_ord, 1 AS __fabra_hit, ${joined.select.join(', ')} FROM (\nSELECT __fabra_ord, ${found.join(', ')}\n` +
    `FROM __fabra_light LEFT JOIN (\nSELECT __fabra_r.__fabra_ord, ${aggregates.join(', ')}\n` +
    `FROM (${rows}) AS __fabra_r\nJOIN (${met}) AS __fabra_e ON ${on.join(' AND ')}\nGROUP BY __fabra_r.__fabra_ord\n` +
    ') AS __fabra_met USING (__fabra_ord)\n) AS __fabra_lit'
  )
}

/** What happens at a time, in this order: of the events at an end itself, none is before it. The start of the window i is before it by i. */
const HAPPENS = { start: 0, end: 1, event: 2 } as const

/** Events of heavy keys and the ends of their rows' windows. `__fabra_place`: how many events there are up to here, itself included. */
function placed(joined: Joined): string {
  const { keys, looks, windowed } = joined
  const using = `SEMI JOIN __fabra_heavy USING (${keys.join(', ')})`
  const edge = (happens: number, back: string | number) =>
    `SELECT __fabra_ord, ${happens}, ${[...keys, `__fabra_at - ${back}`, ...looks.map(() => 'NULL')].join(', ')} FROM __fabra_asked ${using}`
  const stream = [
    `SELECT CAST(NULL AS BIGINT) AS __fabra_ord, ${HAPPENS.event} AS __fabra_happens, * FROM (${events(joined)}) AS __fabra_event ${using}`,
    edge(HAPPENS.end, joined.plan.shadow.source.delay),
    ...(windowed
      ? joined.lowers.map((_, i) => edge(HAPPENS.start - i, joined.lowers.length === 1 ? '__fabra_reach' : `__fabra_reach${i}`))
      : []),
  ]
  return (
    `SELECT *, COUNT(CASE WHEN __fabra_happens = ${HAPPENS.event} THEN 1 END) OVER (PARTITION BY ${keys.join(', ')}\n` +
    'ORDER BY __fabra_at, __fabra_happens ROWS UNBOUNDED PRECEDING) AS __fabra_place FROM (\n' +
    `${stream.join('\nUNION ALL\n')}\n) AS __fabra_stream`
  )
}

/** Rows stand behind all events of their key, so that which events a row aggregates, and in which order, does not hang on other rows. */
function sortedPart(joined: Joined): string {
  const { keys, looks } = joined
  const key = keys.join(', ')
  const calls = joined.aggregates.map(({ name, call, window }) => `${call} OVER __fabra_window${window} AS ${name}`)
  const positionOf = (happens: number) => `COALESCE(MAX(__fabra_place) FILTER (__fabra_happens = ${happens}), 0)`
  const windows = joined.lowers.map((_, i) => i)
  const starts = windows.map((i) => `${positionOf(HAPPENS.start - i)} AS __fabra_after${i}`).join(', ')
  const none = windows.map((i) => `__fabra_place - 1 AS __fabra_after${i}, __fabra_place - 1 AS __fabra_until${i}`).join(', ')
  const ends = windows.map((i) => `__fabra_after${i}, GREATEST(__fabra_after${i}, __fabra_until)`).join(', ')
  const spans =
    `SELECT __fabra_ord, ${key}, ${starts}, ${positionOf(HAPPENS.end)} AS __fabra_until\n` +
    `FROM __fabra_placed WHERE __fabra_happens <> ${HAPPENS.event} GROUP BY __fabra_ord, ${key}`
  const frames = windows.map(
    (i) =>
      `__fabra_window${i} AS (PARTITION BY ${key} ORDER BY __fabra_place\n` +
      `ROWS BETWEEN __fabra_place - __fabra_after${i} - 1 PRECEDING AND __fabra_place - __fabra_until${i} PRECEDING)`,
  )
  return (
    `SELECT __fabra_ord, 1, ${joined.select.join(', ')} FROM (\n` +
    `SELECT __fabra_ord, ${calls.join(', ')} FROM (\n` +
    `SELECT __fabra_ord, ${key}, __fabra_place, ${none}, ` +
    `${looks.map((_, i) => `__fabra_x${i}`).join(', ')} FROM __fabra_placed WHERE __fabra_happens = ${HAPPENS.event}\n` +
    `UNION ALL\nSELECT __fabra_ord, ${key}, __fabra_events + row_number() OVER (PARTITION BY ${key}), ${ends}, ` +
    `${looks.map(() => 'NULL').join(', ')} FROM (\n${spans}\n) AS __fabra_span JOIN __fabra_heavy USING (${key})\n` +
    ') AS __fabra_line\n' +
    `WINDOW ${frames.join(',\n')}\n` +
    ') AS __fabra_sorted WHERE __fabra_ord IS NOT NULL'
  )
}

/** Columns: the key's, `__fabra_at`, what is looked at. Rows without a time are not events. */
function events({ plan, keys, looks, filters }: Joined): string {
  const time = quoteName(plan.shadow.source.timestamp ?? '')
  const columns = [
    ...plan.keyColumns.map((column, i) => `${quoteName(column)} AS ${keys[i]}`),
    `CASE WHEN isfinite(${time}) THEN epoch_us(${time}) ELSE ${BEFORE_ALL} END AS __fabra_at`,
    ...looks.map((text, i) => `${text} AS __fabra_x${i}`),
  ]
  const conditions = [...filters, `${time} < TIMESTAMP 'infinity'`]
  return `SELECT ${columns.join(', ')} FROM ${physical(plan)} WHERE ${conditions.join(' AND ')}`
}

function functionOf({ name }: PlainAggregate['aggregates'][number]): string {
  return name === 'count_star' ? 'count' : name
}

/** How far back from a row's time its window begins: whole microseconds, so that strict and inclusive bounds are both exact. */
function reach(lower: Lower): string {
  if (lower === null) return 'CAST(0 AS BIGINT)'
  const back = `epoch_us(__fabra_as_of) - epoch_us(CAST(${lower.text} AS TIMESTAMPTZ))`
  return `GREATEST(COALESCE(${lower.inclusive ? back : `${back} - 1`}, 0), 0)`
}

function physical({ shadow: { ref, table } }: PlainAggregate): string {
  return `${quoteName(table.schema)}.${quoteName(table.name)} AS ${quoteName(ref.alias === '' ? ref.name : ref.alias)}`
}

/** Syntax back to text. */
async function deparse(plan: PlainAggregate, store: SourceEngine): Promise<Texts> {
  const aggregates = plan.aggregates.flatMap(({ argument, filter }) => [argument, filter])
  const expressions = [plan.lower?.expression ?? null, ...aggregates, ...plan.filters, ...plan.select]
  const found = await textsOf(
    plan.root,
    expressions.filter((expression) => expression !== null),
    store,
  )
  const take = (expression: Json | null) => (expression === null ? null : (found.shift() ?? 'NULL'))
  const lower = take(plan.lower?.expression ?? null)
  const taken = plan.aggregates.map(({ argument, filter }) => ({ argument: take(argument) ?? '1', filter: take(filter) }))
  return {
    lower,
    arguments: taken.map(({ argument, filter }) => (filter === null ? argument : `CASE WHEN ${filter} THEN ${argument} END`)),
    filters: plan.filters.map((expression) => take(expression) ?? 'TRUE'),
    select: plan.select.map((expression) => take(expression) ?? 'NULL'),
  }
}
