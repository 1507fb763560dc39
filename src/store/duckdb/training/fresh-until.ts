/** Until when recorded values are fresh whose refreshes follow a pattern: worked out by the rule itself, and kept beside the values. */
import { BIGINT, DuckDBDataChunk } from '@duckdb/node-api'
import { createPace } from '../../../collections/yielding.ts'
import type { FreshnessRule } from '../../../definition/feature-traits.ts'
import type { RunOptions } from '../../ports/source-engine.ts'
import type { OutputColumn, OutputFeature, ValuesId } from '../../ports/training-store.ts'
import type { Session } from '../connection/session.ts'
import type { FreshUntilTables, HeldValues } from './result.ts'

const APPEND_ROWS = 2048

/** A table for each feature whose status is asked for, and needs one. */
export async function makeFreshUntilTables(
  session: Session,
  { features, columns }: { readonly features: readonly OutputFeature[]; readonly columns: readonly OutputColumn[] },
  held: (values: ValuesId) => HeldValues,
  options: RunOptions,
): Promise<FreshUntilTables> {
  const tables = new Map<OutputFeature, string>()
  for (const { content, feature: f } of columns) {
    const feature = features[f]
    if (content !== 'status' || !feature?.freshness || feature.freshness.freshFor !== null) continue
    const table = `fresh_until_${f}`
    await makeTable(session, { table, values: held(feature.values), rule: feature.freshness }, options)
    tables.set(feature, table)
  }
  return tables
}

interface Wanted {
  readonly table: string
  readonly values: HeldValues
  readonly rule: FreshnessRule
}

async function makeTable(session: Session, { table, values, rule }: Wanted, options: RunOptions): Promise<void> {
  const spans = `${table}_spans`
  const events = `SELECT DISTINCT epoch_us(e${values.f}) AS event_at FROM ${values.from} WHERE e${values.f} IS NOT NULL`
  await session.execute(`CREATE OR REPLACE TABLE ${spans} (since BIGINT, fresh_until BIGINT)`, options)
  await appendSpans(session, spans, rule, await session.open(`SELECT DISTINCT ${SECOND} AS s FROM (${events}) ORDER BY s`, [], options))
  await session.execute(
    `CREATE OR REPLACE TABLE ${table} AS
     SELECT event_at, fresh_until FROM (${events}) AS e ASOF JOIN ${spans} AS s ON e.event_at >= s.since;
     DROP TABLE ${spans}`,
    options,
  )
}

/** The second in which an event began: firings are on whole seconds, so all of a second is fresh until the same time. */
const SECOND = 'event_at - ((event_at % 1000000) + 1000000) % 1000000'
/** Later than all times. */
const NEVER = 9_223_372_036_854_775_807n

/** Of seconds in their order, those from which on another time holds. */
async function appendSpans(
  session: Session,
  table: string,
  rule: FreshnessRule,
  seconds: Awaited<ReturnType<Session['open']>>,
): Promise<void> {
  const pace = createPace()
  let last: number | undefined
  let spans: { readonly since: bigint; readonly until: bigint }[] = []
  for (let chunk = 0; chunk < seconds.chunkCount; chunk++) {
    const wait = pace()
    if (wait) await wait
    for (const [second] of seconds.rows(chunk, chunk + 1)) {
      const since = Number(second)
      const until = rule.freshUntil(since)
      if (until === last) continue
      last = until
      spans.push({ since: BigInt(since), until: Number.isFinite(until) ? BigInt(until) : NEVER })
    }
    if (spans.length < APPEND_ROWS && chunk < seconds.chunkCount - 1) continue
    await append(session, table, spans)
    spans = []
  }
}

async function append(
  session: Session,
  table: string,
  spans: readonly { readonly since: bigint; readonly until: bigint }[],
): Promise<void> {
  const appender = await session.connection.createAppender(table)
  for (let from = 0; from < spans.length; from += APPEND_ROWS) {
    const some = spans.slice(from, from + APPEND_ROWS)
    const chunk = DuckDBDataChunk.create([BIGINT, BIGINT], some.length)
    chunk.setColumns([some.map(({ since }) => since), some.map(({ until }) => until)])
    appender.appendDataChunk(chunk)
  }
  appender.closeSync()
}
