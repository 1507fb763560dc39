import type { Micros } from '../clock.ts'
import { ChunkedList } from '../collections/chunked-list.ts'
import { NumberColumns, ValueColumn } from '../collections/column-store.ts'
import { KeyIndex } from '../collections/key-index.ts'
import { createPace } from '../collections/yielding.ts'
import type { EntityKey } from '../definition/entity-key.ts'

const [USED, SHARED] = [0, 1]
/** Rows looked at before others may get their turn. */
const ROWS_A_STEP = 1_000

/** When the keys of one feature were used last, up to a million of them: in columns, see column-store.ts. */
export class KeyUses {
  private readonly keys = new ValueColumn<EntityKey>()
  private readonly times = new NumberColumns(2)
  private readonly rows = new KeyIndex((row) => this.keys.get(row)?.encoded)
  private readonly dropped: number[] = []
  private end = 0

  get size(): number {
    return this.rows.size
  }

  /** A use never shortens a later one. @returns the row of the key. */
  note(key: EntityKey, at: Micros): number {
    const known = this.rows.of(key.encoded)
    if (known !== undefined) {
      if (at > this.times.get(known, USED)) this.times.set(known, USED, at)
      return known
    }
    const row = this.dropped.pop() ?? this.end++
    this.keys.set(row, key)
    this.times.set(row, USED, at)
    this.times.set(row, SHARED, Number.NEGATIVE_INFINITY)
    this.rows.add(key.encoded, row)
    return row
  }

  /** When other processes were last told that the key is used, or told so themselves. */
  sharedAt(row: number): Micros {
    return this.times.get(row, SHARED)
  }

  share(row: number, at: Micros): void {
    this.times.set(row, SHARED, at)
  }

  drop(encoded: string): void {
    const row = this.rows.drop(encoded)
    if (row === undefined) return
    this.keys.set(row, undefined)
    this.dropped.push(row)
  }

  /** Keys used since then; the others are dropped on the way. Others get their turn meanwhile, and what they add may be among them or not. */
  async usedSince(oldest: Micros): Promise<ChunkedList<EntityKey>> {
    const used = new ChunkedList<EntityKey>()
    const pace = createPace()
    for (let row = 0; row < this.end; row++) {
      const wait = row % ROWS_A_STEP === 0 ? pace() : undefined
      if (wait) await wait
      const key = this.keys.get(row)
      if (key === undefined) continue
      if (this.times.get(row, USED) < oldest) this.drop(key.encoded)
      else used.push(key)
    }
    return used
  }

  /** So many of the keys used since then. */
  someSince(oldest: Micros, count: number): EntityKey[] {
    const some: EntityKey[] = []
    for (let row = 0; row < this.end && some.length < count; row++) {
      const key = this.keys.get(row)
      if (key !== undefined && this.times.get(row, USED) >= oldest) some.push(key)
    }
    return some
  }

  /** Drops those longest unused, until there are so many. */
  keepLatest(limit: number): void {
    if (this.size <= limit) return
    const times = new Float64Array(this.size)
    let count = 0
    for (let row = 0; row < this.end; row++) if (this.keys.get(row) !== undefined) times[count++] = this.times.get(row, USED)
    const bound = times.sort()[this.size - limit - 1] ?? 0
    for (let row = 0; row < this.end && this.size > limit; row++) {
      const key = this.keys.get(row)
      if (key !== undefined && this.times.get(row, USED) <= bound) this.drop(key.encoded)
    }
  }
}
