/** The newest row of every key, packed: the engine joins texts much faster than the driver hands over values one by one. */
import type { Micros } from '../../../clock.ts'
import type { HistoryRow, Origin } from '../../ports/offline-store.ts'
import { type ResultRows, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import { LATEST } from './history-sql.ts'

export interface VersionName {
  readonly feature: string
  readonly fingerprint: string
}

/** Of features that are asked for in one statement: the engine holds them at once. */
const ROWS_AT_ONCE = 1_000_000
const FIELDS = 6

export type Read = (text: string, parameters: readonly SqlValue[]) => Promise<ResultRows>

/** @param rowsOf How many rows of a version there are. */
export async function* latestRows(
  read: Read,
  rowsOf: (version: VersionName) => number,
  versions: readonly VersionName[],
  { before, limit }: { readonly before: Micros; readonly limit: number },
): AsyncGenerator<readonly HistoryRow[]> {
  for (const some of together(versions, rowsOf)) {
    const names = [some.map(({ feature }) => feature), some.map(({ fingerprint }) => fingerprint)]
    const { rows } = await read(LATEST, [...names, new SqlTimestamp(before), limit])
    for (const [feature, fingerprint, packed] of rows) yield unpacked(String(feature), String(fingerprint), String(packed))
  }
}

function together(versions: readonly VersionName[], rowsOf: (version: VersionName) => number): VersionName[][] {
  const groups: VersionName[][] = []
  let left = 0
  for (const version of versions) {
    const rows = rowsOf(version)
    if (rows === 0) continue
    if (rows > left) {
      groups.push([])
      left = ROWS_AT_ONCE
    }
    groups.at(-1)?.push(version)
    left -= rows
  }
  return groups
}

/** Parts are apart by NUL, which neither keys nor values hold. No value is an empty text. */
function unpacked(feature: string, fingerprint: string, packed: string): HistoryRow[] {
  const parts = packed.split('\0')
  const rows: HistoryRow[] = []
  for (let at = 0; at + FIELDS < parts.length; at += FIELDS + 1) {
    const [entityKey = '', value = '', eventAt, availableAt, createdAt, seq, origin] = parts.slice(at, at + FIELDS + 1)
    rows.push({
      feature,
      fingerprint,
      entityKey,
      value: value === '' ? null : value,
      eventAt: Number(eventAt),
      availableAt: Number(availableAt),
      createdAt: Number(createdAt),
      seq: Number(seq),
      origin: origin as Origin,
    })
  }
  return rows
}
