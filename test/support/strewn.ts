/** Texts that mean the same, with blanks, comments, names and strings strewn in that mislead whoever counts characters. */

/** What DuckDB takes for a space, what it does not, and what only looks like one. */
export const ODD_BLANKS = [...'\u00a0\u1680\u180e\u2000\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff\u0085']

const BLANKS = [' ', '  ', '\n', '\t', '\r', '\r\n', '\f', ...ODD_BLANKS]
const COMMENTS = [
  '/* 取引\u3000件数 */',
  "/* it's */",
  '/* " */',
  '/* $$ */',
  "/* a /* FROM facts */ ' b */",
  '/*\u200b\ufeff*/',
  "-- \u00a0 ' x\n",
  '-- "\u3000\r',
  '--\u2028 $q$\r\n',
  '--\n',
]
const TRUTHS = [
  "'x\u3000''y' = 'x\u3000''y'",
  "$q$ it's -- \u00a0 $q$ = ' it''s -- \u00a0 '",
  "E'a\\'b' = 'a''b'",
  "E'a'\n'\\'b' = 'a''b'",
  "'/*' <> '*/\u200b--'",
  "$$\u00a0FROM events$$ <> '\ufeff'",
]
const ALIASES = ['"e\u3000取"', '"e""\u00a0"', 'é', 'e😀', '"FROM facts"', '"e /* "']

export type Dice = (sides: number) => number

/** @param sql Of the oracle's shapes: strings, words, symbols, and no comments. */
export function strewn(sql: string, dice: Dice): string {
  const pick = (from: readonly string[]) => from[dice(from.length)] ?? ' '
  const blank = () => Array.from({ length: 1 + dice(3) }, () => (dice(3) === 0 ? pick(COMMENTS) : pick(BLANKS))).join('')
  const alias = dice(2) === 0 ? pick(ALIASES) : 'e'
  const truth = dice(2) === 0 ? `WHERE ${pick(TRUTHS)} AND ` : 'WHERE '
  const pieces =
    sql.replace('WHERE ', () => truth).match(/[Ee]?'(?:\\'|[^'])*'(?:'[^']*')*|\$q\$.*?\$q\$|\$\$.*?\$\$|[\w$]+|\s+|[^\w\s]/gs) ?? []
  const text = pieces.map((piece, i) => {
    if (piece === 'e') return alias
    if (/^\s+$/.test(piece)) {
      // A minus and a comment would be a longer comment.
      const before = pieces[i - 1] === '-' ? ' ' : ''
      return piece.includes('\n') || dice(2) === 0 ? piece : before + blank()
    }
    if (piece === '(' || piece === ',') return dice(4) === 0 ? piece + blank() : piece
    if (piece === ')') return dice(4) === 0 ? blank() + piece : piece
    return piece
  })
  return (dice(4) === 0 ? blank() : '') + text.join('') + (dice(3) === 0 ? blank() : '')
}

/** The same numbers for the same seed. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0 || 1
  return (sides) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % sides
  }
}
