/** Sizes as PostgreSQL knows them without counting, and a sample of the pages of history. */
import type { Micros } from '../../../clock.ts'
import type { Origin } from '../../ports/offline-store.ts'
import type { OfflineFigures, RecordedFigures, RecordedSize, StorageQuestion, TableSize } from '../../ports/storage-figures.ts'
import type { Postgres } from '../connection/postgres.ts'
import { storeErrors } from '../connection/store-errors.ts'
import { createKnownLayout } from '../history/history-layout.ts'
import { type HistoryLayout, hasPacked, hasPlain, plainTable, timeOf, unpacked } from '../history/history-rows.ts'

const DAY: Micros = 86_400_000_000
const LOOK_MS = 10_000
/** Of history, 32 MiB: some hundred thousand rows. */
const SAMPLE_PAGES = 4_096
const PAGE_BYTES = 8_192

/** As it was called, is called, and is called packed. */
const HISTORY = "'feature_history', 'history_plain', 'history_packed'"

const IS_HISTORY = `n.nspname = 'fabra' AND coalesce(p.relname, c.relname) IN (${HISTORY})`

/** Partitions count with their table, and both tables of history with the view over them. Sources are found as the role finds them. */
const TABLES = `
SELECT CASE WHEN ${IS_HISTORY} THEN 'fabra.feature_history'
    WHEN n.nspname = 'fabra' OR o.source IS NULL THEN n.nspname || '.' || coalesce(p.relname, c.relname) ELSE o.source END AS name,
  CASE WHEN n.nspname <> 'fabra' THEN 'source' WHEN ${IS_HISTORY} THEN 'history' ELSE 'other' END AS kind,
  CASE WHEN min(c.reltuples) < 0 THEN NULL ELSE sum(c.reltuples)::bigint END,
  sum(pg_total_relation_size(c.oid))::bigint
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
LEFT JOIN pg_class AS p ON p.oid = i.inhparent
LEFT JOIN (SELECT name AS source, to_regclass(found)::oid AS oid FROM unnest($1::text[], $2::text[]) AS s(name, found)) AS o
  ON o.oid = coalesce(p.oid, c.oid)
WHERE c.relkind = 'r' AND (n.nspname = 'fabra' OR o.oid IS NOT NULL)
GROUP BY 1, 2
ORDER BY 4 DESC, 1`

const HISTORY_BYTES = `
SELECT coalesce(sum(pg_relation_size(inhrelid)), 0)::bigint, coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint
FROM pg_inherits JOIN pg_class AS p ON p.oid = inhparent
WHERE p.relname IN (${HISTORY}) AND p.relnamespace = 'fabra'::regnamespace`

/** @param ages How many times ($4 on) rows are compared with. */
function sample(layout: HistoryLayout, ages: number): string {
  const older = Array.from(
    { length: ages },
    (_, i) => `coalesce(sum(size) FILTER (WHERE event_timestamp < ${timeOf(`$${i + 3}::bigint`)}), 0)`,
  )
  const some = 'TABLESAMPLE SYSTEM ($1::real) REPEATABLE (1)'
  const { created, origin } = unpacked('p')
  const plain = `
  SELECT feature, origin, created_at, event_timestamp, pg_column_size(h.*) AS size FROM ${plainTable(layout)} AS h ${some}`
  const packed = `
  SELECT v.feature, ${origin} AS origin, ${created} AS created_at, p.event_timestamp, pg_column_size(p.*) AS size
  FROM fabra.history_packed AS p ${some} JOIN fabra.feature_versions AS v ON v.id = p.version`
  const sampled = [...(hasPlain(layout) ? [plain] : []), ...(hasPacked(layout) ? [packed] : [])]
  return `
SELECT feature, origin, count(*), coalesce(sum(size), 0),
  count(*) FILTER (WHERE created_at >= ${timeOf('$2::bigint')}), coalesce(sum(size) FILTER (WHERE created_at >= ${timeOf('$2::bigint')}), 0),
  ${older.join(', ')}
FROM (${sampled.join('\n  UNION ALL')}) AS h
GROUP BY feature, origin
ORDER BY feature, origin`
}

export function createPostgresFigures(postgres: Postgres): OfflineFigures {
  const layout = createKnownLayout(postgres)
  const read = (text: string, parameters: Parameters<Postgres['run']>[1]) =>
    storeErrors(() => postgres.run(text, parameters, { timeoutMs: LOOK_MS, readOnly: true, settings: { jit: 'off' } }))
  return {
    async tables({ sources }) {
      const { rows } = await read(TABLES, [sources, sources.map(quoted)])
      return rows.map(([name, kind, count, bytes]) => ({
        name: String(name),
        kind: kind as TableSize['kind'],
        rows: count === null ? null : Number(count),
        bytes: Number(bytes),
      }))
    },
    async recorded({ now, ages }: StorageQuestion) {
      const [heap = 0, bytes = 0] = ((await read(HISTORY_BYTES, [])).rows[0] ?? []).map(Number)
      const share = Math.min(1, SAMPLE_PAGES / Math.max(1, heap / PAGE_BYTES))
      const where = await storeErrors(() => layout.current())
      const { rows } = await read(sample(where, ages.length), [100 * share, now - DAY, ...ages.map((age) => now - age)])
      return scaled(rows, { share, bytes })
    },
  }
}

/** Of the rows' own sizes those of the table, with what it needs around them and for its index. */
function scaled(rows: readonly (readonly (string | null)[])[], { share, bytes }: { share: number; bytes: number }): RecordedFigures {
  const seen = rows.reduce((sum, row) => sum + Number(row[3]), 0)
  const scale = (size: number | undefined) => (seen === 0 ? 0 : Math.round((bytes * (size ?? 0)) / seen))
  const features = rows.map(([feature, origin, ...figures]): RecordedSize => {
    const [count = 0, size, countLastDay = 0, sizeLastDay, ...older] = figures.map(Number)
    return {
      feature: String(feature),
      origin: origin as Origin,
      rows: Math.round(count / share),
      bytes: scale(size),
      rowsLastDay: Math.round(countLastDay / share),
      bytesLastDay: scale(sizeLastDay),
      bytesOlder: older.map(scale),
    }
  })
  return { bytes, features, isEstimate: share < 1 }
}

function quoted(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')
}
