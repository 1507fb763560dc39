import type { Micros } from '../../../clock.ts'
import type { RowTimes } from '../../ports/online-store.ts'
import { headAt, UNIT, UNIT_CODE } from './record.ts'

const MINUS_CODE = 0x2d
const ZERO_CODE = 0x30

/**
 * What the records of one list of features begin with. Most rows look alike: their records lie in the same order, and those of features that were
 * refreshed or pushed for many keys at once have the same event time. So a record's beginning is compared with what was there in the last rows,
 * which takes a third of reading it; where it is something else it is read, and remembered.
 */
export class RecordGuess {
  /** By field. */
  private readonly heads: readonly string[]
  private readonly fields: ReadonlyMap<string, number>
  /** By field: its head, and its event time where the last two records had the same. */
  private readonly beginnings: string[]
  /** By field: the event time that its beginning includes; NaN: none. */
  private readonly includedAts: Micros[]
  private readonly lastAts: Micros[]
  /** The field whose record comes first, then by field the one whose record follows. */
  private readonly followers: number[]
  private lastTimes: RowTimes = { eventAts: [], oldestAt: 0 }
  /** Of the record that was met last. */
  eventAt: Micros = 0

  /** @param order The fields as their records may lie. */
  constructor(heads: readonly string[], order: readonly number[]) {
    this.heads = heads
    this.fields = new Map(order.map((f) => [heads[f] as string, f]))
    this.beginnings = [...heads]
    this.includedAts = heads.map(() => Number.NaN)
    this.lastAts = heads.map(() => Number.NaN)
    this.followers = new Array<number>(heads.length + 1).fill(-1)
    order.forEach((f, place) => {
      this.followers[(order[place - 1] ?? -1) + 1] = f
    })
  }

  /**
   * Meets the record that begins at `from`.
   * @param before The field of the record before it; -1: none.
   * @returns its field; -1: it is of none in the list.
   */
  meet(text: string, from: number, before: number): number {
    const guessed = this.followers[before + 1] as number
    if (guessed >= 0 && this.isAsLast(text, from, guessed)) return guessed
    const isGuessed = guessed >= 0 && text.startsWith(this.heads[guessed] as string, from)
    const f = isGuessed ? guessed : (this.fields.get(headAt(text, from)) ?? -1)
    if (f < 0) return -1
    if (!isGuessed) {
      this.followers[before + 1] = f
      if (this.isAsLast(text, from, f)) return f
    }
    this.readTime(text, from + (this.heads[f] as string).length)
    this.remember(f)
    return f
  }

  /** Of a row; those of the last one where they are the same. @param eventAts By field. */
  timesOf(eventAts: readonly Micros[]): RowTimes {
    const last = this.lastTimes.eventAts
    let isSame = last.length === eventAts.length
    let oldestAt = Number.POSITIVE_INFINITY
    for (let f = 0; f < eventAts.length; f++) {
      const at = eventAts[f] as Micros
      if (at < oldestAt) oldestAt = at
      if (at !== last[f]) isSame = false
    }
    if (!isSame) this.lastTimes = { eventAts, oldestAt }
    return this.lastTimes
  }

  private isAsLast(text: string, from: number, f: number): boolean {
    const at = this.includedAts[f] as Micros
    const beginning = this.beginnings[f] as string
    if (Number.isNaN(at) || !text.startsWith(beginning, from)) return false
    this.eventAt = at
    return true
  }

  private readTime(text: string, from: number): void {
    const isNegative = text.charCodeAt(from) === MINUS_CODE
    let at = isNegative ? from + 1 : from
    let value = 0
    for (let code = text.charCodeAt(at); code > UNIT_CODE; code = text.charCodeAt(++at)) value = value * 10 + code - ZERO_CODE
    this.eventAt = isNegative ? -value : value
  }

  private remember(f: number): void {
    const { eventAt } = this
    if (eventAt === this.lastAts[f]) {
      this.beginnings[f] = `${this.heads[f]}${eventAt}${UNIT}`
      this.includedAts[f] = eventAt
      return
    }
    this.lastAts[f] = eventAt
    this.includedAts[f] = Number.NaN
  }
}
