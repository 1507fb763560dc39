/**
 * Recorded values as of each row's time: of the rows with event time ≤ t and available ≤ t the greatest by (event time, available at, seq), if it
 * is not older than the look-back and no tombstone. Must not return a row that came later by either time.
 *
 * A row can be seen from `seen` on, the later of its two times. In the order of being seen, a row that is not greater than all before it is
 * never the answer; the others are steps, each the answer from its own time to the next step's or until it is too old. Steps of one key do not
 * overlap, so finding a row's step is exact and total, which an ASOF JOIN over the raw history is not; and a key with much history takes no
 * longer than others.
 *
 * Keys and times are whole numbers on the way, which sort and join several times as fast as texts.
 */
import type { RunOptions } from '../../ports/source-engine.ts'
import type { AsOfRequest } from '../../ports/training-store.ts'
import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'
import { decoded, recordedText } from './typed-values.ts'

/** A number of BIGINT; the engine's parser takes no other form for large ones. */
const bigint = (value: number) => `CAST(${Math.trunc(value)} AS BIGINT)`
/** Later than all times. */
const NEVER = 'CAST(9223372036854775807 AS BIGINT)'

/** What is recorded, of the features that are asked for. */
export interface RecordedSource {
  /** SQL with columns f (the question's index), entity_key, value, event_timestamp, available_at, created_at, seq, origin. */
  readonly from: (requests: readonly AsOfRequest[]) => string
}

/** History of the engine that is asked. */
export const LOCAL_HISTORY: RecordedSource = {
  from(requests) {
    const asked = requests.map(
      ({ feature, fingerprint }, f) => `(${quoteText(feature)}, ${quoteText(fingerprint)}, CAST(${f} AS SMALLINT))`,
    )
    return `fabra.feature_history JOIN (VALUES ${asked.join(', ')}) AS asked(feature, fingerprint, f) USING (feature, fingerprint)`
  },
}

export interface HistoryRequest {
  /** File of the rows, quoted. */
  readonly rows: string
  readonly entity: number
  readonly requests: readonly AsOfRequest[]
  readonly recorded: RecordedSource
  /** @param pairs of a row and a recorded value of its key. */
  readonly isLight: (pairs: number) => boolean
}

/** Makes the session's temporary tables that `stepsOfRows` reads. */
export async function makeAllSteps(session: Session, asked: HistoryRequest, options: RunOptions): Promise<readonly SteppedFeature[]> {
  const { rows, entity, requests, isLight } = asked
  await session.execute(requestedKeys(rows, entity), options)
  await session.execute(requestedRows(rows, entity), options)
  await session.execute(visibleRows(asked), options)
  const counted = await session.read(COUNT_PAIRS, [], options)
  const pairs = new Map(counted.rows.map(([f, count, areSteps]) => [Number(f), { count: Number(count), areSteps }]))
  const unordered = [...requests.keys()].filter((f) => pairs.get(f)?.areSteps === false)
  if (unordered.length > 0) await session.execute(unorderedRows(asked, unordered), options)
  for (const f of unordered) {
    await session.execute(requests[f]?.knowledge === 'served' ? stepsInAnyOrder(f) : stepsInOrder(f), options)
  }
  return requests.map(({ lookBack, type, members }, f) => {
    const { count = 0, areSteps = true } = pairs.get(f) ?? {}
    const from = areSteps === false ? `__fabra_steps${f}` : `(FROM __fabra_known WHERE f = ${f})`
    return { f, lookBack, type, members, isLight: isLight(count), from }
  })
}

/** Keys that are asked for, as numbers, each with the first and the last time it is asked about. */
function requestedKeys(rows: string, entity: number): string {
  return `CREATE OR REPLACE TEMP TABLE __fabra_keys AS
SELECT *, CAST(row_number() OVER () AS INTEGER) AS k
FROM (
  SELECT __fabra_e${entity}_key AS key, epoch_us(min(__fabra_as_of)) AS first_t, epoch_us(max(__fabra_as_of)) AS last_t
  FROM read_parquet(${rows}) GROUP BY key
)`
}

function requestedRows(rows: string, entity: number): string {
  return `CREATE OR REPLACE TEMP TABLE __fabra_asked AS
SELECT __fabra_ord, k, epoch_us(__fabra_as_of) AS t
FROM read_parquet(${rows}) JOIN __fabra_keys ON key = __fabra_e${entity}_key
ORDER BY k`
}

/** What is recorded of all the keys and features that are asked for, and can be seen by any row; `f` is the question's index. */
function recordedRows({ requests, recorded }: HistoryRequest, only: string): string {
  const { knowledge = 'serving', snapshot = null } = requests[0] ?? {}
  const later = 'GREATEST(event_timestamp, available_at)'
  const seen = {
    serving: later,
    latest: 'event_timestamp',
    served: `CASE WHEN origin = 'computed' THEN event_timestamp ELSE ${later} END`,
  }[knowledge]
  const conditions = [
    only,
    ...(knowledge === 'served' ? ["origin <> 'backfill'"] : []),
    ...(snapshot === null ? [] : [`created_at <= make_timestamptz(${bigint(snapshot)})`]),
  ]
  return `SELECT f, k, epoch_us(${seen}) AS seen, epoch_us(event_timestamp) AS event_at, epoch_us(available_at) AS available_at, seq, value, first_t
FROM ${recorded.from(requests)}
JOIN __fabra_keys ON key = entity_key
WHERE epoch_us(${seen}) <= last_t AND ${conditions.join(' AND ')}`
}

/**
 * What is recorded, in the order of being seen. `ends` is the time of the next row of the key. `is_step`: the next row is greater than this one,
 * and they are not seen at once; where all are, the rows are the steps, and those that end before any row asks are left out. Rows of one feature
 * lie together, as they are read later. Those seen at once stand in any order, and are no steps: with two short numbers to sort by, and few
 * columns to carry, the engine takes half the time.
 */
