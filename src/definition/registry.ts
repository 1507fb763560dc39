import { dirname, resolve } from 'node:path'
import { FabraError } from '../errors.ts'
import { type Collected, collect, type Exported, type Named } from './collect.ts'
import {
  type Draft,
  draftOf,
  type EntityDraft,
  type FeatureDraft,
  type FeatureFunction,
  type FeatureSetDraft,
  rename,
  type SourceDraft,
} from './draft.ts'
import { fingerprint } from './fingerprint.ts'
import type { Entity, Feature, FeatureSet, Problem, Registry, Source } from './model.ts'
import { formatPlace } from './place.ts'
import { resolveRef } from './refs.ts'
import { show } from './show.ts'

export { nameOf } from './draft.ts'
export { resolveRefs } from './refs.ts'

export interface BuiltRegistry {
  /** Whole only when there are no problems. Survives structuredClone. */
  readonly registry: Registry
  readonly problems: Problem[]
  /** By feature name. */
  readonly functions: ReadonlyMap<string, FeatureFunction>
}

/**
 * What the files export, checked against itself. Never throws for what the author did: everything wrong is a problem, all of them at once.
 * @param code The text that stands for a function in fingerprints: its own and that of the modules it uses.
 */
export function buildRegistry(exported: readonly Exported[], code: (fn: FeatureFunction) => string): BuiltRegistry {
  const problems: Problem[] = []
  const collected = collect(exported, problems)
  const entities = byName(collected.entities, (one) => one.name, entityOf)
  const sources = byName(collected.sources, (one) => one.name, sourceOf)
  const names = featureNames(collected)
  const uses = new Map(collected.features.map((one) => [one.name, usesOf(one, names, problems)]))
  for (const one of collected.features) checkFeature(one, problems)
  checkCycles(collected.features, uses, problems)
  const features = buildFeatures(collected.features, { entities, sources, uses, code })
  checkUses(collected.features, features, uses, problems)
  const featureSets = byName(
    collected.featureSets,
    (one) => one.name,
    (one) => featureSetOf(one, features, names, problems),
  )
  const functions = new Map(collected.features.flatMap((one) => (one.draft.compute ? [[one.name, one.draft.compute] as const] : [])))
  return { registry: { entities, sources, features, featureSets }, problems: inOrder(problems, exported), functions }
}

function byName<D extends Draft, T>(all: readonly Named<D>[], name: (one: Named<D>) => string, make: (one: Named<D>) => T): Map<string, T> {
  const map = new Map<string, T>()
  for (const one of all) if (!map.has(name(one))) map.set(name(one), make(one))
  return map
}

function described(one: Named<Draft>) {
  const { description, owner, tags } = one.draft
  return { description, owner, tags, place: one.place }
}

function entityOf(one: Named<EntityDraft>): Entity {
  return { name: one.name, key: one.draft.key, keys: one.draft.keys, ...described(one) }
}

function sourceOf(one: Named<SourceDraft>): Source {
  const { file } = one.draft.options
  return { name: one.name, ...one.draft.options, file: file === null ? null : resolve(dirname(one.place.file), file), ...described(one) }
}

function featureSetOf(
  one: Named<FeatureSetDraft>,
  features: ReadonlyMap<string, Feature>,
  names: ReadonlyMap<unknown, string>,
  problems: Problem[],
): FeatureSet {
  const members: string[] = []
  const add = (message: string, hint: string) => void problems.push({ place: one.place, subject: one.subject, message, hint })
  for (const given of one.draft.features) {
    const name = memberName(given, names, add)
    if (name === null) continue
    if (members.includes(name)) add(`it names ${show(name)} twice.`, 'Name it once.')
    else if (resolves(features, name, add)) members.push(name)
  }
  return { name: one.name, features: members, ...described(one) }
}

/** Every feature object with its name; the objects learn theirs too. */
function featureNames(collected: Collected): ReadonlyMap<unknown, string> {
  for (const one of collected.features) rename(one.object, one.name)
  return new Map(collected.features.map((one) => [one.object, one.name]))
}

