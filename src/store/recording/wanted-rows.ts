/** Rows of history that several feature versions' keys ask for in one statement. */
import type { HistoryRow, WantedKeys } from '../ports/offline-store.ts'

/** Features, fingerprints and keys, side by side; no key of a version twice. */
export function asWantedColumns(wanted: readonly WantedKeys[]): [string[], string[], string[]] {
  const columns: [string[], string[], string[]] = [[], [], []]
  for (const { feature, fingerprint, keys } of wanted) {
    for (const key of new Set(keys)) {
      columns[0].push(feature)
      columns[1].push(fingerprint)
      columns[2].push(key)
    }
  }
  return columns
}

/** @param rows At most one of a key, in any order. @returns for each version a row or undefined for each of its keys, in the order given. */
export function rowsOfEach(wanted: readonly WantedKeys[], rows: readonly HistoryRow[]): (HistoryRow | undefined)[][] {
  const found = new Map(rows.map((row) => [idOf(row.feature, row.fingerprint, row.entityKey), row]))
  return wanted.map(({ feature, fingerprint, keys }) => keys.map((key) => found.get(idOf(feature, fingerprint, key))))
}

function idOf(feature: string, fingerprint: string, key: string): string {
  return `${feature}\0${fingerprint}\0${key}`
}
