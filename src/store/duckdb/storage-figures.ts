/** Sizes as the engine's blocks have them, and a look at history: at some of it, where it is large. */
import type { Micros } from '../../clock.ts'
import { FabraError } from '../../errors.ts'
import type { Origin } from '../ports/offline-store.ts'
import { SqlTimestamp, type SqlValue } from '../ports/source-engine.ts'
import type { OfflineFigures, RecordedFigures, RecordedSize } from '../ports/storage-figures.ts'
import type { Database } from './connection/database.ts'
import { ownDeadline } from './connection/own-deadline.ts'
import type { Session } from './connection/session.ts'
import { CATALOG, quoteName, quoteText } from './sql.ts'

const DAY: Micros = 86_400_000_000
const LOOK_MS = 10_000
const MOST_TABLES = 200
/** More rows of history than this are told by a sample. */
const WHOLE_ROWS = 3_000_000
/** Of the rows, so large a part must be in blocks to say what the others will take there. */
const KNOWN_SHARE = 0.25
const HISTORY = 'fabra.feature_history'
const BLOCK_BYTES = 262_144

const TABLES = `
SELECT schema_name, table_name, estimated_size
FROM duckdb_tables()
WHERE database_name = '${CATALOG}' AND NOT temporary AND NOT internal
ORDER BY estimated_size DESC, 1, 2
LIMIT ${MOST_TABLES}`

const blocksOf = (table: string) => `
SELECT count(DISTINCT block) FROM (
  SELECT unnest(list_append(additional_block_ids, block_id)) AS block FROM pragma_storage_info(${quoteText(table)}) WHERE persistent
) WHERE block >= 0`

/** Rows that are in blocks, those that were deleted there among them. */
const rowsInBlocksOf = (table: string) => `
SELECT coalesce(sum(count), 0)::BIGINT FROM pragma_storage_info(${quoteText(table)}) WHERE persistent AND column_id = 0 AND segment_type <> 'VALIDITY'`

/** What is asked of each row: its texts, and as much for its times and number as they take packed. */
const ROW_BYTES = 'strlen(entity_key) + coalesce(strlen(value), 0) + 24'

/** @param ages How many times ($2 on) rows are compared with. */
function look(ages: number, sample: string): string {
  const older = Array.from({ length: ages }, (_, i) => `coalesce(sum(size) FILTER (event_timestamp < $${i + 2}), 0)`)
  return `
SELECT feature, origin, count(*), sum(size), count(*) FILTER (created_at >= $1), coalesce(sum(size) FILTER (created_at >= $1), 0), ${older.join(', ')}
FROM (SELECT feature, origin, created_at, event_timestamp, ${ROW_BYTES} AS size FROM fabra.feature_history ${sample})
GROUP BY feature, origin
ORDER BY feature, origin`
}

export function createDuckdbFigures(database: Database): OfflineFigures {
  const use = <T>(work: (session: Session) => Promise<T>): Promise<T> =>
    database.readers
      .use(ownDeadline(LOOK_MS), (session) => work(session))
      .catch((cause: unknown) => {
        throw cause instanceof FabraError ? cause : new FabraError('store_unavailable', 'The offline store did not answer.', { cause })
      })
  return {
    tables: ({ sources }) =>
      use(async (session) => {
        const { rows } = await session.read(TABLES, [], ownDeadline(LOOK_MS))
        const known = new Set(sources)
        const found = rows.map(([schema, name, count]) => ({ schema: String(schema), name: String(name), rows: Number(count) }))
        const sourceOf = ({ schema, name }: { schema: string; name: string }) => (schema === 'main' ? name : `${schema}.${name}`)
        const listed = found.filter((table) => table.schema === 'fabra' || known.has(sourceOf(table)))
        const sizes: number[] = []
        for (const table of listed) sizes.push(await bytesOf(session, table))
        return listed.map(({ schema, name, rows }, i) => {
          const isOwn = schema === 'fabra'
          const kind = isOwn ? (name === 'feature_history' ? ('history' as const) : ('other' as const)) : ('source' as const)
          return { name: isOwn ? `fabra.${name}` : name, kind, rows, bytes: sizes[i] ?? null }
        })
      }),
    recorded: ({ now, ages }) =>
      use(async (session) => {
        const counted = await session.read('SELECT count(*) FROM fabra.feature_history', [], ownDeadline(LOOK_MS))
        const count = Number(counted.rows[0]?.[0] ?? 0)
        const share = Math.min(1, WHOLE_ROWS / Math.max(1, count))
        const sample = share < 1 ? `TABLESAMPLE ${(100 * share).toFixed(4)} PERCENT (system, 1)` : ''
        const times = [now - DAY, ...ages.map((age) => now - age)].map((time) => new SqlTimestamp(time))
        const { rows } = await session.read(look(ages.length, sample), times, ownDeadline(LOOK_MS))
        const bytes = await bytesOf(session, { schema: 'fabra', name: 'feature_history' })
        const stored = await session.read(rowsInBlocksOf(HISTORY), [], ownDeadline(LOOK_MS))
        const inBlocks = Number(stored.rows[0]?.[0] ?? 0)
        return scaled(rows, { count, bytes, inBlocks, isEstimate: share < 1 })
      }),
  }
}

async function bytesOf(session: Session, { schema, name }: { readonly schema: string; readonly name: string }): Promise<number> {
  const { rows } = await session.read(blocksOf(`${quoteName(schema)}.${quoteName(name)}`), [], ownDeadline(LOOK_MS))
  return Number(rows[0]?.[0] ?? 0) * BLOCK_BYTES
}

interface HistorySize {
  readonly count: number
  readonly bytes: number
  readonly inBlocks: number
  readonly isEstimate: boolean
}

function scaled(rows: readonly (readonly SqlValue[])[], { count, bytes, inBlocks, isEstimate }: HistorySize): RecordedFigures {
  const figures = rows.map(([feature, origin, ...numbers]) => ({
    feature: String(feature),
    origin: String(origin),
    numbers: numbers.map(Number),
  }))
  const seenRows = figures.reduce((sum, { numbers }) => sum + (numbers[0] ?? 0), 0)
  const seen = figures.reduce((sum, { numbers }) => sum + (numbers[1] ?? 0), 0)
  const times = seenRows === 0 ? 1 : count / seenRows
  // What is in the log is in no block yet, and will be packed there as what is. Of what fills no block, rows are what they are.
  const isKnown = inBlocks > 0 && inBlocks >= KNOWN_SHARE * count
  const whole = isKnown ? bytes * Math.max(1, count / inBlocks) : Math.max(bytes, seen * times)
  const scale = (size: number | undefined) => (seen === 0 ? 0 : Math.round((whole * (size ?? 0)) / seen))
  const features = figures.map(
    ({ feature, origin, numbers: [rowCount = 0, size, rowsLastDay = 0, sizeLastDay, ...older] }): RecordedSize => {
      return {
        feature,
        origin: origin as Origin,
        rows: Math.round(rowCount * times),
        bytes: scale(size),
        rowsLastDay: Math.round(rowsLastDay * times),
        bytesLastDay: scale(sizeLastDay),
        bytesOlder: older.map(scale),
      }
    },
  )
  return { bytes: Math.round(whole), features, isEstimate }
}
