import type { Allowance } from '../../store/ports/admin-store.ts'
import type { HttpOptions } from '../options.ts'
import type { Route } from '../route.ts'
import { confinedOptions } from './confined-options.ts'

/** Allow-lists that are in use at once; of more the one that was made first is made anew when it is asked for. */
const MOST_TABLES = 256

/** The table of routes once more for each allow-list, over what its keys may see. Keys are read anew every few seconds, so lists count by what they say. */
export function createConfinedTables(options: HttpOptions, tableOf: (options: HttpOptions) => readonly Route[]) {
  const byObject = new WeakMap<Allowance, readonly Route[]>()
  const byText = new Map<string, readonly Route[]>()

  return function confinedTable(allowed: Allowance): readonly Route[] {
    const known = byObject.get(allowed)
    if (known) return known
    const text = JSON.stringify([allowed.features, allowed.entities])
    const table = byText.get(text) ?? tableOf(confinedOptions(options, allowed))
    const [oldest] = byText.keys()
    if (byText.size >= MOST_TABLES && oldest !== undefined && !byText.has(text)) byText.delete(oldest)
    byText.set(text, table)
    byObject.set(allowed, table)
    return table
  }
}
