import { fieldOf } from '../definition/feature-version.ts'
import type { Entity, Feature } from '../definition/model.ts'
import { isOverloaded, isUnavailable } from '../errors.ts'
import type { HistoryRow, OfflineStore } from '../store/ports/offline-store.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import { isNewer } from '../store/ports/value-order.ts'
import { fromHistoryText, toHistoryText } from '../store/recording/history-text.ts'
import type { Recorder } from '../store/recording/recorder.ts'
import type { PushRequest } from './push-request.ts'
import type { PushedRow } from './push-rows.ts'
import { createRowCache, type Newest, type RowCache } from './row-cache.ts'
import type { RowsUnderWay } from './rows-under-way.ts'

export interface RowCacheReaderOptions {
  readonly online: Pick<OnlineStore, 'read'>
  readonly offline: Pick<OfflineStore, 'latestOf' | 'rowsAt'>
  readonly recorder: Pick<Recorder, 'show'>
  readonly underWay: RowsUnderWay
}

interface NewestOfKeys {
  readonly newest: ReadonlyMap<string, Newest | undefined>
  /** Whether the online store said so, or history in its place. */
  readonly isOnline: boolean
}

/** Rows of one turn that concern one version of a feature. */
interface Group {
  readonly feature: Feature
  readonly field: string
  readonly entity: Entity
  readonly rows: PushedRow[]
}

/**
 * Looks up what the stores hold at the event times of the rows of some requests. Nearly always the online store alone tells that a row is new: it
 * holds the newest event of its key. That a row is there already only history can tell, so rows that are no newer are looked up there; it also
 * stands in while the online store is down. A process may have died between history and the online store, which then is behind: a newer row may be
 * there all the same, and history itself tells when it is written. Where the online store turns out to be behind, the key is shown again.
 */
export class RowCacheReader {
  private readonly options: RowCacheReaderOptions

  constructor(options: RowCacheReaderOptions) {
    this.options = options
  }

  /** @returns by field. @throws FabraError store_unavailable */
  async read(requests: readonly PushRequest[]): Promise<ReadonlyMap<string, RowCache>> {
    const known = await Promise.all([...groupByField(requests).values()].map((group) => this.readGroup(group)))
    return new Map(known.map((rows) => [rows.field, rows]))
  }

  private async readGroup({ feature, field, entity, rows }: Group): Promise<RowCache> {
    const { offline, underWay } = this.options
    const keys = [...new Map(rows.map((row) => [row.key.encoded, row])).keys()]
    // What arrives while the stores are asked may be missed by both questions.
    const arriving = rows.flatMap((row) => {
      const known = underWay.find(field, row)
      return known ? [{ row, known }] : []
    })
    const { newest, isOnline } = await this.newestOf(feature, entity, keys)
    const late = rows.filter((row) => row.dated && isLate(row, newest.get(row.key.encoded)))
    const known = createRowCache(field, newest, (row) => underWay.find(field, row))
    for (const { row, known: one } of arriving) known.add(row.key.encoded, one)
    if (late.length === 0) return known
    const points = late.map((row) => ({ entityKey: row.key.encoded, eventAt: row.eventAt }))
    const found = (await offline.rowsAt(feature.name, feature.fingerprint, points)).filter((row) => row !== undefined)
    for (const row of found) known.add(row.entityKey, row)
    // What history said in place of the online store does not tell what that has.
    const unseen = found.filter((row) => !isOnline || isUnseen(row, newest.get(row.entityKey)))
    await this.showAgain(feature, entity, new Set(unseen.map((row) => row.entityKey)))
    return known
  }

  private async newestOf(feature: Feature, entity: Entity, keys: readonly string[]): Promise<NewestOfKeys> {
    const { online, offline } = this.options
    try {
      const values = await online.read(entity.name, keys, [fieldOf(feature)], 'deciding')
      const newest = keys.map((key, i): [string, Newest | undefined] => {
        const value = values[i]?.[0]
        return [key, value && { ...value, value: toHistoryText(feature, value.texts) }]
      })
      return { newest: new Map(newest), isOnline: true }
    } catch (error) {
      if (!isUnavailable(error) && !isOverloaded(error)) throw error
    }
    const rows = await offline.latestOf(feature.name, feature.fingerprint, keys)
    return { newest: new Map(keys.map((key, i) => [key, rows[i]])), isOnline: false }
  }

  /**
   * What history has of these keys and the online store does not: whoever recorded it died before it was shown.
   * @throws FabraError store_unavailable
   */
  async showAgain(feature: Feature, entity: Entity, keys: ReadonlySet<string>): Promise<void> {
    const { offline, recorder } = this.options
    if (keys.size === 0) return
    const rows = (await offline.latestOf(feature.name, feature.fingerprint, [...keys])).filter((row) => row !== undefined)
    await recorder.show(
      rows.map(({ entityKey, value, eventAt, availableAt, seq, origin }) => ({
        entity: entity.name,
        key: entityKey,
        field: fieldOf(feature),
        value: { texts: fromHistoryText(feature, value), eventAt, availableAt, seq, origin, oldestInputAt: null },
      })),
    )
  }
}

function groupByField(requests: readonly PushRequest[]): Map<string, Group> {
  const groups = new Map<string, Group>()
  for (const { feature, field, entity, rows } of requests) {
    const group = groups.get(field)
    if (!group) groups.set(field, { feature, field, entity, rows: [...rows] })
    else for (const row of rows) group.rows.push(row)
  }
  return groups
}

/** Not newer than what the online store holds, so history may have it. What the online store lacks may have been evicted there. */
function isLate(row: PushedRow, newest: Newest | undefined): boolean {
  return newest === undefined || row.eventAt <= newest.eventAt
}

/** The online store would hold this row, or a newer one, if whoever recorded it had come so far. */
function isUnseen(row: HistoryRow, newest: Newest | undefined): boolean {
  return newest === undefined || isNewer(row, newest)
}