type Complain = (message: string, hint: string) => void

/** The name behind a member of a feature set or of `uses`: a feature, or a name. */
function memberName(given: unknown, names: ReadonlyMap<unknown, string>, complain: Complain): string | null {
  if (typeof given === 'string') return given
  const name = names.get(given)
  if (name !== undefined) return name
  const draft = draftOf(given)
  if (draft?.kind === 'feature') {
    const where = draft.place === null ? '' : ` (${formatPlace(draft.place)})`
    complain(`it names a feature${where} that is not exported.`, 'Write "export" before that feature.')
  } else if (draft !== undefined)
    complain(`it names the ${draft.kind.replace('_', ' ')} ${show(draft.name)}, which is no feature.`, 'Name features.')
  else if (given === undefined) complain('it names something undefined.', 'Define a feature above the place where it is named.')
  else complain(`it names ${show(given)}, which is no feature.`, 'Give features, or names such as "spend.avg_30d".')
  return null
}

function resolves(features: ReadonlyMap<string, Feature>, name: string, complain: Complain): boolean {
  try {
    resolveRef(features, name)
    return true
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    complain(`it names ${show(name)}. ${error.message}`, error.hint ?? '')
    return false
  }
}

/** Names as given, of features and columns. */
function usesOf(one: Named<FeatureDraft>, names: ReadonlyMap<unknown, string>, problems: Problem[]): readonly string[] {
  const add: Complain = (message, hint) => void problems.push({ place: one.place, subject: one.subject, message: `uses: ${message}`, hint })
  return [...new Set(one.draft.uses.map((given) => memberName(given, names, add)).filter((name) => name !== null))]
}

function checkUses(
  all: readonly Named<FeatureDraft>[],
  features: ReadonlyMap<string, Feature>,
  uses: ReadonlyMap<string, readonly string[]>,
  problems: Problem[],
): void {
  for (const one of all) {
    const add: Complain = (message, hint) =>
      void problems.push({ place: one.place, subject: one.subject, message: `uses: ${message}`, hint })
    for (const name of uses.get(one.name) ?? []) {
      if (!resolves(features, name, add)) continue
      const [own, other] = [features.get(one.name)?.entity, features.get(partOf(name))?.entity]
      if (own !== other && own !== '' && other !== '') {
        add(`${show(name)} describes ${other}, not ${own}.`, 'A feature is made of features of the same entity.')
      }
    }
  }
}

function partOf(name: string): string {
  return name.split('.')[0] ?? name
}

function checkFeature(one: Named<FeatureDraft>, problems: Problem[]): void {
  const add: Complain = (message, hint) => void problems.push({ place: one.place, subject: one.subject, message, hint })
  const { entity } = one.draft
  const draft = draftOf(entity)
  if (draft?.kind !== 'entity') {
    if (entity === undefined)
      add('entity is missing.', 'Write what it describes: entity: User, with const User = entity("User", { key: "user_id" }).')
    else if (typeof entity === 'string')
      add(`entity must be an entity, got the text ${show(entity)}.`, `Give the object: entity: ${entity || 'User'}.`)
    else if (draft !== undefined)
      add(`entity must be an entity, got the ${draft.kind.replace('_', ' ')} ${show(draft.name)}.`, 'Write entity: User.')
    else add(`entity must be an entity, got ${show(entity)}.`, 'Write entity: User, with const User = entity("User", { key: "user_id" }).')
    return
  }
  const key = draft.key.map((column) => column.name)
  const owner = draft.name ?? ''
  if (key.includes(one.name))
    add(`its name is a key column of ${owner}; a training set would have two columns of that name.`, 'Rename the feature.')
  for (const input of Object.keys(one.draft.inputs)) {
    if (key.includes(input))
      add(`the input "${input}" is a key column of ${owner}.`, 'Rename the input; functions get the key as their first argument.')
    if (input === one.name) add(`the input "${input}" has the feature's own name.`, 'Rename one of them.')
  }
  for (const { name } of one.draft.columns) {
    if (name !== null && key.includes(name)) add(`the column "${name}" is a key column of ${owner}.`, 'Rename the column.')
  }
}

