/**
 * Of which keys a feature's computed values are recorded. A key is in the sample of every feature of its entity or of none, in every process, release and
 * language: XXH32 (seed 0) of its encoded text in UTF-8, as a share of 2^32, is below the sample's. A larger sample holds the smaller ones.
 */
import type { Micros } from '../clock.ts'
import { takesInputs } from './feature-traits.ts'
import type { Feature, Registry, Source, WhyAllKeys } from './model.ts'

const HASHES = 2 ** 32

export function isInSample(encodedKey: string, share: number): boolean {
  return share >= 1 || Bun.hash.xxHash32(encodedKey) < share * HASHES
}

/** Whether computed values of the key are recorded as they come. What is pushed always is. */
export function recordsKey({ sampled }: Pick<Feature, 'sampled'>, encodedKey: string): boolean {
  return sampled === undefined || isInSample(encodedKey, sampled.share)
}

/** Whether it is known when a key was computed and what came of it, from the time on that its feature is served so. */
export function tellsAll(feature: Pick<Feature, 'sampled' | 'history' | 'inputs'>, encodedKey: string): boolean {
  return feature.history !== 'off' && !takesInputs(feature) && recordsKey(feature, encodedKey)
}

/** Whether history knows what was served of the key at a time, so that where it has nothing there was nothing. */
export function isKnownAt({ sampled, gapFrom, recordedSince }: Feature, encodedKey: string, at: Micros): boolean {
  if (sampled !== undefined && at >= sampled.from) return isInSample(encodedKey, sampled.share)
  return gapFrom === undefined || recordedSince === undefined || at < gapFrom || at >= recordedSince
}

interface RecordedRow {
  readonly entityKey: string
  readonly origin: 'computed' | 'pushed' | 'backfill'
  readonly createdAt: Micros
}

/** Whether the newest row that is recorded of a key is its latest value: what is computed may have been followed by what was not recorded. */
export function isLatestValue(feature: Pick<Feature, 'sampled' | 'recordedSince'>, { entityKey, origin, createdAt }: RecordedRow): boolean {
  const { sampled, recordedSince } = feature
  if (sampled === undefined && recordedSince === undefined) return true
  if (origin === 'pushed') return true
  return createdAt >= (recordedSince ?? Number.NEGATIVE_INFINITY) && recordsKey(feature, entityKey)
}

export interface PastFacts {
  readonly registry: Registry
  /** What is known of a feature's SQL; undefined: it has none. */
  readonly pastOf: (feature: Feature) => { readonly past: string | null; readonly sources: readonly Source[] } | undefined
  /** Rows of sources leave when they are old. */
  readonly rowsLeave: boolean
}

/**
 * Why the past of a feature cannot be computed as it was served; null when it can: by SQL, over rows that stay as they came and say when that was,
 * or that never change.
 */
export function whyRecorded(feature: Feature, around: PastFacts): WhyAllKeys | null {
  const { registry, pastOf, rowsLeave } = around
  if (feature.computation.kind === 'pushed') return unnamed('its values are pushed')
  const sql = pastOf(feature)
  if (!sql) return unnamed('a function computes it')
  if (feature.version !== null) return unnamed('its version stands for its SQL, which may have been another')
  if (sql.past !== null) return unnamed('its SQL cannot be computed for past times')
  if (rowsLeave && !sql.sources.every((source) => source.static)) return unnamed('rows of its sources leave (FABRA_ROWS_KEEP)')
  if (sql.sources.length === 0 && feature.uses.length === 0) return unnamed('it reads no source')
  for (const source of sql.sources) {
    const why = whyUnlikeServed(source)
    if (why !== null) return { plain: `a source that it reads ${why}`, named: `the source "${source.name}" ${why}` }
  }
  for (const name of feature.uses) {
    const part = registry.features.get(name)
    if (part && whyRecorded(part, around) === null) continue
    const why = 'which it uses, cannot be recomputed'
    return { plain: `the past of a feature, ${why}`, named: `the past of "${name}", ${why}` }
  }
  return null
}

function unnamed(text: string): WhyAllKeys {
  return { plain: text, named: text }
}

function whyUnlikeServed({ static: isStatic, timestamp, available, until }: Source): string | null {
  if (isStatic) return null
  if (until !== null) return 'has rows that are replaced (until)'
  if (timestamp === null) return 'does not say when its rows came to be (timestamp)'
  return available === null ? 'does not say when its rows arrived (available)' : null
}

/** What is recorded of a feature and why, for people. @param how `named`: for those who may see everything that is defined. */
export function recordedWords(
  feature: Pick<Feature, 'computation' | 'history' | 'inputs' | 'sampled' | 'whyAllKeys'>,
  how: keyof WhyAllKeys = 'plain',
): string {
  const { computation, history, sampled, whyAllKeys } = feature
  if (takesInputs(feature)) return 'never recorded: its values belong to one request each'
  if (computation.kind === 'pushed') return 'every push is recorded'
  if (history === 'off') return 'not recorded, but for what is pushed'
  if (history === 'all') return 'every value is recorded'
  if (sampled === undefined) return `recorded as it changes${whyAllKeys === undefined ? '' : `: ${whyAllKeys[how]}`}`
  return `recorded ${sampled.share === 0 ? 'for no key' : `for ${percent(sampled.share)} of keys`}: its past can be recomputed`
}

export function percent(share: number): string {
  return `${Number((share * 100).toPrecision(6))} %`
}
