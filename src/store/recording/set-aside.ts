import type { Clock, Micros } from '../../clock.ts'
import { fieldOf } from '../../definition/feature-version.ts'
import type { HistoryRow, RefusedRows } from '../ports/offline-store.ts'

/** For so long no row of the same feature and key is tried again. */
const FORGOTTEN_AFTER: Micros = 600_000_000
/** Keys remembered; beyond, the oldest is tried again. */
const MAX_KEYS = 10_000
/** Messages in a row; others are counted with the next. */
const MESSAGE_EVERY: Micros = 10_000_000

/** Computed values that history does not take for good: they are served, counted and told of, and nothing of them is kept. */
export interface SetAside {
  note(rows: readonly HistoryRow[], refusal: RefusedRows): void
  /** A row of this feature and key was refused of late, so this one is set aside untried. */
  has(field: string, key: string): boolean
  readonly count: number
  /** What happened, in a sentence for whoever operates the server; null: nothing. */
  readonly words: string | null
}

export function createSetAside({
  clock,
  onProblem,
}: {
  readonly clock: Clock
  readonly onProblem: (message: string, cause: unknown) => void
}): SetAside {
  const known = new Map<string, Micros>()
  let count = 0
  let unreported = 0
  let toldAt = Number.NEGATIVE_INFINITY
  let last: { readonly feature: string; readonly why: string } | undefined
  return {
    note(rows, refusal) {
      const now = clock.now()
      count += rows.length
      unreported += rows.length
      for (const { feature, fingerprint, entityKey } of rows) {
        const id = `${fieldOf({ name: feature, fingerprint })}\0${entityKey}`
        known.delete(id)
        known.set(id, now)
        last = { feature, why: refusal.why }
      }
      for (const id of known.keys()) {
        if (known.size <= MAX_KEYS) break
        known.delete(id)
      }
      const [first] = rows
      if (!first || now - toldAt < MESSAGE_EVERY) return
      const key = first.entityKey.length > 100 ? `${first.entityKey.slice(0, 100)}…` : first.entityKey
      onProblem(
        `${unreported} rows of history were refused for good and set aside. One is of "${first.feature}", key ${JSON.stringify(key)}: ${refusal.why}.`,
        refusal.cause,
      )
      unreported = 0
      toldAt = now
    },
    has(field, key) {
      if (known.size === 0) return false
      const id = `${field}\0${key}`
      const at = known.get(id)
      if (at === undefined) return false
      if (clock.now() - at < FORGOTTEN_AFTER) {
        count++
        return true
      }
      known.delete(id)
      return false
    },
    get count() {
      return count
    },
    get words() {
      return last ? `${count} rows of history were refused for good and set aside, the last of "${last.feature}": ${last.why}` : null
    },
  }
}
