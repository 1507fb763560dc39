/**
 * A user's text as both engines and Fabra read it alike, before anything else looks at it. DuckDB makes spaces of many Unicode blanks before it
 * counts the places of names, and so counts in another text than the one it was given; it even changes some that stand in strings, where a quote
 * in a comment or after a backslash has misled it. PostgreSQL takes the same blanks for letters. Here they become spaces, one for one, except in
 * strings and quoted names, and comments of such a text go: what is left is counted and understood the same everywhere.
 */
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import type { SqlFault } from './forbidden.ts'
import { ODD_BLANK, type Token, tokenize } from './lexer.ts'

export type PlainText = { readonly text: string; readonly fault: null } | { readonly text: null; readonly fault: SqlFault }

/** Places in the text stay what they are. */
export function plainText(written: string, dialect: SourceEngine['dialect']): PlainText {
  const nul = written.indexOf('\0')
  // Engines end a text there, without a word.
  if (nul !== -1) return refuse('The SQL holds a NUL character.', 'Take it out.', nul)
  if (!written.isWellFormed()) return refuse('The SQL holds half of a character.', 'Write it in whole Unicode characters.', null)
  if (!ODD_BLANK.test(written)) return { text: written, fault: null }
  const tokens = tokenize(written)
  const misread = tokens.find((token) => /^e'/i.test(token.text) && ODD_BLANK.test(token.text))
  if (misread && dialect === 'duckdb') {
    return refuse(
      'A string with backslashes holds a Unicode blank, which the database may change.',
      "Write it as a plain '…'.",
      misread.start,
    )
  }
  return { text: blanked(written, tokens), fault: null }
}

function refuse(message: string, hint: string, at: number | null): PlainText {
  return { text: null, fault: { message, hint, at } }
}

/** Whatever is between tokens as spaces; line breaks stay, so that lines are what they were. */
function blanked(written: string, tokens: readonly Token[]): string {
  let result = ''
  let cursor = 0
  for (const { start, end } of [...tokens, { start: written.length, end: written.length }]) {
    result += written.slice(cursor, start).replace(/[^\r\n]/g, ' ') + written.slice(start, end)
    cursor = end
  }
  return result
}
