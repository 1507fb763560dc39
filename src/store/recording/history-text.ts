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
  const members = objectMembers(text)
  return feature.columns.map((column) => members.get(column.name ?? '') ?? 'null')
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
