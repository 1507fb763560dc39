import type { Edit } from '../rewrite/edits.ts'
import { isSymbol, isWord, type Token } from '../rewrite/lexer.ts'

/** Words after a subquery in FROM that are not its name. */
const AFTER = new Set(
  'where group having order limit offset fetch union intersect except window on using join left right full inner cross natural for'.split(
    ' ',
  ),
)
const BEFORE = new Set(['from', 'join', 'lateral'])
const SUBQUERY = new Set(['select', 'with', 'values', 'table'])

/**
 * Names for subqueries in FROM that have none: DuckDB and PostgreSQL 16 take them so, PostgreSQL 15 does not.
 * @param count How many the parser found. Where as many are not found in the text, none is named, and the server tells.
 */
export function nameSubqueries(tokens: readonly Token[], count: number): Edit[] {
  if (count === 0) return []
  const ends = tokens.flatMap((token, i) => {
    const opens = token.kind === 'word' && BEFORE.has(token.text.toLowerCase()) && isSymbol(tokens[i + 1], '(')
    const inner = tokens[i + 2]
    if (!opens || inner?.kind !== 'word' || !SUBQUERY.has(inner.text.toLowerCase())) return []
    const close = closing(tokens, i + 1)
    return close !== undefined && !isNamed(tokens[close + 1]) ? [tokens[close]?.end ?? 0] : []
  })
  return ends.length === count ? ends.map((end, i) => ({ start: end, end, text: ` AS "__fabra_unnamed${i}"` })) : []
}

function isNamed(next: Token | undefined): boolean {
  if (isWord(next, 'as')) return true
  return next?.kind === 'name' || (next?.kind === 'word' && !AFTER.has(next.text.toLowerCase()))
}

function closing(tokens: readonly Token[], open: number): number | undefined {
  let depth = 0
  for (let i = open; i < tokens.length; i++) {
    if (isSymbol(tokens[i], '(')) depth++
    else if (isSymbol(tokens[i], ')') && --depth === 0) return i
  }
  return undefined
}
