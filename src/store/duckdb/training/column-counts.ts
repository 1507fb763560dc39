/** How many label rows have a value, counted over the values that were found and not over the finished set, which no longer tells null from missing. */
import type { Micros } from '../../../clock.ts'
import { type RunOptions, SqlTimestamp } from '../../ports/source-engine.ts'
import type { ColumnCounts, OutputColumn, OutputFeature, TrainingWorkspace, ValuesId } from '../../ports/training-store.ts'
import type { Session } from '../connection/session.ts'
import { type HeldValues, isRecorded } from './result.ts'
import { memberText } from './typed-values.ts'
import { inGroups } from './wide.ts'

export interface Counted {
  readonly features: readonly OutputFeature[]
  /** Of values. */
  readonly columns: readonly OutputColumn[]
}

export async function countValues(
  session: Session,
  { features, columns }: Counted,
  held: (values: ValuesId) => HeldValues,
  options: RunOptions,
): Promise<readonly ColumnCounts[]> {
  const found = new Map<OutputColumn, ColumnCounts>()
  for (const [from, own] of byPlace(features, columns, held)) {
    for (const some of inGroups(own)) {
      const select = some.flatMap(({ column, given }) => countsOf(column, given, held(given.values)))
      const { rows } = await session.read(`SELECT ${select.join(', ')} FROM ${from} AS t`, [], options)
      const counts = (rows[0] ?? []).map(Number)
      for (const [i, { column }] of some.entries()) found.set(column, { found: counts[i * 2] ?? 0, given: counts[i * 2 + 1] ?? 0 })
    }
  }
  return columns.map((column) => found.get(column) ?? { found: 0, given: 0 })
}

/** @param rows File of the rows, quoted. */
export async function rowsLaterThan(
  session: Session,
  rows: string,
  time: Micros,
  options: RunOptions,
): ReturnType<TrainingWorkspace['laterThan']> {
  const found = await session.read(
    `SELECT COUNT(*), max(__fabra_as_of) FROM read_parquet(${rows}) WHERE epoch_us(__fabra_as_of) > CAST(${Math.trunc(time)} AS BIGINT)`,
    [],
    options,
  )
  const [count, latest] = found.rows[0] ?? []
  return { count: Number(count ?? 0), latest: latest instanceof SqlTimestamp ? latest.micros : null }
}

/** @param rows File of the rows, quoted. */
export async function rowsEarlierThan(
  session: Session,
  rows: string,
  time: Micros,
  options: RunOptions,
): ReturnType<TrainingWorkspace['earlierThan']> {
  const found = await session.read(
    `SELECT COUNT(*), min(__fabra_as_of) FROM read_parquet(${rows}) WHERE epoch_us(__fabra_as_of) < CAST(${Math.trunc(time)} AS BIGINT)`,
    [],
    options,
  )
  const [count, earliest] = found.rows[0] ?? []
  return { count: Number(count ?? 0), earliest: earliest instanceof SqlTimestamp ? earliest.micros : null }
}

/** @param rows File of the rows, quoted. */
export async function keysOfRows(
  session: Session,
  rows: string,
  { entity, column, limit }: Parameters<TrainingWorkspace['someKeys']>[0],
  options: RunOptions,
): Promise<readonly string[]> {
  const found = await session.read(
    `SELECT DISTINCT CAST(__fabra_e${entity}_k${column} AS VARCHAR) AS k FROM read_parquet(${rows}) ORDER BY k LIMIT ${limit}`,
    [],
    options,
  )
  return found.rows.map(([key]) => String(key))
}

export interface Placed {
  readonly column: OutputColumn
  readonly given: OutputFeature
}

/** Of each table of values the columns that come from it. */
export function byPlace(
  features: readonly OutputFeature[],
  columns: readonly OutputColumn[],
  held: (values: ValuesId) => HeldValues,
): Map<string, Placed[]> {
  const access = new Map<string, Placed[]>()
  for (const column of columns) {
    const given = features[column.feature]
    if (!given) continue
    const { from } = held(given.values)
    const place = access.get(from) ?? []
    if (place.length === 0) access.set(from, place)
    place.push({ column, given })
  }
  return access
}

/** SQL of how many rows have an answer, and of how many of those are not null. */
function countsOf({ column }: OutputColumn, { feature, firstColumn }: OutputFeature, { kind, f }: HeldValues): [string, string] {
  const found = isRecorded(kind) ? `COUNT(t.e${f})` : 'COUNT(*)'
  if (kind === 'typed') return [found, `COUNT(t.v${firstColumn + column})`]
  if (kind === 'decoded') return [found, `COUNT(t.v${f})`]
  const whole = kind === 'texts' ? `t.c${column}` : `t.v${f}`
  const name = kind === 'texts' ? null : (feature.columns[column]?.name ?? null)
  return [found, `COUNT(NULLIF(${name === null ? whole : memberText(whole, column)}, 'null'))`]
}
