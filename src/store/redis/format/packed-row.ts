import type { Micros } from '../../../clock.ts'
import type { PackedRow, RowTimes, StoredValue } from '../../ports/online-store.ts'
import { endOfRecord, RECORD, readBody, UNIT, UNIT_CODE } from './record.ts'
import { type Layout, type Row, readRow } from './row-layout.ts'

/** A row that is served as it lies. It is a few objects, however many values it has. */
export class RecordedRow implements PackedRow {
  readonly json: string
  readonly times: RowTimes
  private readonly layout: Layout
  private readonly bytes: Buffer

  constructor(layout: Layout, bytes: Buffer, { json, times }: PackedRow) {
    this.layout = layout
    this.bytes = bytes
    this.json = json
    this.times = times
  }

  /** Another one each time: what is read of its values is kept as long as it is. */
  row(): Row {
    const values = new RecordedValues(this)
    const row = new Array<StoredValue>(this.times.eventAts.length) as StoredValue[] & { packed?: PackedRow }
    for (let f = 0; f < row.length; f++) row[f] = new RecordedValue(values, f)
    row.packed = this
    return row
  }

  read(): Row {
    return readRow(this.layout, this.bytes.toString())
  }
}

/** Read when somebody asks for more of one than is served. */
class RecordedValues {
  readonly times: RowTimes
  private readonly recorded: RecordedRow
  private read: Row | undefined

  constructor(recorded: RecordedRow) {
    this.times = recorded.times
    this.recorded = recorded
  }

  of(f: number): StoredValue {
    this.read ??= this.recorded.read()
    return this.read[f] as StoredValue
  }
}

class RecordedValue implements StoredValue {
  private readonly row: RecordedValues
  private readonly f: number

  constructor(row: RecordedValues, f: number) {
    this.row = row
    this.f = f
  }

  get texts(): StoredValue['texts'] {
    return this.row.of(this.f).texts
  }

  get eventAt(): Micros {
    return this.row.times.eventAts[this.f] as Micros
  }

  get availableAt(): Micros {
    return this.row.of(this.f).availableAt
  }

  get seq(): number {
    return this.row.of(this.f).seq
  }

  get origin(): StoredValue['origin'] {
    return this.row.of(this.f).origin
  }

  get oldestInputAt(): StoredValue['oldestInputAt'] {
    return this.row.of(this.f).oldestInputAt
  }
}

/** @param bytes What Redis has in the buckets of the layout; kept. @returns undefined where a field has no value, or several columns. */
export function packRow(layout: Layout, bytes: Buffer): RecordedRow | undefined {
  const { heads, order, repeats, guess } = layout
  const text = bytes.toString()
  const texts = new Array<string>(heads.length)
  const eventAts = new Array<Micros>(heads.length)
  let count = 0
  let before = -1
  for (let from = text.indexOf(RECORD); from >= 0; ) {
    const f = guess.meet(text, from, before)
    const next = text.indexOf(RECORD, from + 1)
    if (f >= 0) {
      const own = onlyText(text, from + (heads[f] as string).length, endOfRecord(text, from, next))
      if (own === undefined) return undefined
      texts[f] = own
      eventAts[f] = guess.eventAt
      count++
      before = f
    }
    from = next
  }
  if (count < order.length) return undefined
  for (const [f, first] of repeats) {
    texts[f] = texts[first] as string
    eventAts[f] = eventAts[first] as Micros
  }
  return new RecordedRow(layout, bytes, { json: texts.join(','), times: guess.timesOf(eventAts) })
}

/**
 * The text of a record with one column. Nothing is ever empty but the oldest input's time, so where two separators meet there is none, and the texts
 * begin.
 * @param from Behind its head.
 */
function onlyText(text: string, from: number, end: number): string | undefined {
  const begin = text.lastIndexOf(UNIT, end) + 1
  if (text.charCodeAt(begin - 2) === UNIT_CODE) return text.slice(begin, end)
  const { texts } = readBody(text, from, end)
  return texts?.length === 1 ? texts[0] : undefined
}
