/** The newest row of every key, packed: the engine joins texts much faster than the driver hands over values one by one. */
import type { HistoryRow, OfflineStore, Origin } from '../../ports/offline-store.ts'
import { type ResultRows, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import type { OpenResult } from '../connection/session.ts'
import { LATEST, LATEST_IN_ANY_ORDER, LATEST_OF_MOSTLY_LONE, LIST_RECORDED } from './history-sql.ts'

interface VersionName {
  readonly feature: string
  readonly fingerprint: string
}

/** Of features that are asked for in one statement: the engine holds them at once. */
const ROWS_AT_ONCE = 1_000_000
/** Of a version with more rows than this, keys come in lots where their order does not matter. */
const ROWS_IN_ORDER = 50_000
const KEYS_IN_A_LOT = 250_000
/** How far the engine's guess of how many keys there are may be off. */
const GUESS = 1.1
/** Rows for each key. */
const MOSTLY_LONE = 1.5
const FIELDS = 6
/** Columns that come as texts, before those that come as lists of numbers. */
const TEXTS = 3

export interface Reads {
  readonly read: (text: string, parameters: readonly SqlValue[]) => Promise<ResultRows>
  /** The rows stay with the engine until they are asked for. */
  readonly open: (text: string, parameters: readonly SqlValue[]) => Promise<OpenResult>
}

interface Recorded extends VersionName {
  readonly rows: number
  /** About. */
  readonly keys: number
}

interface Lot extends VersionName {
  readonly isMostlyLone: boolean
  readonly lot: number
  readonly count: number
}

type Options = Parameters<OfflineStore['latestOfAll']>[1]

export interface LatestRows extends Pick<OfflineStore, 'haveOtherVersions'> {
  readonly ofAll: OfflineStore['latestOfAll']
  /** What there is history of is no longer what it was. */
  recordedMore(): void
}

export function createLatestRows(reads: Reads, asStoreError: (error: unknown) => unknown): LatestRows {
  // To find nothing takes the engine 5 ms, for each feature at every start.
  let recorded: Promise<ReadonlyMap<string, Recorded>> | undefined
  const recordedRows = () => {
    recorded ??= reads.read(LIST_RECORDED, []).then(({ rows }) => new Map(rows.map(asRecorded).map((one) => [versionId(one), one])))
    recorded.catch(() => {
      recorded = undefined
    })
    return recorded
  }
  return {
    async *ofAll(versions, options) {
      const known = await recordedRows()
      try {
        yield* latestRows(
          reads,
          versions.flatMap((version) => known.get(versionId(version)) ?? []),
          options,
        )
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

function asRecorded([feature, fingerprint, count, keys]: readonly SqlValue[]): Recorded {
  return { feature: String(feature), fingerprint: String(fingerprint), rows: Number(count), keys: Math.min(Number(keys), Number(count)) }
}

function versionId({ feature, fingerprint }: VersionName): string {
  return `${feature}\0${fingerprint}`
}

async function* latestRows(reads: Reads, versions: readonly Recorded[], options: Options): AsyncGenerator<readonly HistoryRow[]> {
  const { before, limit, inAnyOrder = false, onCount } = options
  onCount?.(versions.reduce((sum, { keys }) => sum + Math.min(keys, limit), 0))
  const inLots = versions.filter(({ rows, keys }) => inAnyOrder && rows > ROWS_IN_ORDER && (rows <= limit || keys * GUESS <= limit))
  const inOrder = versions.filter((version) => !inLots.includes(version))
  for (const some of together(inOrder)) {
    const names = [some.map(({ feature }) => feature), some.map(({ fingerprint }) => fingerprint)]
    const { rows } = await reads.read(LATEST, [...names, new SqlTimestamp(before), limit])
    for (const [feature, fingerprint, packed] of rows) yield unpacked(String(feature), String(fingerprint), String(packed))
  }
  const lots = inLots.flatMap(({ feature, fingerprint, rows, keys }) => {
    const count = Math.ceil(keys / KEYS_IN_A_LOT)
    return Array.from({ length: count }, (_, lot) => ({ feature, fingerprint, lot, count, isMostlyLone: rows <= keys * MOSTLY_LONE }))
  })
  const find = ({ feature, fingerprint, lot, count, isMostlyLone }: Lot) => {
    const text = isMostlyLone ? LATEST_OF_MOSTLY_LONE : LATEST_IN_ANY_ORDER
    const finding = reads.open(text, [feature, fingerprint, new SqlTimestamp(before), lot, count])
    // Whoever leaves early does not hear of it.
    finding.catch(() => undefined)
    return finding
  }
  // The engine finds the next lot while this one is taken.
  let next = lots[0] && find(lots[0])
  for (const [l, { feature, fingerprint }] of lots.entries()) {
    const result = await next
    const following = lots[l + 1]
    next = following && find(following)
    for (const columns of result?.each() ?? []) yield ofColumns(feature, fingerprint, columns)
  }
}

function together(versions: readonly Recorded[]): VersionName[][] {
  const groups: VersionName[][] = []
  let left = 0
  for (const version of versions) {
    if (version.rows > left) {
      groups.push([])
      left = ROWS_AT_ONCE
    }
    groups.at(-1)?.push(version)
    left -= version.rows
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

/** The rows of one line, which has a text or a list for each of their columns. */
function ofColumns(feature: string, fingerprint: string, columns: readonly SqlValue[]): HistoryRow[] {
  const [keys, values, origins] = columns.slice(0, TEXTS).map((text) => String(text).split('\0')) as [string[], string[], Origin[]]
  const [eventAt, availableAt, createdAt, seq] = columns.slice(TEXTS) as [number[], number[], number[], number[]]
  return keys.map((entityKey, i) => ({
    feature,
    fingerprint,
    entityKey,
    value: values[i] || null,
    eventAt: eventAt[i] as number,
    availableAt: availableAt[i] as number,
    createdAt: createdAt[i] as number,
    seq: seq[i] as number,
    origin: origins[i] as Origin,
  }))
}
