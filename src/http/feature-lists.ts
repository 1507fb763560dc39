import { parseExact } from '../definition/value.ts'
import { isObject } from './body.ts'

/** Characters of lists kept; a client that invents new lists all the time pays for its own reading. */
const MAX_KEPT = 4_000_000
/** How a body begins that names its features first, as every client writes it that keeps the order of its fields. */
const BEGINNING = /^\{"features": ?\[/
/** What follows the list in a body that goes on: another field. */
const FURTHER_FIELD = /, ?(?=")/y

/**
 * Reads bodies whose first field is `features`. That list is the longest part of most, and the same text in every request of one client:
 * it is read once, and the same list given each time, so that its plan is found without looking at the names.
 */
export interface ListReader {
  /** @throws SyntaxError as parseExact does. */
  read(text: string): unknown
  /** Whether the list is one of those that are given each time: names, which nobody changes. */
  isKnown(list: unknown): list is readonly string[]
}

interface KnownList {
  /** A body, to the bracket that ends the list. */
  readonly beginning: string
  readonly list: readonly string[]
}

export function createListReader(): ListReader {
  const known = new Map<string, readonly string[]>()
  const lists = new WeakSet<readonly string[]>()
  let kept = 0
  /** What the last body that had a list began with. Most come after one of the same client. */
  let last: KnownList | undefined

  function beginningOf(text: string): KnownList | undefined {
    if (last !== undefined && text.startsWith(last.beginning)) return last
    const end = BEGINNING.test(text) ? text.indexOf(']') + 1 : 0
    const beginning = text.slice(0, end)
    const list = end === 0 ? undefined : listOf(beginning)
    if (list) last = { beginning, list }
    return list && last
  }

  function listOf(beginning: string): readonly string[] | undefined {
    const found = known.get(beginning)
    if (found) return found
    const list = textsIn(beginning)
    if (!list) return undefined
    kept += beginning.length
    if (kept > MAX_KEPT) {
      known.clear()
      kept = beginning.length
    }
    known.set(beginning, list)
    lists.add(list)
    return list
  }

  return {
    read(text) {
      const known = beginningOf(text)
      FURTHER_FIELD.lastIndex = known?.beginning.length ?? 0
      if (!known || !FURTHER_FIELD.test(text)) return parseExact(text)
      const rest = parseExact(`{${text.slice(FURTHER_FIELD.lastIndex)}`)
      // Of two lists the last one counts.
      if (!isObject(rest) || Object.hasOwn(rest, 'features')) return parseExact(text)
      rest['features'] = known.list
      return rest
    },
    isKnown: (list): list is readonly string[] => Array.isArray(list) && lists.has(list),
  }
}

/** Undefined where the first bracket that closes is not the list's. */
function textsIn(beginning: string): readonly string[] | undefined {
  try {
    const { features } = JSON.parse(`${beginning}}`) as { readonly features: readonly unknown[] }
    return features.every((name) => typeof name === 'string') ? features : undefined
  } catch {
    return undefined
  }
}
