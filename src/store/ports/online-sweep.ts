import type { Micros } from '../../clock.ts'
import type { Origin } from './offline-store.ts'

/** A value as it lies in the online store. */
export interface SweptValue {
  readonly entity: string
  /** Encoded. */
  readonly key: string
  /** Feature and version. */
  readonly field: string
  readonly availableAt: Micros
  readonly origin: Origin
}

/** Letting values go that nobody reads. */
export interface OnlineSweep {
  /**
   * Looks at some hundred keys, and lets those values go that it is told to, unless they were written meanwhile. Erasures stay.
   * @param from What the lot before gave; null: from the beginning.
   * @throws FabraError store_unavailable
   */
  lot(
    from: string | null,
    judge: (values: readonly SweptValue[]) => Promise<readonly SweptValue[]>,
  ): Promise<{ readonly removed: number; readonly next: string | null }>
}
