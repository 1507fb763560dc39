/**
 * What the proof of a rewritten text is about: everything that a syntax tree holds besides our shadows. Found by one walk for each dialect, which
 * knows no places in a text and shares nothing with the reader whose findings the rewrite went by.
 */
import { asObject, type Json } from './sql-tree.ts'

/** Tells our own constructs by their trees. */
export interface Ours {
  /** The table that a subquery in FROM shows a part of, where it is exactly one of the shadows. */
  shadowOf(subquery: unknown): string | undefined
  /** The expression is the as-of time of the row. */
  isAsOf(expression: Json): boolean
  /** What the user calls the parameter that the expression stands for. */
  parameterOf(expression: Json): string | undefined
}

/** What is left beside shadows. */
export interface Remains {
  shadows: number
  /** The tables that they show a part of. */
  readonly shows: string[]
  /** Tables that are neither in a shadow nor a name of a WITH around them. */
  readonly tables: { readonly catalog: string; readonly schema: string; readonly name: string }[]
  readonly functions: Set<string>
  readonly tableFunctions: Set<string>
  /** Forms of the present. */
  readonly presents: string[]
  /** Syntax that a shadowed text cannot hold. */
  readonly unexpected: string[]
  /** Names of ours that something in the text is given. */
  readonly borrowed: string[]
  /** What the tree says, in its order: names of tables, columns, functions and parameters, constants, and the present as `NOW`. */
  readonly words: string[]
  /** Casts to a time (PostgreSQL): of texts that cannot say "now", and of what is a time already. */
  readonly timeCasts: { guarded: number; open: number }
}

export function nothingYet(): Remains {
  return {
    shadows: 0,
    shows: [],
    tables: [],
    functions: new Set(),
    tableFunctions: new Set(),
    presents: [],
    unexpected: [],
    borrowed: [],
    words: [],
    timeCasts: { guarded: 0, open: 0 },
  }
}

/** Every function that gives the present, with or without arguments. */
export const PRESENT =
  /^(?:now|today|ago|timeofday|(?:get_)?current_(?:timestamp|date|time)|(?:current_)?local(?:time|timestamp)|(?:transaction|statement|clock)_timestamp)$/
/** Words that are the present without parentheses. */
export const PRESENT_WORD = /^(?:current_(?:timestamp|date|time)|local(?:time|timestamp))$/i

/** Where things stand in a text, and what of a statement hangs on the texts around it. */
const PLACES = new Set(['query_location', 'location', 'list_start', 'list_end', 'stmt_location', 'stmt_len', 'named_param_map'])

/** A tree without places, as text: two that mean the same are equal. */
export function canonical(node: unknown): string {
  return JSON.stringify(node, (key, value: unknown) => (PLACES.has(key) ? undefined : value))
}

/** Names what stands where the user's text will. */
export const HOLE = '__fabra_hole'

/**
 * The part of a tree that stands where the frame has its hole; undefined where the two differ anywhere else.
 * @param isHole Tells the hole's node in the frame.
 */
export function withinFrame(frame: unknown, actual: unknown, isHole: (node: Json) => boolean): unknown {
  const found: unknown[] = []
  const matches = (expected: unknown, given: unknown): boolean => {
    const node = asObject(expected)
    if (node && isHole(node)) return found.push(given) > 0
    if (Array.isArray(expected)) {
      return Array.isArray(given) && expected.length === given.length && expected.every((item, i) => matches(item, given[i]))
    }
    if (!node) return expected === given
    const other = asObject(given)
    if (!other) return false
    const keys = new Set([...Object.keys(node), ...Object.keys(other)].filter((key) => !PLACES.has(key)))
    return [...keys].every((key) => matches(node[key], other[key]))
  }
  return matches(frame, actual) && found.length === 1 ? found[0] : undefined
}

/** The present of a user's text, and the as-of time in what is made of it. */
export const NOW = '@now'

export function isOurs(name: unknown): name is string {
  return typeof name === 'string' && /^__fabra_/i.test(name)
}