/** Each circle is told once, at its first feature. */
function checkCycles(all: readonly Named<FeatureDraft>[], uses: ReadonlyMap<string, readonly string[]>, problems: Problem[]): void {
  const done = new Set<string>()
  const visit = (name: string, path: readonly string[]): void => {
    const start = path.indexOf(name)
    if (start !== -1) {
      const one = all.find((feature) => feature.name === name)
      const circle = [...path.slice(start), name].join(' → ')
      if (one)
        problems.push({
          place: one.place,
          subject: one.subject,
          message: `uses goes round in a circle: ${circle}.`,
          hint: 'Break it: take one of them out of uses.',
        })
      return
    }
    if (done.has(name)) return
    for (const part of uses.get(name) ?? []) visit(partOf(part), [...path, name])
    done.add(name)
  }
  for (const one of all) visit(one.name, [])
}

interface Surroundings {
  readonly entities: ReadonlyMap<string, Entity>
  readonly sources: ReadonlyMap<string, Source>
  readonly uses: ReadonlyMap<string, readonly string[]>
  readonly code: (fn: FeatureFunction) => string
}

/** Parts before wholes, because a fingerprint holds those of its parts; then in the order of definition again. */
function buildFeatures(all: readonly Named<FeatureDraft>[], around: Surroundings): Map<string, Feature> {
  const drafts = byName(
    all,
    (one) => one.name,
    (one) => one,
  )
  const built = new Map<string, Feature>()
  const build = (name: string, above: readonly string[]): Feature | undefined => {
    const one = drafts.get(name)
    if (one === undefined || above.includes(name)) return undefined
    let feature = built.get(name)
    if (feature === undefined) {
      const parts = [...new Set((around.uses.get(name) ?? []).map(partOf))].map((part) => build(part, [...above, name]))
      feature = featureOf(
        one,
        parts.filter((part) => part !== undefined),
        around,
      )
      built.set(name, feature)
    }
    return feature
  }
  return new Map(
    [...drafts.keys()].flatMap((name) => {
      const feature = build(name, [])
      return feature ? [[name, feature] as const] : []
    }),
  )
}

function featureOf(one: Named<FeatureDraft>, parts: readonly Feature[], around: Surroundings): Feature {
  const {
    entity,
    sql,
    compute,
    columns,
    inputs,
    refresh,
    maxStaleness,
    lookBack,
    defaults,
    timeout,
    keepWarm,
    history,
    replay,
    version,
    sameAs,
  } = one.draft
  const entityDraft = draftOf(entity)
  const owner = around.entities.get(entityDraft?.kind === 'entity' ? (entityDraft.name ?? '') : '')
  const code = compute !== null ? { text: around.code(compute) } : sql !== null ? { sql } : null
  return {
    name: one.name,
    entity: owner?.name ?? '',
    computation: compute !== null ? { kind: 'function' } : sql !== null ? { kind: 'sql', sql } : { kind: 'pushed' },
    columns,
    refresh,
    maxStaleness,
    lookBack: lookBack ?? maxStaleness,
    defaults,
    timeout,
    keepWarm,
    history,
    inputs,
    uses: parts.map((part) => part.name),
    replay,
    version,
    sameAs,
    fingerprint: fingerprint({
      columns,
      inputs,
      entity: owner ?? { name: '', key: [] },
      code,
      sources: around.sources.values(),
      uses: parts.map((part) => part.fingerprint),
      version,
    }),
    ...described(one),
  }
}

/** Files in the order given, then down each file. */
function inOrder(problems: readonly Problem[], exported: readonly Exported[]): Problem[] {
  const files = [...new Set(exported.map((one) => one.file))]
  const rank = (problem: Problem) => (problem.place === null ? -1 : files.indexOf(problem.place.file) + 1 || files.length + 1)
  return problems.toSorted((a, b) => rank(a) - rank(b) || (a.place?.line ?? 0) - (b.place?.line ?? 0))
}
