import type { Micros } from '../../clock.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import type { Entity, Feature } from '../../definition/model.ts'
import type { HistoryRow } from '../ports/offline-store.ts'
import type { StoredValue } from '../ports/online-store.ts'
import type { JudgedValue } from './history-policy.ts'

/** A value on its way to the stores. */
export interface RecordedWrite {
  readonly feature: Feature
  readonly entity: Entity
  readonly key: EntityKey
  /** Its seq is given by the recorder: what is accepted later wins over an equal time. */
  readonly value: Omit<StoredValue, 'seq'>
}

/** Values of one sender: history has all of them or none. */
export interface RecordedLot {
  /**
   * Resolves when they are durable and then visible, or owed to an online store that is down; with the indexes of those that history had already
   * from another process: it may have died before they were visible, and they are not made so here. Rejects when they are not and never will be: with
   * RefusedRows, its indexes those of the writes, or FabraError store_unavailable; or with outcome_unknown: they are durable, and a process that
   * dies now may leave them unseen.
   */
  readonly recorded: Promise<readonly number[]>
  /** Nobody waits any longer. @returns true: they will never be recorded. False: nobody knows yet; `recorded` tells when somebody does. */
  giveUp(): boolean
}

export function historyRow(
  { feature, key }: Pick<RecordedWrite, 'feature' | 'key'>,
  value: JudgedValue,
  at: { readonly createdAt: Micros; readonly seq: number },
): HistoryRow {
  return {
    feature: feature.name,
    fingerprint: feature.fingerprint,
    entityKey: key.encoded,
    value: value.text,
    eventAt: value.eventAt,
    availableAt: value.availableAt,
    createdAt: at.createdAt,
    seq: at.seq,
    origin: value.origin,
  }
}
