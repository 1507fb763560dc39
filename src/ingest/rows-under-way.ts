import type { PushedRow } from './push-rows.ts'
import type { AcceptedRow } from './row-cache.ts'

/** Rows accepted and on their way to the stores, by field, key and event time: no store needs to know them yet. */
export class RowsUnderWay {
  private readonly fields = new Map<string, Map<string, AcceptedRow>>()

  /** The last accepted of this key and time. */
  find(field: string, row: PushedRow): AcceptedRow | undefined {
    return this.fields.get(field)?.get(row.id)
  }

  begin(field: string, row: PushedRow, accepted: AcceptedRow): void {
    const rows = this.fields.get(field)
    if (rows) rows.set(row.id, accepted)
    else this.fields.set(field, new Map([[row.id, accepted]]))
  }

  /** One that was accepted after it stays. */
  end(field: string, row: PushedRow, accepted: AcceptedRow): void {
    const rows = this.fields.get(field)
    if (rows?.get(row.id) === accepted) rows.delete(row.id)
  }
}
