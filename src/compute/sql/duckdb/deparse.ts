/** Syntax back to text, by the engine itself. */
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import type { Json } from '../rewrite/sql-tree.ts'

/** @param root The statement that the expressions are of. @throws SqlError where the engine refuses one of them. */
export async function textsOf(root: Json, expressions: readonly Json[], store: SourceEngine): Promise<string[]> {
  if (expressions.length === 0) return []
  const { rows } = await store.query(
    `SELECT ${expressions.map((_, i) => `json_deserialize_sql(CAST($${i + 1} AS JSON))`).join(', ')}`,
    expressions.map((expression) => statementOf(root, expression)),
    { signal: new AbortController().signal, timeoutMs: 10_000 },
  )
  return (rows[0] ?? []).map((text) => `(${String(text).replace(/^SELECT /, '')})`)
}

function statementOf(root: Json, expression: Json): string {
  const from = { type: 'EMPTY', alias: '', sample: null, query_location: 0 }
  const bare = { modifiers: [], qualify: null, where_clause: null, from_table: from }
  // Places that the parser does not know are numbers which do not survive JSON.
  return JSON.stringify(
    { error: false, statements: [{ node: { ...root, ...bare, select_list: [expression] }, named_param_map: [] }] },
    (key, value: unknown) => (key === 'query_location' ? 0 : value),
  )
}
