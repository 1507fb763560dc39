/** What is known of the rows that a push may repeat or correct. */
import type { Micros } from '../clock.ts'
import type { HistoryRow } from '../store/ports/offline-store.ts'
import type { ValueOrder } from '../store/ports/value-order.ts'
import type { RecordedLot } from '../store/recording/recorded-write.ts'
import { type PushedRow, pushedRowId } from './push-rows.ts'

/** A request under way. */
export interface Recording {
  /** Undefined until it is decided. */
  readonly lot: RecordedLot | undefined
}

export interface RowCache {
  readonly field: string
  add(key: string, row: AcceptedRow): void
  /** The row is the last accepted of its key and time already. */
  repeatOf(row: PushedRow, text: string | null): AcceptedRow | undefined
  /** Notes the row as the last accepted of its key and time. */
  accept(row: PushedRow, accepted: AcceptedRow): void
  /** A correction is available no earlier than what it corrects, whatever the clock does. */
  availableAt(row: PushedRow): Micros
}

export interface AcceptedRow {
  /** As history writes it. */
  readonly value: string | null
  readonly availableAt: Micros
  readonly eventAt: Micros
  /** The request that it came with, where that is under way. */
  readonly of?: Recording
}

/** The newest value of a key. */
export type Newest = AcceptedRow & ValueOrder & Pick<HistoryRow, 'origin'>

export function createRowCache(
  field: string,
  newest: ReadonlyMap<string, Newest | undefined>,
  underWay: (row: PushedRow) => AcceptedRow | undefined,
): RowCache {
  const rows = new Map<string, AcceptedRow>()
  const inThisTurn = new Map<string, AcceptedRow>()
  const find = (row: PushedRow): AcceptedRow | undefined => {
    return inThisTurn.get(row.id) ?? underWay(row) ?? rows.get(row.id)
  }
  const served = (row: PushedRow): AcceptedRow | undefined => {
    const stored = newest.get(row.key.encoded)
    return stored?.eventAt !== row.eventAt || stored.origin === 'computed' ? undefined : stored
  }
  return {
    field,
    add: (key, row) => void rows.set(pushedRowId(key, row.eventAt), row),
    repeatOf(row, text) {
      const known = find(row)
      return known && known.value === text ? known : undefined
    },
    accept: (row, accepted) => void inThisTurn.set(row.id, accepted),
    availableAt: (row) => Math.max(find(row)?.availableAt ?? 0, served(row)?.availableAt ?? 0),
  }
}
