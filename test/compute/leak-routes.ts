/** What an engine is tried with: tables, the rows that came later, and every way we know to look at those. */
export interface LeakRoutes {
  readonly tables: string
  /** Rows after the time asked for, which an empty copy does not have. */
  readonly later: string
  /** Looks where time cannot be held back, or answers differently each time: no feature may be that. */
  readonly refused: readonly string[]
  /** May be served, and not be asked of the past. */
  readonly servedAlone: readonly string[]
  /** Sees of a table full of later rows what it sees of an empty one. */
  readonly laterHidden: readonly string[]
  /** An expression for the present, and what it is at the time asked for. */
  readonly present: readonly (readonly [expression: string, answer: string])[]
  /** A text that only becomes a word for the present while it is computed. */
  readonly putTogether: readonly string[]
}
