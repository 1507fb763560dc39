/** A plain query over the row list by one join, as each engine has it. */
import { type SourceEngine, SqlError } from '../../store/ports/source-engine.ts'
import { keyedQueryOf } from './duckdb/keyed-query.ts'
import { keyedStatement } from './duckdb/keyed-query-statement.ts'
import { type GroupedRow, groupedStatement, isSameColumns } from './postgres/grouped-statement.ts'
import type { AnalysedSql } from './rewrite/analysis.ts'
import { setPrelude } from './rewrite/parameters.ts'

/** @returns null where the LATERAL form is the one to run. @throws SqlError unavailable */
export async function groupedForm(sql: AnalysedSql, given: GroupedRow, store: SourceEngine): Promise<string | null> {
  if (store.dialect === 'postgres') return groupedStatement(sql, given, store)
  const query = keyedQueryOf(sql, given.row.parameter)
  if (!query) return null
  try {
    const text = await keyedStatement(query, given.keyTypes.length, store)
    const { columns } = await store.prepare(setPrelude(given.keyTypes) + text)
    return isSameColumns(columns.slice(2), given.columns) ? text : null
  } catch (error) {
    if (error instanceof SqlError && error.kind !== 'unavailable') return null
    throw error
  }
}
