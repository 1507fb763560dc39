import type { ServedState } from './read-figures.ts'

/** A request that was looked at. */
export interface RequestSample {
  /** Microseconds since 1970, as values are dated. */
  readonly at: number
  /** Name of the API key; null: none was asked for. */
  readonly caller: string | null
  /** A feature set, or features. */
  readonly askedFor: readonly string[]
  readonly rows: number
  readonly ms: number
  readonly states: Readonly<Partial<Record<ServedState, number>>>
  /** Of the first row; null: there is none. */
  readonly entity: { readonly entity: string; readonly encoded: string; readonly json: string } | null
  readonly errorCode: string | null
  readonly waitedFor: string | null
  readonly waitedMs: number | null
  /** Told for being slow or failed, not by sampling. */
  readonly isOutlier: boolean
}

const KEPT = 2_000

/** The last requests that were looked at. */
export class RequestSamples {
  private readonly kept: RequestSample[] = []
  private next = 0

  add(sample: RequestSample): void {
    this.kept[this.next++ % KEPT] = sample
  }

  /** Newest first. */
  of(entity: string, encoded: string, most: number): readonly RequestSample[] {
    const found: RequestSample[] = []
    for (let i = 1; i <= Math.min(this.next, KEPT) && found.length < most; i++) {
      const sample = this.kept[(this.next - i) % KEPT]
      if (sample?.entity?.entity === entity && sample.entity.encoded === encoded) found.push(sample)
    }
    return found
  }

  /** What was looked at of a key that was forgotten is forgotten too. */
  forget(entity: string, encoded: string): void {
    for (const [i, sample] of this.kept.entries())
      if (sample.entity?.entity === entity && sample.entity.encoded === encoded) this.kept[i] = { ...sample, entity: null }
  }
}
