import type { Micros } from '../../clock.ts'
import type { HistoryRow } from '../ports/offline-store.ts'
import type { StoredValue, StoredWrite, WriteOutcome } from '../ports/online-store.ts'
import { toHistoryText } from './history-text.ts'
import { historyRow, type RecordedWrite } from './recorded-write.ts'
import type { NextSeq } from './sequence.ts'

/** A batch as the online store took it. */
export interface StoredBatch {
  readonly stored: readonly StoredWrite[]
  /** Of each: the write that it was; undefined: it was recorded before, perhaps by another process. */
  readonly shown: readonly (RecordedWrite | undefined)[]
  /** Indexes into `stored`: values that history left out since it held an equal one, or had none of their keys. */
  readonly suppressed: ReadonlySet<number>
}

/**
 * What history does not show though it was served, now that another process writes the same key: an equal value left out, where something
 * else had stood in between, and a value that may have been left out there, where one of this process came late. Of keys that are not recorded:
 * a computed value that took the place of a pushed one, or that a pushed one came too late for. History would else take the pushed one for the
 * latest.
 */
export function rowsForForeignWrites(
  { replacedForeign, winner }: WriteOutcome,
  { stored, shown, suppressed }: StoredBatch,
  createdAt: Micros,
  nextSeq: NextSeq,
): HistoryRow[] {
  // Nearly always: nobody else writes here.
  if (replacedForeign.length === 0 && winner.length === 0) return []
  const over: { readonly index: number; readonly value: StoredValue }[] = replacedForeign
    .filter((index) => suppressed.has(index))
    .map((index) => ({ index, value: (stored[index] as StoredWrite).value }))
  const served = [...over, ...winner.filter(({ value }) => value.origin === 'computed')]
  return served.flatMap(({ index, value }) => {
    const write = shown[index]
    if (!write) return []
    const judged = { ...value, text: toHistoryText(write.feature, value.texts) }
    return [historyRow(write, judged, { createdAt, seq: nextSeq(createdAt) })]
  })
}

/** Values of keys that are not recorded, as history gets them while the online store cannot tell whether they followed pushed ones. */
export function rowsOfUnrecorded({ stored, shown, suppressed }: StoredBatch, createdAt: Micros, nextSeq: NextSeq): HistoryRow[] {
  return [...suppressed].flatMap((index) => {
    const [one, write] = [stored[index], shown[index]]
    if (one?.after !== 'other_origin' || !write) return []
    const judged = { ...one.value, text: toHistoryText(write.feature, one.value.texts) }
    return [historyRow(write, judged, { createdAt, seq: nextSeq(createdAt) })]
  })
}
