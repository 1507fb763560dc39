import type { Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'

/** What `get(feature)` sees inside a function. */
export interface ReadPart {
  /** JSON text of the value; for a feature with columns asked as a whole, an object. Null text (`undefined`) when missing. */
  readonly text: string | undefined
  readonly eventAt: Micros | null
}

/** From where a function asks: its own feature and row, and the features being computed further up (its own name last). */
export interface ReadFrom {
  readonly feature: Feature
  /** Key of `feature`'s entity. The part may belong to another entity whose key columns this one has too. */
  readonly key: EntityKey
  readonly asOf: Micros
  readonly mode: 'present' | 'past'
  readonly chain: readonly string[]
  /** Somebody looks: the part does not come into use by it. Default false. */
  readonly isLook?: boolean | undefined
  readonly signal: AbortSignal
  /** What is left of the function's own time. */
  readonly timeoutMs: number
}

/** `get()` of a function: the value that would be served now, or that part's own value at the row's as-of time. Given by app. */
export interface Reader {
  /**
   * @param name `spend`, `spend.avg_30d`, …
   * @throws FabraError when the part cannot be computed and nothing may stand in, or when it is in `chain` (a cycle, named).
   */
  read(name: string, from: ReadFrom): Promise<ReadPart>
}
