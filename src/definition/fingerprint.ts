import { createHash } from 'node:crypto'
import { declaredType } from './declared-type.ts'
import type { DeclaredType, Entity, FeatureColumn, Source, SqlText } from './model.ts'

export interface FingerprintInput {
  readonly columns: readonly FeatureColumn[]
  readonly inputs: Readonly<Record<string, DeclaredType>>
  readonly entity: Pick<Entity, 'name' | 'key'>
  /** The query, or a function's code text; null for pushed features. */
  readonly code: { readonly sql: SqlText } | { readonly text: string } | null
  /** All sources of the registry: those that the code mentions count. */
  readonly sources: Iterable<Source>
  /** Fingerprints of the features named by `uses`. */
  readonly uses: readonly string[]
  /** What becomes of a NaN: it changes which values there are. Default: an error. */
  readonly nan?: 'error' | 'null'
  /** Stands for the code, when given. */
  readonly version: string | null
}

/**
 * Sixteen hex digits that change when the meaning of a feature's values may have changed. What does not change them: comments, layout and
 * the letter case of SQL outside quotes, words for people, how often and how long values are kept.
 */
export function fingerprint(input: FingerprintInput): string {
  const code = input.code === null ? [] : codeTexts(input.code)
  const texts = code.map((text) => text.toLowerCase())
  const mentioned = [...input.sources].filter((source) => {
    const name = source.name.split('.').at(-1)?.toLowerCase() ?? ''
    return WORD.test(name) && texts.some((text) => mentions(text, name))
  })
  const said = [
    input.columns.map((column) => [column.name, declaredType(column)]),
    sorted(Object.entries(input.inputs)),
    [input.entity.name, input.entity.key.map((column) => [column.name, column.type])],
    input.version === null ? code : { version: input.version },
    sorted(mentioned.map(timeSettings)),
    [...input.uses].sort(),
    // What came later is said only where it was chosen, so that fingerprints from before stay what they are.
    ...(input.nan === 'null' ? [{ nan: input.nan }] : []),
  ]
  return createHash('sha256').update(JSON.stringify(said)).digest('hex').slice(0, 16)
}

const WORD = /^[\p{L}_][\p{L}\p{N}_$]*$/u
const WORD_STARTS = /^[\p{L}_]/u
const WORD_GOES_ON = /^[\p{L}\p{N}_$]/u

/** Whether the word is in the text. Looked for from the name: to list the words of long texts takes a thousand times as long. */
function mentions(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const end = at + word.length
    if (WORD_GOES_ON.test(text.slice(end, end + 2))) continue
    let start = at
    let before = characterBefore(text, start)
    // Digits before it belong to a word only when a letter began it.
    while (before !== '' && WORD_GOES_ON.test(before) && !WORD_STARTS.test(before)) {
      start -= before.length
      before = characterBefore(text, start)
    }
    if (!WORD_STARTS.test(before)) return true
  }
  return false
}

function characterBefore(text: string, at: number): string {
  return [...text.slice(Math.max(0, at - 2), at)].at(-1) ?? ''
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
