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
  const asked = filledUp(keys)
  const list = asked.map((_, i) => `$${i + 1}`).join(', ')
  const text = `SELECT 1 AS found FROM ${table} WHERE CAST(${quoteName(column)} AS VARCHAR) IN (${list}) LIMIT 1`
  try {
    const { rows } = await store.query(text, asked, { signal: AbortSignal.timeout(LOOK_MS), timeoutMs: LOOK_MS })
    return rows.length > 0
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    return null
  }
}

/** A text for each number of keys would be one to read and to plan for nearly every list of labels: these are few. */
function filledUp(keys: readonly string[]): readonly string[] {
  const places = 2 ** Math.ceil(Math.log2(keys.length))
  return Array.from({ length: places }, (_, i) => keys[i] ?? keys[0] ?? '')
}
