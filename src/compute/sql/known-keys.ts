import { type SourceEngine, SqlError } from '../../store/ports/source-engine.ts'
import { quoteName } from './rewrite/lexer.ts'

/** Nobody waits long to be told of what may be a mistake. */
const LOOK_MS = 2_000

/**
 * Whether a source has a row of any of these keys.
 * @param place A source, and its column of one part of the key. @param keys As texts.
 * @returns null where the source has no such column, or it cannot be told soon.
 */
export async function hasAnyKey(
  store: SourceEngine,
  { source, column }: { readonly source: string; readonly column: string },
  keys: readonly string[],
): Promise<boolean | null> {
  if (keys.length === 0) return null
  const table = source.split('.').map(quoteName).join('.')
  const list = keys.map((_, i) => `$${i + 1}`).join(', ')
  const text = `SELECT 1 AS found FROM ${table} WHERE CAST(${quoteName(column)} AS VARCHAR) IN (${list}) LIMIT 1`
  try {
    const { rows } = await store.query(text, keys, { signal: AbortSignal.timeout(LOOK_MS), timeoutMs: LOOK_MS })
    return rows.length > 0
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    return null
  }
}
