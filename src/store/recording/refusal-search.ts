import { type HistoryRow, RefusedRows } from '../ports/offline-store.ts'
import type { Entry } from './history-entry.ts'

/** Halves of refused batches that are tried between two batches of new rows. */
const SUSPECTS_A_TURN = 8
/** After so many rows of one search are set aside, added rows are parted no further than this: in masses they would take for ever one by one. */
const MAX_FOUND = 1_000
const COARSE_ROWS = 64

/** What becomes of what is refused for good. */
export interface Refusals {
  /** A lot is told. */
  refuse(entry: Entry, error: unknown): void
  /** Added rows, of which nobody is told. */
  setAside(rows: readonly HistoryRow[], refusal: RefusedRows): void
}

/**
 * Finds what the store refuses for good in batches that it refused as a whole: each is halved, and the halves are tried in turn with new rows,
 * until what is refused stands alone.
 */
export class RefusalSearch {
  private readonly refusals: Refusals
  /** The last is tried first. */
  private readonly suspects: Entry[][] = []
  private suspectTurns = 0
  /** Rows set aside since all that was suspect had been tried. */
  private found = 0

  constructor(refusals: Refusals) {
    this.refusals = refusals
  }

  get isOver(): boolean {
    return this.suspects.length === 0
  }

  /** What is to be tried next; undefined: it is the turn of new rows. */
  take(areNewRows: boolean): Entry[] | undefined {
    if (this.suspects.length > 0 && (!areNewRows || this.suspectTurns++ < SUSPECTS_A_TURN)) return this.suspects.pop()
    this.suspectTurns = 0
    return undefined
  }

  /** All that was suspect has been tried. */
  end(): void {
    this.found = 0
  }

  /** Something in the batch is refused for good. */
  part(batch: readonly Entry[], refusal: RefusedRows): void {
    if (refusal.indexes) {
      const rest = this.withoutRefused(batch, refusal, refusal.indexes)
      if (rest.length > 0) this.suspects.push(rest)
      return
    }
    const [entry] = batch
    if (batch.length > 1) {
      const middle = Math.ceil(batch.length / 2)
      this.suspects.push(batch.slice(middle), batch.slice(0, middle))
    } else if (entry?.waiter) this.refusals.refuse(entry, refusal)
    else if (entry) this.partRows(entry.rows, refusal)
  }

  private partRows(rows: readonly HistoryRow[], refusal: RefusedRows): void {
    if (rows.length === 1 || (this.found > MAX_FOUND && rows.length <= COARSE_ROWS)) {
      this.setAside(rows, refusal)
      return
    }
    const middle = Math.ceil(rows.length / 2)
    for (const half of [rows.slice(middle), rows.slice(0, middle)]) this.suspects.push([{ rows: half, waiter: undefined }])
  }

  /** @param indexes Of the batch's rows. */
  private withoutRefused(batch: readonly Entry[], refusal: RefusedRows, indexes: readonly number[]): Entry[] {
    const refused = new Set(indexes)
    let from = 0
    return batch.flatMap((entry): Entry[] => {
      const first = from
      from += entry.rows.length
      const own = entry.rows.flatMap((_, i) => (refused.has(first + i) ? [i] : []))
      if (own.length === 0) return [entry]
      if (entry.waiter) {
        this.refusals.refuse(entry, new RefusedRows(refusal.why, own, refusal.cause))
        return []
      }
      const ownRows = own.flatMap((i) => entry.rows[i] ?? [])
      this.setAside(ownRows, refusal)
      const rows = entry.rows.filter((_, i) => !refused.has(first + i))
      return rows.length === 0 ? [] : [{ rows, waiter: undefined }]
    })
  }

  private setAside(rows: readonly HistoryRow[], refusal: RefusedRows): void {
    this.found += rows.length
    this.refusals.setAside(rows, refusal)
  }
}
