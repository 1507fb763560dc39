import { BIGINT, DuckDBDataChunk, DuckDBTimestampTZValue, TIMESTAMPTZ, VARCHAR } from '@duckdb/node-api'
import type { RunOptions } from '../../ports/source-engine.ts'
import type { TextRow } from '../../ports/training-store.ts'
import { ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'
import type { ResumeStep } from './resume/steps.ts'
import { parquetOptions } from './typed-values.ts'

const APPEND_ROWS = 2048
/** Fewer stay in the table: of thousands of features, more would be all that memory holds. */
const TABLE_ROWS = 2048

export interface CollectedFile {
  readonly session: Session
  /** Name of a table that is not there yet. */
  readonly table: string
  readonly columnCount: number
  readonly step: ResumeStep
  /** Path of a new file. */
  readonly file: () => string
  readonly options: RunOptions
}

/** Values that come row by row: the newest in a table, those before in files, each of which is kept. */
export class CollectedValues {
  private readonly place: CollectedFile
  private readonly files: string[] = []
  private readonly started = performance.now()
  private cut = { at: this.started, row: 0 }
  private next = 0

  constructor(place: CollectedFile) {
    this.place = place
  }

  /** What to read them from, as SQL. */
  get from(): string {
    const { table } = this.place
    return this.files.length === 0 ? table : `(FROM read_parquet([${this.files.map(quoteText).join(', ')}]) UNION ALL FROM ${table})`
  }

  async begin(): Promise<void> {
    const { session, table, columnCount } = this.place
    const columns = Array.from({ length: columnCount }, (_, i) => `c${i} VARCHAR`)
    await session.execute(
      `CREATE OR REPLACE TABLE ${table} (${['__fabra_ord BIGINT', '__fabra_event_at TIMESTAMPTZ', ...columns].join(', ')})`,
      ownDeadline(),
    )
  }

  async goOn(from: number): Promise<number> {
    const { step, file, options } = this.place
    let next = from
    // Only at a cut: rows behind it are in no file yet.
    while (next === this.cut.row) {
      const target = file()
      const to = await step.take(next, target, options)
      if (to === undefined) break
      this.files.push(target)
      this.cut = { at: performance.now(), row: to }
      next = to
    }
    return next
  }

  async add(rows: readonly TextRow[], to: number): Promise<void> {
    const { session, table, columnCount, step } = this.place
    await appendTexts(session, table, columnCount, rows)
    this.next = to
    const now = performance.now()
    if (step.isDue(now - this.cut.at, now - this.started)) await this.cutOff()
  }

  async end(): Promise<void> {
    if (this.next - this.cut.row > TABLE_ROWS) await this.write()
  }

  private async cutOff(): Promise<void> {
    const { step, options } = this.place
    const target = await this.write()
    await step.keep({ from: this.cut.row, to: this.next }, target, options)
    this.cut = { at: performance.now(), row: this.next }
  }

  /** What is in the table, as a file. @returns its path. */
  private async write(): Promise<string> {
    const { session, table, columnCount, file, options } = this.place
    const target = file()
    await session.execute(`COPY ${table} TO ${quoteText(target)} (${parquetOptions(columnCount)})`, options)
    this.files.push(target)
    await this.begin()
    return target
  }
}

async function appendTexts(session: Session, table: string, columnCount: number, rows: readonly TextRow[]): Promise<void> {
  const appender = await session.connection.createAppender(table)
  const types = [BIGINT, TIMESTAMPTZ, ...Array.from({ length: columnCount }, () => VARCHAR)]
  for (let from = 0; from < rows.length; from += APPEND_ROWS) {
    const part = rows.slice(from, from + APPEND_ROWS)
    const chunk = DuckDBDataChunk.create(types, part.length)
    chunk.setColumns([
      part.map((row) => BigInt(row.ord)),
      part.map((row) => new DuckDBTimestampTZValue(BigInt(row.eventAt))),
      ...Array.from({ length: columnCount }, (_, i) => part.map((row) => row.texts[i] ?? 'null')),
    ])
    appender.appendDataChunk(chunk)
  }
  appender.closeSync()
}
