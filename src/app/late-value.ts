import type { Feature } from '../definition/model.ts'
import type { HistoryRow } from '../store/ports/offline-store.ts'
import { LateValue, type StoredValue, type TextReader } from '../store/ports/stored-value.ts'
import { fromHistoryText } from '../store/recording/history-text.ts'

/** A line of history as it is served, its texts kept as they are recorded until somebody reads them. */
export function lateValue(feature: Feature, row: HistoryRow): StoredValue {
  return new LateValue(row.value, readerOf(feature), row)
}

const readers = new WeakMap<Feature, TextReader>()

function readerOf(feature: Feature): TextReader {
  const known = readers.get(feature)
  if (known) return known
  const reader: TextReader = (text) => fromHistoryText(feature, text)
  readers.set(feature, reader)
  return reader
}

/** The same, its texts taken apart at once. */
export function storedValue(feature: Feature, row: HistoryRow): StoredValue {
  return {
    texts: fromHistoryText(feature, row.value),
    eventAt: row.eventAt,
    availableAt: row.availableAt,
    seq: row.seq,
    origin: row.origin,
    oldestInputAt: null,
  }
}
