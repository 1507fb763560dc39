import type { Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'

/** What `get(feature)` sees inside a function. */
export interface ReadPart {
  /** JSON text of the value; for a feature with columns asked as a whole, an object. Null text (`undefined`) when missing. */
  readonly text: string | undefined
  readonly eventAt: Micros | null
}

/** `get()` of a function: the value that would be served now, or that part's own value at the row's as-of time. Given by app. */
export interface Reader {
  /**
   * @param name `spend`, `spend.avg_30d`, …
   * @throws FabraError when the part cannot be computed and nothing may stand in.
   */
  read(
    name: string,
    key: EntityKey,
    at: { readonly asOf: Micros; readonly mode: 'present' | 'past'; readonly signal: AbortSignal },
  ): Promise<ReadPart>
}
