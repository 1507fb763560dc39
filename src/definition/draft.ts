/**
 * What the user's calls of entity(), source(), feature() and featureSet() leave behind. They never throw: a draft carries what is wrong with
 * it, and the registry reports the problems of all drafts at once. References to other definitions are still objects here.
 */
import type { DeclaredType, FeatureColumn, HistoryMode, KeyColumn, Refresh, Source, SourceLocation, SqlText } from './model.ts'

/** Part of a Problem: the registry adds whose it is. */
export interface Complaint {
  readonly message: string
  readonly hint: string
  /** Where it is another place than the definition's. */
  readonly location?: SourceLocation
}

export interface DraftBase {
  /** As given by the author; null: the export name counts (features only). */
  readonly name: string | null
  readonly description: string | null
  readonly owner: string | null
  readonly tags: readonly string[]
  readonly location: SourceLocation | null
  readonly complaints: readonly Complaint[]
}

export interface EntityDraft extends DraftBase {
  readonly kind: 'entity'
  readonly key: readonly KeyColumn[]
  readonly keys: string | null
}

export interface SourceDraft extends DraftBase {
  readonly kind: 'source'
  /** `file` is still as written. */
  readonly options: Pick<
    Source,
    'timestamp' | 'delay' | 'available' | 'until' | 'id' | 'timezone' | 'static' | 'file' | 'format' | 'columns'
  >
}

export type FeatureFunction = (key: unknown, context: unknown) => unknown

export interface FeatureDraft extends DraftBase {
  readonly kind: 'feature'
  /** An entity's definition; null when something else was given. */
  readonly entity: unknown
  readonly sql: SqlText | null
  readonly compute: FeatureFunction | null
  readonly columns: readonly FeatureColumn[]
  readonly refresh: Refresh | null
  readonly maxStaleness: number | null
  readonly lookBack: number | null
  readonly defaults: readonly string[] | null
  readonly timeout: number | null
  readonly keepWarm: number | null
  readonly keep: number | null
  /** Null: it is not said. */
  readonly history: HistoryMode | null
  readonly inputs: Readonly<Record<string, DeclaredType>>
  /** Features or names. */
  readonly uses: readonly unknown[]
  readonly replay: boolean
  readonly batch: number | null
  readonly nan: 'error' | 'null'
  readonly version: string | null
  readonly sameAs: string | null
}

export interface FeatureSetDraft extends DraftBase {
  readonly kind: 'feature_set'
  /** Features or names. */
  readonly features: readonly unknown[]
}

export type Draft = EntityDraft | SourceDraft | FeatureDraft | FeatureSetDraft

const DRAFT = Symbol.for('fabra.draft')

/** What the user's code holds. Frozen; the draft and the name are ours. */
export interface Definition<Kind extends Draft['kind'] = Draft['kind']> {
  readonly kind: Kind
  readonly name: string
}

/** The object handed to the user's code. Its `name` is the one given, or the one the registry found it under. */
export function define<D extends Draft>(draft: D): Definition<D['kind']> {
  const slot: Slot = { draft, name: draft.name ?? '' }
  const definition = Object.defineProperties(
    {},
    {
      kind: { value: draft.kind, enumerable: true },
      name: { get: () => slot.name, enumerable: true },
      [DRAFT]: { value: slot },
    },
  )
  return Object.freeze(definition) as Definition<D['kind']>
}

interface Slot {
  readonly draft: Draft
  name: string
}

/** The draft behind an exported value; undefined when it is none of ours. */
export function draftOf(value: unknown): Draft | undefined {
  return slotOf(value)?.draft
}

/** Tells a feature the name it was exported under. */
export function rename(value: unknown, name: string): void {
  const slot = slotOf(value)
  if (slot) slot.name = name
}

/** The name of a feature, feature set, entity or source the user's code holds; undefined for anything else. */
export function nameOf(value: unknown): string | undefined {
  return slotOf(value)?.name || undefined
}

function slotOf(value: unknown): Slot | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  // Not value[DRAFT]: an exported proxy may answer to any name.
  return Object.getOwnPropertyDescriptor(value, DRAFT)?.value as Slot | undefined
}
