import type { StoredValue } from '../../ports/online-store.ts'
import { isNewer } from '../../ports/value-order.ts'
import { packRow, type RecordedRow } from './packed-row.ts'
import { type Layout, type Row, readRow } from './row-layout.ts'

/** Bytes kept; beyond, the half that was not read of late goes. */
const MAX_BYTES = 64_000_000
/** What keeping a row takes besides. */
const BESIDES = 200
const BYTES_OF_A_TIME = 8
/** Values kept as objects, which the collector looks at again and again. */
const MAX_DECODED = 50_000
/** Feature lists of one key whose texts are kept. */
const MAX_LISTS = 4

const NOTHING = Buffer.alloc(0)

/** What Redis answered last for one key and one list of features. */
interface CachedRow {
  readonly layout: Layout
  bytes: Buffer
  /** Undefined: the row cannot be served as it lies. */
  packed: RecordedRow | undefined
  /** Where the key is read again and again. */
  decoded: Row | undefined
  /** How many values had been read when this was. */
  readAt: number
  /** The turn of decoded rows in which this one was last used. */
  usedIn: number
  /** Of another list of features. */
  next: CachedRow | undefined
}

/**
 * What this process was told of each key. While Redis is away it is all there is. And keys that are read again have mostly not changed: then
 * what Redis answers is what it answered last time, and comparing costs a tenth of decoding. Nothing is answered from here that Redis
 * did not just say, as long as it says anything.
 */
export class RowCache {
  private readonly limits: { readonly bytes: number; readonly decoded: number }
  private young = new Map<string, CachedRow>()
  private old = new Map<string, CachedRow>()
  private bytes = 0
  private readCount = 0
  private decoded: CachedRow[] = []
  private decodedBefore: CachedRow[] = []
  private decodedCount = 0
  private turn = 0

  constructor(limits = { bytes: MAX_BYTES, decoded: MAX_DECODED }) {
    this.limits = limits
  }

  /** @param bytes What Redis just answered. */
  take(layout: Layout, hash: string, bytes: Buffer): Row {
    const cached = this.of(layout, hash)
    const size = layout.heads.length
    this.readCount += size
    const isHot = this.readCount - cached.readAt <= this.limits.decoded / 2
    cached.readAt = this.readCount
    if (!cached.bytes.equals(bytes)) return this.change(cached, Buffer.from(bytes))
    if (cached.decoded) {
      if (cached.usedIn !== this.turn) this.use(cached)
      return cached.decoded
    }
    const row = cached.packed?.row() ?? readRow(layout, bytes.toString())
    if (isHot) {
      cached.decoded = row
      this.use(cached)
    }
    return row
  }

  private change(cached: CachedRow, bytes: Buffer): Row {
    const { layout } = cached
    const before = sizeOf(cached)
    cached.bytes = bytes
    cached.packed = layout.heads.length === 1 ? undefined : packRow(layout, bytes)
    cached.decoded = undefined
    this.weigh(sizeOf(cached) - before)
    return cached.packed?.row() ?? readRow(layout, bytes.toString())
  }

  /** The newest values that this process was told of one key, whichever lists they came in. */
  find(layout: Layout, hash: string): Row {
    const newest: (StoredValue | undefined)[] = new Array(layout.heads.length).fill(undefined)
    for (let cached = this.young.get(hash) ?? this.old.get(hash); cached; cached = cached.next) {
      const { order, indexesInOrder } = cached.layout
      const row = cached.decoded ?? readRow(cached.layout, cached.bytes.toString())
      for (const [f, head] of layout.heads.entries()) {
        const value = row[order[indexesInOrder.get(head) ?? -1] ?? -1]
        const best = newest[f]
        if (value && (!best || isNewer(value, best))) newest[f] = value
      }
    }
    return newest
  }

  private of(layout: Layout, hash: string): CachedRow {
    const first = this.young.get(hash) ?? this.moved(hash)
    for (let cached = first; cached; cached = cached.next) if (cached.layout === layout) return cached
    const next = shortened(first, MAX_LISTS - 1)
    const added = { layout, bytes: NOTHING, packed: undefined, decoded: undefined, readAt: Number.NEGATIVE_INFINITY, usedIn: -1, next }
    this.young.set(hash, added)
    this.weigh(BESIDES)
    return added
  }

  /** What was known of a key is in use again. */
  private moved(hash: string): CachedRow | undefined {
    const first = this.old.get(hash)
    if (!first) return undefined
    this.young.set(hash, first)
    for (let cached: CachedRow | undefined = first; cached; cached = cached.next) this.weigh(sizeOf(cached) + BESIDES)
    return first
  }

  private weigh(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < this.limits.bytes / 2) return
    this.old = this.young
    this.young = new Map()
    this.bytes = 0
  }

  /** A decoded row stays one turn longer than it is used. */
  private use(cached: CachedRow): void {
    cached.usedIn = this.turn
    this.decoded.push(cached)
    this.decodedCount += cached.layout.heads.length
    if (this.decodedCount < this.limits.decoded / 2) return
    for (const before of this.decodedBefore) if (before.usedIn !== this.turn) before.decoded = undefined
    this.decodedBefore = this.decoded
    this.decoded = []
    this.decodedCount = 0
    this.turn++
  }
}

function sizeOf({ bytes, packed }: CachedRow): number {
  return bytes.length + (packed ? packed.json.length + BYTES_OF_A_TIME * packed.times.eventAts.length : 0)
}

/** The first so many. */
function shortened(first: CachedRow | undefined, count: number): CachedRow | undefined {
  let last = first
  for (let i = 1; last && i < count; i++) last = last.next
  if (last) last.next = undefined
  return first
}
