import type { ChangeRecord } from '../store/ports/change-store.ts'

/** Changes that are told of as one. It goes on to count, and says how many there were when somebody asks. */
export class ChangesTogether {
  readonly record: ChangeRecord
  rows: number

  constructor(record: ChangeRecord, rows: number) {
    this.record = record
    this.rows = rows
  }

  get message(): string {
    const { record, rows } = this
    return record.kind === 'push' ? `${rows} ${rows === 1 ? 'value' : 'values'} pushed` : `${rows} ${rows === 1 ? 'row' : 'rows'} appended`
  }
}
