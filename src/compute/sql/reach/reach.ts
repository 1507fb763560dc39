/**
 * How far back a text looks into each source: rows of an earlier timestamp change nothing of its answer, whatever they are. It is proved from the syntax
 * alone, where the outermost AND of the WHERE beside the FROM that names the source holds its timestamp above a time counted from the present: such a row
 * is dropped whatever it is joined with, and where it is not there, what an outer join puts in its place is dropped as well. What is the least bit
 * unclear reaches back for ever.
 */
import type { Micros } from '../../../clock.ts'
import type { Source } from '../../../definition/model.ts'
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import type { Shadow } from '../rewrite/statement.ts'
import { columnOf } from '../rewrite/visibility.ts'
import type { Bound } from './bound.ts'
import { duckdbBounds } from './duckdb-bounds.ts'
import { postgresBounds } from './postgres-bounds.ts'
import { DAY } from './span.ts'

/** Null: for ever, or it is not known. */
export type Reach = Micros | null

export interface SourceReach {
  readonly source: Source
  readonly reach: Reach
}

/** Of the sources that it reads. */
export function reachesOf(sql: AnalysedSql, dialect: SourceEngine['dialect']): readonly SourceReach[] {
  const bounds = dialect === 'duckdb' ? duckdbBounds(sql) : postgresBounds(sql)
  const reaches = new Map<Source, Reach>()
  for (const shadow of sql.shadows) {
    const before = reaches.get(shadow.source)
    const reach = reachOf(shadow, bounds)
    reaches.set(shadow.source, before === null || reach === null ? null : Math.max(before ?? 0, reach))
  }
  return [...reaches].map(([source, reach]) => ({ source, reach }))
}

function reachOf(shadow: Shadow, bounds: readonly Bound[]): Reach {
  const { source, table } = shadow
  if (source.timestamp === null) return null
  const own = bounds.filter(({ at }) => at === shadow.ref.at).map(({ reach }) => reach)
  if (own.length === 0) return null
  const column = columnOf(table, source.timestamp)
  // Times without a zone are told in the source's own, and compared as they are.
  const isLocal = source.timezone !== 'UTC' && !/TZ$|WITH TIME ZONE$/.test(column?.type ?? '')
  return Math.max(0, Math.min(...own)) + (isLocal ? DAY : 0)
}
