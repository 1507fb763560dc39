/**
 * Just enough of SQL's lexical rules to know what is text and what is not: strings with and without backslashes, dollar quotes, quoted names,
 * nested comments, parameters, casts. DuckDB and PostgreSQL agree on all of it. What the tokens mean is the parser's business.
 */
export interface Token {
  /** `name`: a quoted identifier. `parameter`: `$1`, `$user_id` or `?`. `symbol`: one character, or `::`, `||`, `->>` and the like whole. */
  readonly kind: 'word' | 'name' | 'string' | 'number' | 'parameter' | 'symbol'
  /** Character offsets, end exclusive. */
  readonly start: number
  readonly end: number
  readonly text: string
}

const ODD = '\\u0085\\u00a0\\u1680\\u180e\\u2000-\\u200b\\u2028\\u2029\\u202f\\u205f\\u2060\\u3000\\ufeff'
/** Blanks beyond ASCII: to DuckDB most of them are spaces, to PostgreSQL parts of names. `plainText` makes them spaces before anything is read. */
export const ODD_BLANK = new RegExp(`[${ODD}]`)

/** To both engines every other character beyond ASCII is a letter. */
const LETTER = `(?![${ODD}])[A-Za-z_\\u0080-\\uffff]`
const LETTER_OR_DIGIT = `(?![${ODD}])[A-Za-z0-9_\\u0080-\\uffff]`
const WORD_START = new RegExp(LETTER)
const WORD_PART = new RegExp(`${LETTER_OR_DIGIT}|\\$`)
const NAME = `${LETTER}(?:${LETTER_OR_DIGIT})*`
const DOLLAR_TAG = new RegExp(`^\\$(?:${NAME})?\\$`)
const PARAMETER = new RegExp(`^\\$(?:[0-9]+|${NAME})`)
/** Between the pieces of one string there is a line break: what comes after it is read as the first piece is. */
const CONTINUATION = /(?:[ \t\f\v]|--[^\r\n]*)*[\r\n](?:[ \t\r\n\f\v]|--[^\r\n]*[\r\n])*'/y
const SYMBOL_PART = /[-+*/<>=~!@#%^&|`?:]/

/** Tokens of a text without its spaces and comments. Never throws: an unclosed string or comment ends with the text. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < text.length) {
    const blank = endOfBlank(text, at)
    if (blank > at) {
      at = blank
      continue
    }
    const [kind, end] = readToken(text, at)
    tokens.push({ kind, start: at, end, text: text.slice(at, end) })
    at = end
  }
  return tokens
}

/** The name an identifier token stands for; null for any other token. */
export function identifierOf(token: Token | undefined): string | null {
  if (token?.kind === 'word') return token.text
  if (token?.kind === 'name') return token.text.slice(1, -1).replaceAll('""', '"')
  return null
}

export function isSymbol(token: Token | undefined, text: string): boolean {
  return token?.kind === 'symbol' && token.text === text
}

export function isWord(token: Token | undefined, lowerCase: string): boolean {
  return token?.kind === 'word' && token.text.toLowerCase() === lowerCase
}

/** `"` around a name, its own doubled. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A string literal that neither engine reads escapes in. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function endOfBlank(text: string, start: number): number {
  const character = text[start] ?? ''
  if (/[ \t\r\n\f\v]/.test(character) || ODD_BLANK.test(character)) return start + 1
  if (text.startsWith('--', start)) {
    // Both engines end such a comment at a lone carriage return too.
    const length = text.slice(start).search(/[\r\n]/)
    return length === -1 ? text.length : start + length + 1
  }
  return text.startsWith('/*', start) ? endOfComment(text, start) : start
}

function endOfComment(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    if (text.startsWith('/*', at)) {
      depth++
      at++
    } else if (text.startsWith('*/', at)) {
      depth--
      at++
      if (depth === 0) return at + 1
    }
  }
  return text.length
}

