/** The newest row of every key, packed: the engine joins texts much faster than the driver hands over values one by one. */
import type { Micros } from '../../../clock.ts'
import type { HistoryRow, OfflineStore, Origin } from '../../ports/offline-store.ts'
import { type ResultRows, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import { LATEST, LIST_RECORDED } from './history-sql.ts'

interface VersionName {
  readonly feature: string
  readonly fingerprint: string
}

/** Of features that are asked for in one statement: the engine holds them at once. */
const ROWS_AT_ONCE = 1_000_000
const FIELDS = 6

type Read = (text: string, parameters: readonly SqlValue[]) => Promise<ResultRows>

interface Recorded extends VersionName {
  readonly rows: number
}

export interface LatestRows extends Pick<OfflineStore, 'haveOtherVersions'> {
  readonly ofAll: OfflineStore['latestOfAll']
  /** What there is history of is no longer what it was. */
  recordedMore(): void
}

export function createLatestRows(read: Read, asStoreError: (error: unknown) => unknown): LatestRows {
  // To find nothing takes the engine 5 ms, for each feature at every start.
  let recorded: Promise<ReadonlyMap<string, Recorded>> | undefined
  const recordedRows = () => {
    recorded ??= read(LIST_RECORDED, []).then(({ rows }) => new Map(rows.map(asRecorded).map((one) => [versionId(one), one])))
    recorded.catch(() => {
      recorded = undefined
    })
    return recorded
  }
  return {
    async *ofAll(versions, options) {
      const known = await recordedRows()
      try {
        yield* latestRows(read, (version) => known.get(versionId(version))?.rows ?? 0, versions, options)
      } catch (error) {
        throw asStoreError(error)
      }
    },
    async haveOtherVersions(versions) {
      const present = new Map(versions.map(({ feature, fingerprint }) => [feature, fingerprint]))
      const others = [...(await recordedRows()).values()].filter(
        ({ feature, fingerprint }) => (present.get(feature) ?? fingerprint) !== fingerprint,
      )
      return new Set(others.map(({ feature }) => feature))
    },
    recordedMore() {
      recorded = undefined
    },
  }
}

function asRecorded([feature, fingerprint, count]: readonly SqlValue[]): Recorded {
  return { feature: String(feature), fingerprint: String(fingerprint), rows: Number(count) }
}

function versionId({ feature, fingerprint }: VersionName): string {
  return `${feature}\0${fingerprint}`
}

/** @param rowsOf How many rows of a version there are. */
async function* latestRows(
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
