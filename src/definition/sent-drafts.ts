/**
 * Definitions on their way from a guest to the host, as plain data. A TypeScript guest reads its author's options itself, because only there are
 * the objects that they hold; a Python guest sends them raw, and the host reads them by the very same rules.
 */
import {
  type Complaint,
  type Draft,
  type DraftBase,
  draftOf,
  type EntityDraft,
  type FeatureDraft,
  type FeatureSetDraft,
  type SourceDraft,
} from './draft.ts'
import type { ClockUse, SourceLocation } from './model.ts'
import { show } from './show.ts'

/** Another definition of the same guest, by its id. */
export interface DraftRef {
  readonly $ref: number
}
/** Something that is no definition and cannot travel, as it looks. Nothing at all: null. */
export interface Shown {
  readonly $shown: string | null
}
type SentValue = DraftRef | Shown | string

type ReadBase = Pick<DraftBase, 'name' | 'description' | 'owner' | 'tags' | 'location' | 'complaints'>
export type ReadDraft =
  | EntityDraft
  | SourceDraft
  | (ReadBase &
      Omit<FeatureDraft, 'compute' | 'entity' | 'uses'> & { readonly entity: SentValue | null; readonly uses: readonly SentValue[] })
  | (ReadBase & Omit<FeatureSetDraft, 'features'> & { readonly features: readonly SentValue[] })

export interface SentFunction {
  /** The text that stands for it in fingerprints: its own and that of what it reaches. */
  readonly code: string
  readonly isAsync?: boolean
  readonly clock?: readonly ClockUse[]
}

interface SentBase {
  /** Unique in its guest. */
  readonly id: number
  readonly function: SentFunction | null
}

/** Of a TypeScript guest. Where it is exported stands in `exported` beside it. */
export interface SentReadDraft extends SentBase {
  readonly read: ReadDraft
}

/** Of a Python guest: what the call was given. */
export interface SentRawDraft extends SentBase {
  readonly kind: Draft['kind']
  /** Of the variable, the function or the class. */
  readonly name: string | null
  readonly file: string
  readonly location: SourceLocation | null
  readonly doc: string | null
  readonly args: readonly unknown[]
  readonly options: Readonly<Record<string, unknown>>
  readonly complaints?: readonly Complaint[]
}

export type SentDraft = SentReadDraft | SentRawDraft

export interface SentExport {
  readonly name: string
  readonly file: string
  /** Null: it is no definition. */
  readonly draft: number | null
  readonly doc: string | null
}

/** What one guest found in the user's files. */
export interface SentDefinitions {
  readonly drafts: readonly SentDraft[]
  /** Null: each draft is exported under its own name. */
  readonly exported: readonly SentExport[] | null
}

interface Export {
  readonly name: string
  readonly value: unknown
  readonly file: string
  readonly doc: string | null
}

export interface PackedDefinitions<F> {
  readonly sent: SentDefinitions
  readonly functions: ReadonlyMap<number, F>
  /** The user's objects by the ids of their drafts. */
  readonly objects: ReadonlyMap<number, unknown>
}

/** The guest's side. Definitions that are only referred to travel, too: what is wrong with that is told by the registry. */
export function packDefinitions<F extends NonNullable<FeatureDraft['compute']>>(
  exported: readonly Export[],
  code: (fn: F) => string,
): PackedDefinitions<F> {
  const ids = new Map<unknown, number>()
  const drafts: SentReadDraft[] = []
  const functions = new Map<number, F>()
  const isExported = new Set(exported.map((one) => one.value))
  const pack = (object: unknown, draft: Draft): number => {
    const known = ids.get(object)
    if (known !== undefined) return known
    const id = ids.size + 1
    ids.set(object, id)
    const fn = draft.kind === 'feature' ? (draft.compute as F | null) : null
    if (fn) functions.set(id, fn)
    // Nobody asks for the code of one that is not exported: it is a problem, or nothing.
    const code_ = fn === null ? null : { code: isExported.has(object) ? code(fn) : '' }
    drafts.push({ id, function: code_, read: readDraft(draft, refer) })
    return id
  }
  const refer = (value: unknown): SentValue => {
    if (typeof value === 'string') return value
    const draft = draftOf(value)
    if (draft) return { $ref: pack(value, draft) }
    return { $shown: value === undefined ? null : show(value) }
  }
  const exports = exported.map(({ name, value, file, doc }): SentExport => {
    const draft = draftOf(value)
    return { name, file, doc, draft: draft ? pack(value, draft) : null }
  })
  const objects = new Map([...ids].map(([object, id]) => [id, object] as const))
  return { sent: { drafts, exported: exports }, functions, objects }
}

function readDraft(draft: Draft, refer: (value: unknown) => SentValue): ReadDraft {
  if (draft.kind === 'feature_set') return { ...draft, features: draft.features.map(refer) }
  if (draft.kind !== 'feature') return draft
  const { compute: _, entity, uses, ...plain } = draft
  return { ...plain, entity: entity === null ? null : refer(entity), uses: uses.map(refer) }
}
