import type { Feature } from '../../definition/model.ts'

/**
 * A stored value's texts as one text of history: the value itself, or an object of all columns. Null stays null (a tombstone).
 * Texts are joined and cut, never parsed: numbers beyond 2^53 stay exact.
 */
export function toHistoryText(feature: Feature, texts: readonly string[] | null): string | null {
  if (texts === null) return null
  if (feature.columns.length === 1 && feature.columns[0]?.name === null) return texts[0] ?? 'null'
  return `{${feature.columns.map((column, i) => `${JSON.stringify(column.name)}:${texts[i] ?? 'null'}`).join(',')}}`
}

/** Undoes `toHistoryText`. A column that the text lacks is null. */
export function fromHistoryText(feature: Feature, text: string | null): readonly string[] | null {
  if (text === null) return null
  if (feature.columns.length === 1 && feature.columns[0]?.name === null) return [text]
  const columns = asWritten(feature, text)
  if (columns !== undefined) return columns
  const members = objectMembers(text)
  return feature.columns.map((column) => members.get(column.name ?? '') ?? 'null')
}

/** By feature: what stands before each column. */
const heads = new WeakMap<Feature, readonly string[]>()

function headsOf(feature: Feature): readonly string[] {
  const known = heads.get(feature)
  if (known) return known
  const made = feature.columns.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`)
  heads.set(feature, made)
  return made
}

/**
 * Most texts are as `toHistoryText` writes them: cut where the next column begins, without a look at each character. Within a text no quote stands
 * unescaped, so that nothing there looks like the next column; within lists and objects something may.
 * @returns undefined where it is not written so.
 */
function asWritten(feature: Feature, text: string): readonly string[] | undefined {
  const all = headsOf(feature)
  const found = new Array<string>(all.length)
  if (!text.startsWith(all[0] ?? '')) return undefined
  let at = all[0]?.length ?? 0
  for (let c = 0; c < all.length; c++) {
    const first = text.charCodeAt(at)
    if (first === OBJECT || first === LIST) return undefined
    const next = all[c + 1]
    const end = next === undefined ? text.length - 1 : text.indexOf(next, at)
    if (end < at) return undefined
    const value = text.slice(at, end)
    if (!isOne(value)) return undefined
    found[c] = value
    at = end + (next?.length ?? 0)
  }
  return text.charCodeAt(at) === END ? found : undefined
}

const OBJECT = '{'.charCodeAt(0)
const LIST = '['.charCodeAt(0)
const END = '}'.charCodeAt(0)

/** A number, a word or one text, with nothing around it. */
function isOne(value: string): boolean {
  if (!value.startsWith('"')) return /^[\w.+-]+$/.test(value)
  return value.includes('\\') ? endOfString(value, 0) === value.length : value.indexOf('"', 1) === value.length - 1
}

/** The members of one JSON object's text, their values as they are written. @throws SyntaxError when it is no object. */
export function objectMembers(text: string): Map<string, string> {
  const members = new Map<string, string>()
  let at = skipBlanks(text, 0)
  if (text[at] !== '{') throw new SyntaxError(`Not a JSON object: ${text.slice(0, 40)}`)
  at = skipBlanks(text, at + 1)
  while (text[at] === '"') {
    const nameEnd = endOfString(text, at)
    const name: unknown = JSON.parse(text.slice(at, nameEnd))
    const valueStart = skipBlanks(text, skipBlanks(text, nameEnd) + 1)
    const valueEnd = endOfValue(text, valueStart)
    members.set(String(name), text.slice(valueStart, valueEnd).trimEnd())
    at = skipBlanks(text, valueEnd)
    if (text[at] === ',') at = skipBlanks(text, at + 1)
  }
  return members
}

function skipBlanks(text: string, at: number): number {
  while (at < text.length && ' \t\n\r'.includes(text[at] ?? '')) at++
  return at
}

/** @param at Index of the opening quote. @returns the index after the closing one. */
function endOfString(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i + 1
  }
  return text.length
}

function endOfValue(text: string, at: number): number {
  let depth = 0
  for (let i = at; i < text.length; i++) {
    const character = text[i]
    if (character === '"') i = endOfString(text, i) - 1
    else if (character === '{' || character === '[') depth++
    else if (depth > 0 && (character === '}' || character === ']')) depth--
    else if (depth === 0 && (character === ',' || character === '}')) return i
  }
  return text.length
}
