import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import type { PushedRow } from './push-rows.ts'
import type { AcceptedRow } from './row-cache.ts'

/** Rows accepted and on their way to the stores, by feature, key and event time: no store needs to know them yet. */
export class RowsUnderWay {
  private readonly rows = new Map<string, AcceptedRow>()

  /** The last accepted of this key and time. */
  find(feature: Feature, row: PushedRow): AcceptedRow | undefined {
    return this.rows.get(idOf(feature, row))
  }

  begin(feature: Feature, row: PushedRow, accepted: AcceptedRow): void {
    this.rows.set(idOf(feature, row), accepted)
  }

  /** One that was accepted after it stays. */
  end(feature: Feature, row: PushedRow, accepted: AcceptedRow): void {
    const id = idOf(feature, row)
    if (this.rows.get(id) === accepted) this.rows.delete(id)
  }
}

function idOf(feature: Feature, row: PushedRow): string {
  return `${fieldOf(feature)}\0${row.eventAt}\0${row.key.encoded}`
}
