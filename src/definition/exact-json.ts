/** Digits of the longest whole number that is read exactly. Reading one takes time by the square of its length. */
export const MAX_DIGITS = 1000

/**
 * Where a number may begin, sixteen digits without a point: nearly all texts have none, and take the fast way, which is ten times as fast.
 * Digits after a point do not count; every other float has so many.
 */
const LONG_WHOLE = /(?:^|[[,:\s-])\d{16}/
/** No shorter exponent takes a number out of a float's range. Ids of hexadecimal digits end with a quote. */
const LONG_EXPONENT = /[eE]\+?\d{3,}(?=[\s,\]}]|$)/

/**
 * JSON.parse that keeps whole numbers beyond ±(2^53 − 1) exact, as bigint. Numbers with a fraction or an exponent stay numbers.
 * Own keys called `__proto__` stay own keys.
 * @throws SyntaxError as JSON.parse does, for whole numbers of more than a thousand digits, and for those that are larger than any float
 * (JSON.parse makes Infinity of them, which is null when it is written again). `jsonFault` tells where.
 */
export function parseExact(text: string): unknown {
  if (!LONG_WHOLE.test(text) && !LONG_EXPONENT.test(text)) return JSON.parse(text)
  return JSON.parse(text, (_key: string, value: unknown, context?: { readonly source?: string }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
    const source = context?.source
    if (source === undefined) return value
    if (/^-?\d+$/.test(source)) {
      if (source.length > MAX_DIGITS) throw new SyntaxError(`A number of ${source.length} digits is too long.`)
      return BigInt(source)
    }
    if (!Number.isFinite(value)) throw new SyntaxError(`${source.slice(0, 40)} is larger than any number can be.`)
    return value
  })
}

/**
 * The same for what is to be kept: of a key that stands twice in one object, JSON.parse keeps the last and says nothing.
 * @throws SyntaxError also for such a text. `jsonFault` tells where.
 */
export function parseDistinct(text: string): unknown {
  const value = parseExact(text)
  if (writtenKeys(text) !== keysOf(value)) throw new SyntaxError('A key is there twice.')
  return value
}

/** Strings that a colon stands behind. @param text JSON. */
function writtenKeys(text: string): number {
  let count = 0
  for (let quote = text.indexOf('"'); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    quote = text.indexOf('"', quote + 1)
    while (isEscaped(text, quote)) quote = text.indexOf('"', quote + 1)
    let next = quote + 1
    while (isBlank(text.charCodeAt(next))) next++
    if (text.charCodeAt(next) === COLON) count++
  }
  return count
}

const [BACKSLASH, COLON] = [0x5c, 0x3a]

function isEscaped(text: string, at: number): boolean {
  let before = at
  while (text.charCodeAt(before - 1) === BACKSLASH) before--
  return (at - before) % 2 === 1
}

/** As JSON has them between its parts. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  if (Array.isArray(value)) {
    let count = 0
    for (let i = 0; i < value.length; i++) count += keysOf(value[i])
    return count
  }
  const parts = Object.values(value)
  let count = parts.length
  for (let i = 0; i < parts.length; i++) count += keysOf(parts[i])
  return count
}

declare global {
  interface JSON {
    /** https://github.com/tc39/proposal-json-parse-with-source */
    rawJSON(text: string): unknown
  }
}

/**
 * JSON.stringify that writes bigints as the integers they are, and large floats with an exponent: written out they would be read back as whole
 * numbers that they are not exactly.
 */
export function stringifyExact(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return JSON.rawJSON(part.toString())
    if (typeof part !== 'number' || !Number.isInteger(part) || Number.isSafeInteger(part)) return part
    return JSON.rawJSON(part.toExponential())
  })
}
