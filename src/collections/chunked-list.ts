const PIECE_BITS = 12
/** Items of a piece. */
const PIECE = 1 << PIECE_BITS

/** A list of any length; an array is one. */
export interface List<Item> extends Iterable<Item> {
  readonly length: number
  at(index: number): Item | undefined
}

/** Items that are made of others each time somebody asks: nobody holds them all. */
export function mapped<From, To>(list: List<From>, make: (from: From) => To): List<To> {
  return {
    length: list.length,
    at: (index) => (index >= 0 && index < list.length ? make(list.at(index) as From) : undefined),
    *[Symbol.iterator]() {
      for (const item of list) yield make(item)
    },
  }
}

/**
 * A list that may hold a million items. It lies in pieces: the collector looks at an array as a whole, which takes 60 ms for a million items
 * while requests wait, and one that grows is moved as a whole.
 */
export class ChunkedList<Item> implements List<Item> {
  private readonly pieces: Item[][] = []
  private count = 0

  static filled<Item>(length: number, item: Item): ChunkedList<Item> {
    const list = new ChunkedList<Item>()
    for (let from = 0; from < length; from += PIECE) list.pieces.push(new Array<Item>(Math.min(PIECE, length - from)).fill(item))
    list.count = length
    return list
  }

  get length(): number {
    return this.count
  }

  push(item: Item): void {
    const piece = this.pieces[this.count >>> PIECE_BITS]
    if (piece) piece.push(item)
    else this.pieces.push([item])
    this.count++
  }

  at(index: number): Item | undefined {
    return this.pieces[index >>> PIECE_BITS]?.[index & (PIECE - 1)]
  }

  /** @param index Of an item that is there. */
  set(index: number, item: Item): void {
    const piece = this.pieces[index >>> PIECE_BITS]
    if (piece) piece[index & (PIECE - 1)] = item
  }

  *[Symbol.iterator](): IterableIterator<Item> {
    for (const piece of this.pieces) yield* piece
  }
}
