/** A column of numbers of one batch, whose bytes the engine and Arrow have in common: chunks are copied as they are, without a look at each value. */

type TypedArray = { readonly length: number; readonly buffer: ArrayBufferLike; readonly byteOffset: number; readonly byteLength: number }

/** How the driver holds such a vector. */
interface NumberVector {
  readonly items: TypedArray
  readonly validity: { readonly data: BigUint64Array | null; readonly offset: number }
}

/** Null where the driver holds it in another way. */
export function numberVector(vector: unknown): NumberVector | null {
  const { items, validity } = vector as Partial<NumberVector>
  return items !== undefined && ArrayBuffer.isView(items) && validity !== undefined && 'data' in validity ? { items, validity } : null
}

export interface TakenNumbers {
  readonly bytes: Uint8Array
  readonly length: number
  readonly nullCount: number
  /** A bit a value, set where there is one; null where none is null. */
  readonly nullBitmap: Uint8Array | null
}

export class NumberColumn {
  private readonly pieces: Uint8Array[] = []
  private readonly validities: { readonly bits: Uint8Array | null; readonly count: number }[] = []

  add({ items, validity }: NumberVector): void {
    this.pieces.push(new Uint8Array(items.buffer, items.byteOffset, items.byteLength).slice())
    const bits = validity.data && new Uint8Array(validity.data.buffer, validity.data.byteOffset, validity.data.byteLength).slice()
    if (validity.offset !== 0) throw new Error('A chunk of the engine begins in the middle.')
    this.validities.push({ bits, count: items.length })
  }

  take(): TakenNumbers {
    const bytes = Buffer.concat(this.pieces)
    const length = this.validities.reduce((sum, { count }) => sum + count, 0)
    const nulls = this.validities.some(({ bits }) => bits !== null) ? this.bitmap(length) : { nullCount: 0, nullBitmap: null }
    this.pieces.length = 0
    this.validities.length = 0
    return { bytes: new Uint8Array(bytes), length, ...nulls }
  }

  private bitmap(length: number): Pick<TakenNumbers, 'nullCount' | 'nullBitmap'> {
    const nullBitmap = new Uint8Array(Math.ceil(length / 8))
    let nullCount = 0
    let at = 0
    for (const { bits, count } of this.validities) {
      for (let i = 0; i < count; i++, at++) {
        if (bits === null || ((bits[i >> 3] ?? 0) & (1 << (i & 7))) !== 0)
          nullBitmap[at >> 3] = (nullBitmap[at >> 3] ?? 0) | (1 << (at & 7))
        else nullCount++
      }
    }
    return nullCount === 0 ? { nullCount, nullBitmap: null } : { nullCount, nullBitmap }
  }
}