function visibleRows(asked: HistoryRequest): string {
  // Otherwise than as served, of one event what is seen later was available later.
  const order = asked.requests[0]?.knowledge === 'served' ? ['event_at', 'available_at', 'seq'] : ['event_at']
  const next = order.map((column) => `lead(${column}) OVER inorder AS next_${column}`)
  const isGreater = `(${order.join(', ')}) ${order.length === 1 ? '<=' : '<'} (${order.map((column) => `next_${column}`).join(', ')})`
  return `CREATE OR REPLACE TEMP TABLE __fabra_known AS
SELECT f, k, seen, event_at, value, ends, is_step
FROM (
  SELECT f, k, seen, event_at, value, first_t, CASE WHEN next_k = k THEN next_seen ELSE ${NEVER} END AS ends,
    (next_k IS DISTINCT FROM k OR (seen < next_seen AND ${isGreater})) AS is_step
  FROM (
    SELECT *, lead(k) OVER inorder AS next_k, lead(seen) OVER inorder AS next_seen, ${next.join(', ')}
    FROM (${recordedRows(asked, 'TRUE')})
    WINDOW inorder AS (PARTITION BY f ORDER BY k, seen)
  )
)
WHERE ends > first_t OR NOT is_step`
}

/** Per question how many pairs of row and recorded value of one key there are, and whether its rows are steps as they stand. */
const COUNT_PAIRS = `SELECT f, CAST(SUM(n) AS DOUBLE), bool_and(is_step)
FROM __fabra_known JOIN (SELECT k, COUNT(*) AS n FROM __fabra_asked GROUP BY k) USING (k)
GROUP BY f`

/** All that is needed to put rows in order that are no steps as they stand. They are few: read once more, the others carry less. */
function unorderedRows(asked: HistoryRequest, features: readonly number[]): string {
  return `CREATE OR REPLACE TEMP TABLE __fabra_unordered AS ${recordedRows(asked, `f IN (${features.join(', ')})`)} ORDER BY f`
}

/**
 * Of the rows that are seen at once the greatest is a step, unless one of a later event was seen before. Of one event, what is seen later was
 * available later, so it is the greater one: one sort is enough.
 */
function stepsInOrder(f: number): string {
  return closed(
    f,
    `SELECT k, seen, event_at, value
FROM __fabra_unordered
WHERE f = ${f}
WINDOW inorder AS (PARTITION BY k ORDER BY seen, event_at, available_at, seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
QUALIFY event_at = max(event_at) OVER inorder AND lead(seen) OVER inorder IS DISTINCT FROM seen`,
  )
}

/** Where what is seen later may have been available earlier, each row's place in the order is found first. */
function stepsInAnyOrder(f: number): string {
  return closed(
    f,
    `SELECT k, seen, event_at, value
FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY event_at, available_at, seq) AS place FROM __fabra_unordered WHERE f = ${f})
WINDOW inorder AS (PARTITION BY k ORDER BY seen, place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
QUALIFY place = max(place) OVER inorder AND lead(seen) OVER inorder IS DISTINCT FROM seen`,
  )
}

/** Each step up to the next. */
function closed(f: number, steps: string): string {
  return `CREATE OR REPLACE TEMP TABLE __fabra_steps${f} AS
SELECT k, seen, event_at, value, lead(seen, 1, ${NEVER}) OVER (PARTITION BY k ORDER BY seen) AS ends
FROM (
${steps}
)`
}

/** One feature among those of one statement. */
export interface SteppedFeature extends Pick<AsOfRequest, 'lookBack' | 'type' | 'members'> {
  readonly f: number
  /** Few steps per key: looking at each is quicker than sorting the rows. */
  readonly isLight: boolean
  /** SQL of its steps. */
  readonly from: string
}

/** Rows with `__fabra_ord`, and per feature, by its place in the list, `v<i>` and `e<i>`: its event's time, NULL where there is no value. */
export function stepsOfRows(features: readonly SteppedFeature[]): string {
  const columns = features.map(({ f, isLight, members }, i) => {
    // An ASOF JOIN finds the newest step whether or not it has ended.
    const found = isLight ? '' : `CASE WHEN r.t < s${f}.ends THEN `
    const end = isLight ? '' : ' END'
    return `make_timestamptz(${found}s${f}.event_at${end}) AS e${i}, ${found}${recordedText(`s${f}.value`, members)}${end} AS v${i}`
  })
  const joins = features.map(({ f, lookBack, type, isLight, from }) => {
    const ends = lookBack === null ? 'ends' : `LEAST(ends, event_at + ${bigint(lookBack)} + 1) AS ends`
    const value = type === null ? 'value' : `${decoded('value', type)} AS value`
    const steps = `(SELECT k, seen, event_at, ${value}, ${ends} FROM ${from} WHERE value IS NOT NULL) AS s${f}`
    return `LEFT JOIN ${steps} ON r.k = s${f}.k AND r.t >= s${f}.seen${isLight ? ` AND r.t < s${f}.ends` : ''}`
  })
  return `SELECT r.__fabra_ord, ${columns.join(', ')}
FROM __fabra_asked AS r
${joins.map((join, i) => (features[i]?.isLight ? join : `ASOF ${join}`)).join('\n')}`
}

export function dropHistoryTables(count: number): string {
  const names = ['keys', 'asked', 'known', 'unordered', ...Array.from({ length: count }, (_, f) => `steps${f}`)]
  return names.map((name) => `DROP TABLE IF EXISTS temp.main.__fabra_${name}`).join(';\n')
}
