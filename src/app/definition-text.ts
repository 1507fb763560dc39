/** The text of a definition as it stands in the user's file. */
import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import type { SourceLocation } from '../definition/model.ts'

export interface WrittenText {
  readonly file: string
  readonly language: 'typescript' | 'python' | 'sql'
  readonly line: number
  readonly lines: readonly string[]
}

const LONGEST = 200
const LANGUAGES: Readonly<Record<string, WrittenText['language']>> = { '.py': 'python', '.sql': 'sql' }

/** Reads each file once. What cannot be read has no text. */
export function createTextReader(): (location: SourceLocation | null) => WrittenText | null {
  const files = new Map<string, readonly string[] | null>()
  return (location) => {
    if (location === null) return null
    const { file } = location
    if (!files.has(file)) files.set(file, linesOf(file))
    const lines = files.get(file)
    if (!lines || location.line > lines.length) return null
    const language = LANGUAGES[extname(file).toLowerCase()] ?? 'typescript'
    const from = firstLine(lines, location.line - 1)
    const to = language === 'python' ? lastLineByIndent(lines, location.line - 1) : lastLineByBrackets(lines, location.line - 1)
    return { file, language, line: from + 1, lines: lines.slice(from, Math.min(to + 1, from + LONGEST)) }
  }
}

function linesOf(file: string): readonly string[] | null {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/)
  } catch {
    return null
  }
}

/** A comment, a decorator or the name that the definition is given, right above it, belong to it. */
function firstLine(lines: readonly string[], at: number): number {
  let first = at
  while (first > 0 && /^\s*(\/\/|\/?\*|#|@|export const \w+ =\s*$|const \w+ =\s*$)/.test(lines[first - 1] ?? '')) first--
  return first
}

/** Until the brackets that are opened are closed. Brackets in strings, templates and comments are none. */
function lastLineByBrackets(lines: readonly string[], from: number): number {
  let depth = 0
  let quote: string | null = null
  for (let at = from; at < lines.length; at++) {
    const line = lines[at] ?? ''
    for (let i = 0; i < line.length; i++) {
      const character = line[i] ?? ''
      if (quote !== null) {
        if (character === '\\') i++
        else if (character === quote) quote = null
      } else if (character === '/' && line[i + 1] === '/') break
      else if ('"\'`'.includes(character)) quote = character
      else if ('({['.includes(character)) depth++
      else if (')}]'.includes(character)) depth--
    }
    // Only templates go on in the next line.
    if (quote !== '`') quote = null
    if (depth <= 0 && quote === null) return at
  }
  return lines.length - 1
}

/** Until a line that is not further in than the first, but for closing brackets and the function below a decorator. */
function lastLineByIndent(lines: readonly string[], from: number): number {
  const indent = (line: string) => /^\s*/.exec(line)?.[0].length ?? 0
  const own = indent(lines[from] ?? '')
  let last = from
  let isBelowHead = /^\s*(def|async def|class)\b/.test(lines[from] ?? '')
  for (let at = from + 1; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (line.trim() === '') continue
    const isHead = !isBelowHead && /^\s*(@|def\b|async def\b|class\b)/.test(line) && /^\s*@/.test(lines[from] ?? '')
    if (indent(line) <= own && !/^\s*[)\]}]/.test(line) && !isHead) break
    if (/^\s*(def|async def|class)\b/.test(line) && indent(line) === own) isBelowHead = true
    last = at
  }
  return last
}
