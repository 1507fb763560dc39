import { createHash } from 'node:crypto'
import type { Entity, FeatureColumn, Source, SqlText, ValueType } from './model.ts'

export interface FingerprintParts {
  readonly columns: readonly FeatureColumn[]
  readonly inputs: Readonly<Record<string, ValueType>>
  readonly entity: Pick<Entity, 'name' | 'key'>
  /** The query, or a function's code text; null for pushed features. */
  readonly code: { readonly sql: SqlText } | { readonly text: string } | null
  /** All sources of the registry: those that the code mentions count. */
  readonly sources: Iterable<Source>
  /** Fingerprints of the features named by `uses`. */
  readonly uses: readonly string[]
  /** Stands for the code, when given. */
  readonly version: string | null
}

/**
 * Sixteen hex digits that change when the meaning of a feature's values may have changed. What does not change them: comments, layout and
 * the letter case of SQL outside quotes, words for people, how often and how long values are kept.
 */
export function fingerprint(parts: FingerprintParts): string {
  const code = parts.code === null ? [] : codeTexts(parts.code)
  const words = new Set(code.flatMap((text) => text.toLowerCase().match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? []))
  const mentioned = [...parts.sources].filter((source) => words.has(source.name.split('.').at(-1)?.toLowerCase() ?? ''))
  const said = [
    parts.columns.map((column) => [column.name, column.type]),
    sorted(Object.entries(parts.inputs)),
    [parts.entity.name, parts.entity.key.map((column) => [column.name, column.type])],
    parts.version === null ? code : { version: parts.version },
    sorted(mentioned.map(timeSettings)),
    [...parts.uses].sort(),
  ]
  return createHash('sha256').update(JSON.stringify(said)).digest('hex').slice(0, 16)
}

function codeTexts(code: { readonly sql: SqlText } | { readonly text: string }): string[] {
  if ('text' in code) return [code.text]
  return typeof code.sql === 'string' ? [normalizeSql(code.sql)] : [normalizeSql(code.sql.duckdb), normalizeSql(code.sql.postgres)]
}

/** What decides which rows are seen at a time. Not the file: its rows are data. */
function timeSettings(source: Source): unknown[] {
  const { name, timestamp, delay, available, until, id, timezone } = source
  return [name, timestamp, delay, available, until, id, timezone, source.static]
}

function sorted(lists: readonly (readonly unknown[])[]): string[] {
  return lists.map((list) => JSON.stringify(list)).sort()
}

const TOKEN = new RegExp(
  [
    String.raw`--[^\n]*`,
    String.raw`/\*`,
    String.raw`[eE]'(?:[^'\\]|''|\\[\s\S])*'?`,
    `(?:[bBnNxX]|[uU]&)?'(?:[^']|'')*'?`,
    `(?:[uU]&)?"(?:[^"]|"")*"?`,
    String.raw`(\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$)[\s\S]*?(?:\1|$)`,
    String.raw`[\p{L}\p{N}_$]+`,
    String.raw`\s+`,
    String.raw`[\s\S]`,
  ].join('|'),
  'uy',
)

/** SQL without comments and layout, in lower case outside quotes: one space between tokens. Not meant to be run. */
export function normalizeSql(sql: string): string {
  const tokens: string[] = []
  const token = new RegExp(TOKEN)
  while (token.lastIndex < sql.length) {
    const start = token.lastIndex
    const text = token.exec(sql)?.[0] ?? ''
    if (text === '') break
    if (text === '/*') token.lastIndex = endOfComment(sql, start)
    else if (!text.startsWith('--') && text.trim() !== '') tokens.push(/['"]|^\$.*\$$/s.test(text) ? text : text.toLowerCase())
  }
  while (tokens.at(-1) === ';') tokens.pop()
  return tokens.join(' ')
}

/** Comments nest, in both engines. */
function endOfComment(sql: string, start: number): number {
  let depth = 0
  for (let at = start; at < sql.length; at++) {
    const two = sql.slice(at, at + 2)
    if (two !== '/*' && two !== '*/') continue
    depth += two === '/*' ? 1 : -1
    at++
    if (depth === 0) return at + 1
  }
  return sql.length
}
