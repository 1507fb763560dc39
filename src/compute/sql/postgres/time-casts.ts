/**
 * PostgreSQL reads "now", "today" and the like wherever a text becomes a time, even one that comes from the data or is put together: the present
 * of whoever runs the query. A literal that says so is refused; any other text that is cast to a time loses these words before, so that such a
 * cast fails instead. Casts of times stay as they are.
 */
import { type SourceEngine, SqlError } from '../../../store/ports/source-engine.ts'
import { applyEdits, type Edit } from '../rewrite/edits.ts'
import { isSymbol, isWord, type Token } from '../rewrite/lexer.ts'
import type { TimeCast } from '../rewrite/sql-tree.ts'
import type { ParsedSql } from '../rewrite/statement.ts'

interface Span {
  readonly start: number
  readonly end: number
  /** It is a parameter, whose type is settled later. */
  readonly isParameter: boolean
}

export interface TimeGuards {
  /** What is to be written around texts that become times. */
  readonly edits: readonly Edit[]
  readonly guarded: number
  /** Casts of what is a time already. */
  readonly times: number
}

/** @returns null when a place of a text that becomes a time is not found. */
export async function guardTimeCasts(sql: ParsedSql, store: SourceEngine): Promise<TimeGuards | null> {
  const { timeCasts } = sql.tree
  if (timeCasts.length === 0) return { edits: [], guarded: 0, times: 0 }
  const spans = timeCasts.flatMap((cast) => spanOf(sql.tokens, cast) ?? [])
  const distinct = new Set(spans.map(({ start }) => start)).size === spans.length
  if (spans.length !== timeCasts.length || !distinct) return null
  const open = spans.filter(({ isParameter }) => !isParameter)
  const isBound = async (some: readonly Span[]) => binds(sql, some.flatMap(asTime), store)
  const allTimes = open.length === 0 || (await isBound(open))
  const texts: Span[] = spans.filter(({ isParameter }) => isParameter)
  for (const span of allTimes ? [] : open) if (!(await isBound([span]))) texts.push(span)
  return { edits: texts.flatMap(withoutWords), guarded: texts.length, times: spans.length - texts.length }
}

/** Takes times of every kind, and no text. */
function asTime(span: Span): Edit[] {
  return around(span, "date_trunc('microseconds', (", '))')
}

function withoutWords(span: Span): Edit[] {
  return around(span, 'regexp_replace(CAST((', ") AS TEXT), 'now|today|yesterday|tomorrow', 'not a time', 'gi')")
}

function around({ start, end }: Span, before: string, after: string): Edit[] {
  return [
    { start, end: start, text: before },
    { start: end, end, text: after },
  ]
}

async function binds(sql: ParsedSql, edits: readonly Edit[], store: SourceEngine): Promise<boolean> {
  const names: string[] = []
  const parameters = sql.tokens
    .filter((token) => token.kind === 'parameter')
    .map(({ start, end, text }) => {
      if (/^\$\d/.test(text)) return { start, end, text }
      if (!names.includes(text)) names.push(text)
      return { start, end, text: `$${names.indexOf(text) + 1}` }
    })
  try {
    await store.prepare(applyEdits(sql.text, [...parameters, ...sql.bridges, ...edits]).text)
    return true
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    return false
  }
}

/** What is cast: before `::`, between `CAST(` and `AS`, or within the parentheses of a call. */
function spanOf(tokens: readonly Token[], cast: TimeCast): Span | undefined {
  const at = tokens.findIndex((token) => token.start === cast.at)
  const token = tokens[at]
  if (!token) return undefined
  if (token.text.startsWith('::')) return spanBefore(tokens, at, cast)
  const open = tokens.findIndex((candidate, i) => i > at && isSymbol(candidate, '('))
  const close = closing(tokens, open)
  if (open === -1 || close === undefined) return undefined
  const end = isWord(token, 'cast') ? asBefore(tokens, open, close) : close
  return spanBetween(tokens, open + 1, end, cast)
}

function spanBefore(tokens: readonly Token[], colons: number, cast: TimeCast): Span | undefined {
  let from = tokens.findIndex((token) => token.start === cast.argumentAt)
  if (from === -1) return undefined
  let depth = 0
  for (const token of tokens.slice(from, colons)) depth += isSymbol(token, '(') ? 1 : isSymbol(token, ')') ? -1 : 0
  for (; depth < 0 && from > 0; depth += isSymbol(tokens[from], '(') ? 1 : 0) from--
  return spanBetween(tokens, from, colons, cast)
}

function spanBetween(tokens: readonly Token[], from: number, to: number, { isParameter }: TimeCast): Span | undefined {
  const [first, last] = [tokens[from], tokens[to - 1]]
  return first && last && from < to ? { start: first.start, end: last.end, isParameter } : undefined
}

function closing(tokens: readonly Token[], open: number): number | undefined {
  let depth = 0
  for (let i = open; i >= 0 && i < tokens.length; i++) {
    if (isSymbol(tokens[i], '(')) depth++
    else if (isSymbol(tokens[i], ')') && --depth === 0) return i
  }
  return undefined
}

/** The AS of a cast: the last one that is within no other parentheses. */
function asBefore(tokens: readonly Token[], open: number, close: number): number {
  let depth = 0
  for (let i = close - 1; i > open; i--) {
    if (isSymbol(tokens[i], ')')) depth++
    else if (isSymbol(tokens[i], '(')) depth--
    else if (depth === 0 && isWord(tokens[i], 'as')) return i
  }
  return close
}
