import { isSymbol, type Token, tokenize } from './rewrite/lexer.ts'

/** `$1`, `?` and `%s` made one form. */
export interface Placed {
  /** The text with `$1`, `$2`, … only. */
  readonly text: string
  /** Per `$n` of the text, the index of the parameter given. */
  readonly order: readonly number[]
}

export interface PlaceholderFault {
  readonly message: string
  readonly hint: string
}

interface Placeholder {
  readonly start: number
  readonly end: number
  readonly parameter: number
}

/** Words that a value may follow; after any other word a lone `?` is jsonb's operator. */
const BEFORE_VALUE = new Set(
  'select distinct where and or not in like ilike between limit offset on having when then else case by set values interval similar to is from all any array as filter qualify returning escape'.split(
    ' ',
  ),
)

/**
 * Placeholders in strings, comments and quoted names are text. A `?` may also be an operator of jsonb, and `%s` a remainder by a column `s`:
 * there the count of parameters decides.
 */
export function placeParameters(sql: string, count: number): Placed | PlaceholderFault {
  const tokens = tokenize(sql)
  const named = tokens.find((token) => token.kind === 'parameter' && /^\$\D/.test(token.text))
  if (named) return { message: `The query uses ${named.text}.`, hint: 'In db.query, write $1, $2, … and give the values after the text.' }
  const dollars = dollarPlaceholders(tokens)
  if (dollars.length > 0) return placeDollars(sql, dollars, count)
  const candidates = [percentPlaceholders(tokens), questionPlaceholders(tokens, false), questionPlaceholders(tokens, true)]
  const fitting = candidates.find((placeholders) => placeholders.length === count)
  if (count === 0) return location(sql, [])
  if (fitting) return location(sql, fitting, fitting === candidates[0] ? doubledPercents(tokens) : [])
  const found = Math.max(...candidates.map((placeholders) => placeholders.length))
  return miscounted(found, count)
}

function dollarPlaceholders(tokens: readonly Token[]): Placeholder[] {
  const numbered = tokens.filter((token) => token.kind === 'parameter' && token.text.startsWith('$'))
  return numbered.map(({ start, end, text }) => ({ start, end, parameter: Number(text.slice(1)) - 1 }))
}

function placeDollars(sql: string, dollars: readonly Placeholder[], count: number): Placed | PlaceholderFault {
  const highest = Math.max(...dollars.map((placeholder) => placeholder.parameter)) + 1
  if (dollars.some((placeholder) => placeholder.parameter < 0))
    return { message: 'The query uses $0.', hint: 'Placeholders count from $1.' }
  return highest === count ? location(sql, dollars) : miscounted(highest, count)
}

/** `%s` outside of strings: the sign right before the word. */
function percentPlaceholders(tokens: readonly Token[]): Placeholder[] {
  const found: Placeholder[] = []
  for (const [i, token] of tokens.entries()) {
    const next = tokens[i + 1]
    const closes = token.kind === 'symbol' && token.text.endsWith('%') && !token.text.endsWith('%%')
    if (closes && next?.kind === 'word' && next.text === 's' && next.start === token.end) {
      found.push({ start: token.end - 1, end: next.end, parameter: found.length })
    }
  }
  return found
}

/** With `%s`, a sign that means itself is written twice. */
function doubledPercents(tokens: readonly Token[]): { start: number; end: number }[] {
  return tokens.filter((token) => isSymbol(token, '%%')).map(({ start }) => ({ start, end: start + 1 }))
}

function questionPlaceholders(tokens: readonly Token[], onlyWhereValuesStand: boolean): Placeholder[] {
  const found: Placeholder[] = []
  for (const [i, token] of tokens.entries()) {
    if (token.kind !== 'parameter' || token.text !== '?') continue
    if (onlyWhereValuesStand && !valueMayFollow(tokens[i - 1])) continue
    found.push({ start: token.start, end: token.end, parameter: found.length })
  }
  return found
}

function valueMayFollow(before: Token | undefined): boolean {
  if (!before) return true
  if (before.kind === 'symbol') return before.text !== ')' && before.text !== ']'
  return before.kind === 'word' && BEFORE_VALUE.has(before.text.toLowerCase())
}

function location(sql: string, placeholders: readonly Placeholder[], dropped: readonly { start: number; end: number }[] = []): Placed {
  const order: number[] = []
  let text = ''
  let cursor = 0
  const pieces = [...placeholders, ...dropped.map((piece) => ({ ...piece, parameter: -1 }))].sort((a, b) => a.start - b.start)
  for (const { start, end, parameter } of pieces) {
    text += sql.slice(cursor, start)
    cursor = end
    if (parameter < 0) continue
    let index = order.indexOf(parameter)
    if (index === -1) index = order.push(parameter) - 1
    // A space keeps the placeholder from growing together with what stands before it (`LIMIT%s`).
    text += /[\p{L}\p{N}_$]$/u.test(text) ? ` $${index + 1}` : `$${index + 1}`
  }
  return { text: text + sql.slice(cursor), order }
}

function miscounted(found: number, given: number): PlaceholderFault {
  const parameters = (count: number) => `${count} ${count === 1 ? 'parameter' : 'parameters'}`
  return {
    message: `The query takes ${parameters(found)}, ${given} ${given === 1 ? 'was' : 'were'} given.`,
    hint: 'Give one value per $1, ? or %s.',
  }
}