function readToken(text: string, start: number): [Token['kind'], number] {
  const first = text[start] ?? ''
  if (first === "'") return ['string', endOfQuoted(text, start, "'", false)]
  if (first === '"') return ['name', endOfQuoted(text, start, '"', false)]
  if (first === '$') return readDollar(text, start)
  if (first === '?') return readQuestion(text, start)
  if (/[0-9]/.test(first) || (first === '.' && /[0-9]/.test(text[start + 1] ?? ''))) return ['number', endOfNumber(text, start)]
  const prefix = /^(?:[eExXbBnN]|[uU]&)'/.exec(text.slice(start, start + 3))?.[0]
  if (prefix && /^e/i.test(prefix)) return ['string', endOfEscaped(text, start + 1)]
  if (prefix) return ['string', endOfQuoted(text, start + prefix.length - 1, "'", false)]
  if (/^[uU]&"/.test(text.slice(start, start + 3))) return ['name', endOfQuoted(text, start + 2, '"', false)]
  if (WORD_START.test(first)) return ['word', endWhile(text, start, WORD_PART)]
  if (SYMBOL_PART.test(first)) return ['symbol', endOfSymbol(text, start)]
  return ['symbol', start + 1]
}

function endWhile(text: string, start: number, part: RegExp): number {
  let at = start
  while (at < text.length && part.test(text[at] ?? '')) at++
  return at
}

function endOfQuoted(text: string, start: number, quote: string, backslashes: boolean): number {
  for (let at = start + 1; at < text.length; at++) {
    if (backslashes && text[at] === '\\') at++
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1
      at++
    }
  }
  return text.length
}

/** A string with backslashes, and the pieces that continue it: they have backslashes too. */
function endOfEscaped(text: string, quote: number): number {
  let end = endOfQuoted(text, quote, "'", true)
  for (;;) {
    CONTINUATION.lastIndex = end
    if (!CONTINUATION.test(text)) return end
    end = endOfQuoted(text, CONTINUATION.lastIndex - 1, "'", true)
  }
}

/** `$1`, `$user_id`, `$$text$$` or `$tag$text$tag$`. */
function readDollar(text: string, start: number): [Token['kind'], number] {
  const rest = text.slice(start)
  const tag = DOLLAR_TAG.exec(rest)?.[0]
  if (tag !== undefined) {
    const close = text.indexOf(tag, start + tag.length)
    return ['string', close === -1 ? text.length : close + tag.length]
  }
  const parameter = PARAMETER.exec(rest)?.[0]
  return parameter === undefined ? ['symbol', start + 1] : ['parameter', start + parameter.length]
}

/** A lone `?` is a parameter; `?|`, `?&` and `@?` are operators of jsonb. Whether a lone one is jsonb's too, only a count of parameters can tell. */
function readQuestion(text: string, start: number): [Token['kind'], number] {
  if (/[|&]/.test(text[start + 1] ?? '') && text[start + 2] !== '|') return ['symbol', start + 2]
  return ['parameter', start + 1]
}

function endOfNumber(text: string, start: number): number {
  const number = /^(?:0[xX][0-9a-fA-F_]+|(?:[0-9][0-9_]*)?\.?[0-9_]*(?:[eE][-+]?[0-9]+)?)/.exec(text.slice(start))?.[0] ?? ''
  return start + Math.max(1, number.length)
}

/** Operators are read whole as far as they cannot swallow a parameter or the start of a comment. */
function endOfSymbol(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && SYMBOL_PART.test(text[at] ?? '') && text[at] !== '?') {
    if (text.startsWith('--', at) || text.startsWith('/*', at)) break
    at++
  }
  return at
}

/** `… ORDER BY … LIMIT 1` of the whole: what belongs to a subquery has a parenthesis after it. Without an order any row may be the first. */
export function isFirstOfOrder(tokens: readonly Token[]): boolean {
  const last = tokens.findLastIndex((token) => !isSymbol(token, ';'))
  if (tokens[last]?.text !== '1' || !isWord(tokens[last - 1], 'limit')) return false
  let depth = 0
  return tokens.some((token, i) => {
    if (isSymbol(token, '(')) depth++
    else if (isSymbol(token, ')')) depth--
    return depth === 0 && isWord(token, 'order') && isWord(tokens[i + 1], 'by')
  })
}
