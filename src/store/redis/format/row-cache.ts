import type { StoredValue } from '../../ports/online-store.ts'
import { isNewer } from '../../ports/value-order.ts'
import { type Layout, type Row, readRow } from './row-layout.ts'

/** Characters kept; beyond, the half that was not read of late goes. */
const MAX_CHARACTERS = 64_000_000
/** What keeping a text takes besides, in characters. */
const BESIDES = 200
/** Values kept decoded. Each is some objects, which the collector looks at again and again. */
const MAX_DECODED = 50_000
/** Feature lists of one key whose texts are kept. */
const MAX_LISTS = 4

/** What Redis answered last for one key and one list of features. */
interface CachedRow {
  readonly layout: Layout
  text: string
  /** Where the key is read again and again: decoded, and the bytes that the text was. */
  decoded: { readonly bytes: Buffer; readonly row: Row } | undefined
  /** How many values had been read when this was. */
  readAt: number
  /** The turn of decoded rows in which this one was last used. */
  usedIn: number
  /** Of another list of features. */
  next: CachedRow | undefined
}

/**
 * What this process was told of each key. While Redis is away it is all there is. And keys that are read again have mostly not changed: then
 * what Redis answers is the text that was decoded last time, and comparing costs a tenth of decoding. Nothing is answered from here that Redis
 * did not just say, as long as it says anything.
 */
export class RowCache {
  private readonly limits: { readonly characters: number; readonly decoded: number }
  private young = new Map<string, CachedRow>()
  private old = new Map<string, CachedRow>()
  private characters = 0
  private readCount = 0
  private decoded: CachedRow[] = []
  private decodedBefore: CachedRow[] = []
  private decodedCount = 0
  private turn = 0

  constructor(limits = { characters: MAX_CHARACTERS, decoded: MAX_DECODED }) {
    this.limits = limits
  }

  /** @param bytes What Redis just answered. */
  take(layout: Layout, hash: string, bytes: Buffer): Row {
    const cached = this.of(layout, hash)
    const size = layout.heads.length
    this.readCount += size
    const isHot = this.readCount - cached.readAt <= this.limits.decoded / 2
    cached.readAt = this.readCount
    if (cached.decoded?.bytes.equals(bytes)) {
      if (cached.usedIn !== this.turn) this.use(cached)
      return cached.decoded.row
    }
    const text = bytes.toString()
    const row = readRow(layout, text)
    cached.decoded = undefined
    if (cached.text !== text) {
      this.weigh(text.length - cached.text.length)
      cached.text = text
    } else if (isHot) {
      cached.decoded = { bytes: Buffer.from(bytes), row }
      this.use(cached)
    }
    return row
  }

  /** The newest values that this process was told of one key, whichever lists they came in. */
  find(layout: Layout, hash: string): Row {
    const newest: (StoredValue | undefined)[] = new Array(layout.heads.length).fill(undefined)
    for (let cached = this.young.get(hash) ?? this.old.get(hash); cached; cached = cached.next) {
      const { order, indexesInOrder } = cached.layout
      const row = cached.decoded?.row ?? readRow(cached.layout, cached.text)
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
    const added = { layout, text: '', decoded: undefined, readAt: Number.NEGATIVE_INFINITY, usedIn: -1, next }
    this.young.set(hash, added)
    this.weigh(BESIDES)
    return added
  }

  /** What was known of a key is in use again. */
  private moved(hash: string): CachedRow | undefined {
    const first = this.old.get(hash)
    if (!first) return undefined
    this.young.set(hash, first)
    for (let cached: CachedRow | undefined = first; cached; cached = cached.next) this.weigh(cached.text.length + BESIDES)
    return first
  }

  private weigh(characters: number): void {
    this.characters += characters
    if (this.characters < this.limits.characters / 2) return
    this.old = this.young
    this.young = new Map()
    this.characters = 0
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

/** The first so many. */
function shortened(first: CachedRow | undefined, count: number): CachedRow | undefined {
  let last = first
  for (let i = 1; last && i < count; i++) last = last.next
  if (last) last.next = undefined
  return first
}
