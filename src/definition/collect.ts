/** First step of the registry: the drafts among the exports, each once and under one name. */
import {
  type Draft,
  type DraftBase,
  draftOf,
  type EntityDraft,
  type FeatureDraft,
  type FeatureSetDraft,
  type SourceDraft,
} from './draft.ts'
import type { Problem, SourceLocation } from './model.ts'
import { FEATURE_NAME, FEATURE_NAME_RULE, lawfulName, MAX_NAME_LENGTH, RESERVED } from './naming.ts'
import { isPython } from './python-words.ts'
import { show } from './show.ts'
import { formatPlace } from './source-location.ts'

export interface Exported {
  readonly name: string
  readonly value: unknown
  /** Absolute path. */
  readonly file: string
  /** The doc comment before it: the description of a definition that gives none. */
  readonly doc?: string | null
}

/** A definition with the name it goes by. */
export interface Named<D extends Draft> {
  readonly name: string
  readonly draft: D
  readonly object: unknown
  /** Where it is exported, for when the call's own place is unknown. */
  readonly file: string
  /** `feature "spend"`. */
  readonly subject: string
  readonly location: SourceLocation
  readonly description: string | null
}

export interface Collected {
  readonly entities: readonly Named<EntityDraft>[]
  readonly sources: readonly Named<SourceDraft>[]
  readonly features: readonly Named<FeatureDraft>[]
  readonly featureSets: readonly Named<FeatureSetDraft>[]
}

/** Exports that are no definitions are left alone. Entities that features name without their being exported are taken along. */
export function collect(exported: readonly Exported[], problems: Problem[]): Collected {
  const byObject = new Map<unknown, Named<Draft>>()
  // An object exported as default and under a name goes by the name.
  const ordered = [...exported.filter((one) => one.name !== 'default'), ...exported.filter((one) => one.name === 'default')]
  for (const one of ordered) {
    const draft = draftOf(one.value)
    if (draft && !byObject.has(one.value)) byObject.set(one.value, named(draft, one))
  }
  for (const one of [...byObject.values()]) {
    if (one.draft.kind !== 'feature') continue
    const draft = draftOf(one.draft.entity)
    if (draft?.kind === 'entity' && !byObject.has(one.draft.entity)) {
      byObject.set(one.draft.entity, named(draft, { value: one.draft.entity, name: draft.name ?? '', file: one.file }))
    }
  }
  // Namespaces list their exports by the alphabet; problems and listings read as the author wrote.
  const files = [...new Set(exported.map((one) => one.file).concat([...byObject.values()].map((one) => one.location.file)))]
  const rank = (one: Named<Draft>) => files.indexOf(one.location.file)
  const all = [...byObject.values()].sort(
    (a, b) => rank(a) - rank(b) || a.location.line - b.location.line || a.location.column - b.location.column,
  )
  for (const one of all) problems.push(...ownProblems(one))
  const collected: Collected = {
    entities: all.filter((one): one is Named<EntityDraft> => one.draft.kind === 'entity'),
    sources: all.filter((one): one is Named<SourceDraft> => one.draft.kind === 'source'),
    features: all.filter((one): one is Named<FeatureDraft> => one.draft.kind === 'feature'),
    featureSets: all.filter((one): one is Named<FeatureSetDraft> => one.draft.kind === 'feature_set'),
  }
  if (all.length === 0) problems.push(nothingDefined(exported))
  problems.push(
    ...repeats(collected.entities),
    ...repeats(collected.sources),
    ...repeats([...collected.features, ...collected.featureSets]),
  )
  return collected
}

function named(draft: Draft, { value: object, name: exportName, file, doc }: Exported): Named<Draft> {
  const name = draft.name ?? exportName
  const location = draft.location ?? { file, line: 1, column: 1 }
  const kind = draft.kind.replace('_', ' ')
  const description = draft.description ?? doc ?? null
  return { name, draft, object, file, location, description, subject: name === '' ? kind : `${kind} ${show(name)}` }
}

function ownProblems(one: Named<Draft>): Problem[] {
  const { location, subject, draft, name } = one
  const problems = draft.complaints.map((complaint) => ({ location, subject, ...complaint }))
  const add = (message: string, hint: string) => void problems.push({ location, subject, message, hint })
  if ((draft.kind === 'feature' || draft.kind === 'entity') && name.length > MAX_NAME_LENGTH)
    add(`its name has ${name.length} characters.`, `A name has at most ${MAX_NAME_LENGTH}.`)
  // Names given by the author were checked where they were given.
  if (draft.kind !== 'feature') return problems
  // One that has no name at all has said so itself.
  if (draft.name === null && name === '') return problems
  if (draft.name === null && name === 'default') {
    add('a default export has no name.', 'Write export const my_feature = feature({ … }), or give it a name: "my_feature".')
  } else if (draft.name === null && !FEATURE_NAME.test(name)) {
    add("the name it is exported under cannot be a feature's name.", `${FEATURE_NAME_RULE}, or add name: "${lawfulName(name)}".`)
  }
  if (RESERVED.includes(name)) add('the name has its own meaning in requests.', `Reserved are ${RESERVED.join(', ')}. Choose another name.`)
  return problems
}

/** Tables are the same in any letter case, so sources are too; all other names that are valid differ by more. */
function repeats(all: readonly Named<DraftBase & Draft>[]): Problem[] {
  const problems: Problem[] = []
  const first = new Map<string, Named<Draft>>()
  for (const one of all) {
    const key = one.draft.kind === 'source' ? one.name.toLowerCase() : one.name
    const other = first.get(key)
    if (other === undefined) first.set(key, one)
    else if (key !== '' && !isTwin(one, other)) {
      const isOtherKey = one.draft.kind === 'entity' && isPython(one.file) !== isPython(other.file)
      const kind = other.draft.kind === one.draft.kind ? '' : ` as a ${other.draft.kind.replace('_', ' ')}`
      const which = isOtherKey ? ' with another key' : kind
      problems.push({
        location: one.location,
        subject: one.subject,
        message: `the name is taken: it is defined${which} at ${formatPlace(other.location)} too.`,
        hint: isOtherKey
          ? 'An entity of both languages has the same key columns, of the same types, in both.'
          : one.draft.kind === 'feature'
            ? 'Names are unique. Rename one, or give it a name: "…".'
            : 'Names are unique. Rename one, or export it once and import it elsewhere.',
      })
    }
  }
  return problems
}

/** An entity is an object of its language, so each language has one of its own. */
function isTwin(one: Named<Draft>, other: Named<Draft>): boolean {
  if (one.draft.kind !== 'entity' || other.draft.kind !== 'entity' || isPython(one.file) === isPython(other.file)) return false
  return JSON.stringify(one.draft.key) === JSON.stringify(other.draft.key)
}

function nothingDefined(exported: readonly Exported[]): Problem {
  const file = exported[0]?.file
  return {
    location: file === undefined ? null : { file, line: 1, column: 1 },
    subject: 'definitions',
    message: exported.length === 0 ? 'nothing is exported.' : 'nothing that is exported is a feature.',
    hint: 'Export what Fabra is to serve: export const my_feature = feature({ … }).',
  }
}
