import type { Entity, Feature } from '../definition/model.ts'
import { RefusedRows } from '../store/ports/offline-store.ts'
import type { RecordedLot } from '../store/recording/recorded-write.ts'
import { asRefusal, notRecorded, outcomeUnknown } from './push-errors.ts'
import type { PushedRow } from './push-rows.ts'
import type { Recording } from './row-cache.ts'
import type { RowsUnderWay } from './rows-under-way.ts'

export interface PushReceipt {
  /** Rows that are new and now durable. */
  readonly accepted: number
  /** Rows that history had already. */
  readonly duplicates: number
  /** Rows of forgotten keys, from before they were forgotten: dropped. */
  readonly fenced: number
}

/** A push that somebody waits for. */
export interface PushRequest extends Recording {
  readonly feature: Feature
  /** Of the feature's version. */
  readonly field: string
  readonly entity: Entity
  readonly rows: readonly PushedRow[]
  /** By `performance.now()`. */
  readonly deadlineAt: number
  /** Rows that were recorded before this decision; decided anew, they look like repeats. */
  recorded: number
  decisions: number
  lot: RecordedLot | undefined
  answered: boolean
  answer(receipt: PushReceipt): void
  fail(error: unknown): void
}

/** Its time is over. */
export function giveUp(request: PushRequest, underWay: RowsUnderWay): void {
  request.answered = true
  const isRefused = request.lot === undefined || request.lot.giveUp()
  const isSure = isRefused && !isPartlyKnown(request, underWay)
  request.fail(isSure ? notRecorded('it did not answer in time', undefined) : outcomeUnknown(undefined))
}

/** What the sender is told of an error. @param places Of the rows that were sent to the store. */
export function refusalOf(request: PushRequest, error: unknown, underWay: RowsUnderWay, places?: readonly number[]): unknown {
  const isSure = error instanceof RefusedRows ? request.recorded === 0 : !isPartlyKnown(request, underWay)
  return isSure ? asRefusal(error, places) : outcomeUnknown(error)
}

/** Some of its rows are recorded, or are on their way with another request: what becomes of them is as unknown as that. */
function isPartlyKnown(request: PushRequest, underWay: RowsUnderWay): boolean {
  return request.recorded > 0 || request.rows.some((row) => (underWay.find(request.field, row)?.of ?? request) !== request)
}
