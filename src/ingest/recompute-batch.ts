import type { Computations } from '../compute/single-flight/computations.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import { DoubtedRows } from '../store/ports/doubts.ts'
import type { OnlineStore, StoredRows } from '../store/ports/online-store.ts'
import type { Wanted } from './recompute-queue.ts'

const TIMEOUT_MS = 30_000
/** A key that fails so often in a row is left to the schedule. */
const MAX_ATTEMPTS = 4

export interface KeptKeysOptions {
  readonly online: Pick<OnlineStore, 'read'>
  /** Which of the keys history has a value of. @throws FabraError store_unavailable */
  readonly recorded: (feature: Feature, encodedKeys: readonly string[]) => Promise<readonly boolean[]>
}

/** Of the keys of a batch, those that a value is kept of. */
export interface KeptKeys {
  /** They have one, which may be out of date. */
  readonly stored: readonly Wanted[]
  /** They are getting their first. */
  readonly underway: readonly Wanted[]
}

/** @throws FabraError store_unavailable */
export async function keptKeys(
  computations: Computations,
  feature: Feature,
  wanted: readonly Wanted[],
  options: KeptKeysOptions,
): Promise<KeptKeys> {
  const keys = wanted.map((one) => one.key)
  // In this order: what is underway no longer has been stored.
  const underway = await computations.underway(feature, keys)
  const encoded = keys.map((key) => key.encoded)
  const isStored = await areStored(feature, encoded, options)
  const hasValue = (i: number) => isStored[i] === true
  return { stored: wanted.filter((_, i) => hasValue(i)), underway: wanted.filter((_, i) => !hasValue(i) && underway[i]) }
}

/** While the store may lack values, those of history are served, and go out of date like any other. */
async function areStored(feature: Feature, encoded: readonly string[], { online, recorded }: KeptKeysOptions): Promise<readonly boolean[]> {
  const areThere = (rows: StoredRows | undefined) => encoded.map((_, i) => rows?.[i]?.[0] !== undefined)
  try {
    return areThere(await online.read(feature.entity, encoded, [fieldOf(feature)], 'deciding'))
  } catch (error) {
    if (!(error instanceof DoubtedRows)) throw error
    const inHistory = await recorded(feature, encoded)
    return areThere(error.rows).map((isThere, i) => isThere || inHistory[i] === true)
  }
}

/** @returns those to compute once more: they failed, or their computation had begun before the rows came. */
export async function computeWanted(computations: Computations, feature: Feature, wanted: readonly Wanted[]): Promise<Wanted[]> {
  if (wanted.length === 0) return []
  const timeoutMs = Math.max(TIMEOUT_MS, Math.ceil((feature.timeout ?? 0) / 1000))
  const keys = wanted.map((one) => one.key)
  const outcome = await computations.computeAll(feature, keys, timeoutMs)
  const again: Wanted[] = []
  for (const [place, one] of wanted.entries()) {
    const { computed, asOf } = outcome(place)
    if (computed.kind !== 'error') {
      if (asOf < one.from) again.push(one)
    } else if (computed.error.code === 'store_unavailable') again.push({ ...one, attempts: Math.max(1, one.attempts) })
    else if (one.attempts + 1 < MAX_ATTEMPTS) again.push({ ...one, attempts: one.attempts + 1 })
  }
  return again
}
