import { dirname, resolve } from 'node:path'
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
import type { ClockUse, Entity, Feature, FeatureSet, Problem, Registry, Source } from './model.ts'
import { inItsLanguage } from './python-words.ts'
import { checkCycles, checkFeature, checkUses, memberName, partOf, resolves, usesOf } from './registry-checks.ts'
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
 * @param clock Where a function looks at the clock.
 */
export function buildRegistry(
  exported: readonly Exported[],
  code: (fn: FeatureFunction) => string,
  clock: (fn: FeatureFunction) => readonly ClockUse[] = () => [],
): BuiltRegistry {
  const problems: Problem[] = []
  const collected = collect(exported, problems)
  const entities = byName(collected.entities, (one) => one.name, entityOf, withKeys)
  const sources = byName(collected.sources, (one) => one.name, sourceOf)
  const names = featureNames(collected)
  const uses = new Map(collected.features.map((one) => [one.name, usesOf(one, names, problems)]))
  for (const one of collected.features) checkFeature(one, problems)
  checkCycles(collected.features, uses, problems)
  const features = buildFeatures(collected.features, { entities, sources, uses, code, clock })
  checkUses(collected.features, features, uses, problems)
  const featureSets = byName(
    collected.featureSets,
    (one) => one.name,
    (one) => featureSetOf(one, features, names, problems),
  )
  const functions = new Map(collected.features.flatMap((one) => (one.draft.compute ? [[one.name, one.draft.compute] as const] : [])))
  return { registry: { entities, sources, features, featureSets }, problems: inOrder(problems, exported).map(inItsLanguage), functions }
}

/** @param merge What becomes of the first one when there is another of its name. */
function byName<D extends Draft, T>(
  all: readonly Named<D>[],
  name: (one: Named<D>) => string,
  make: (one: Named<D>) => T,
  merge: (first: T, one: Named<D>) => T = (first) => first,
): Map<string, T> {
  const map = new Map<string, T>()
  for (const one of all) {
    const first = map.get(name(one))
    map.set(name(one), first === undefined ? make(one) : merge(first, one))
  }
  return map
}

function described(one: Named<Draft>) {
  const { owner, tags } = one.draft
  return { description: one.description, owner, tags, location: one.location }
}

function entityOf(one: Named<EntityDraft>): Entity {
  return { name: one.name, key: one.draft.key, keys: one.draft.keys, ...described(one) }
}

/** Each language declares an entity for itself; the query for its keys and words about it need be said in one of them only. */
function withKeys(first: Entity, one: Named<EntityDraft>): Entity {
  return {
    ...first,
    keys: first.keys ?? one.draft.keys,
    description: first.description ?? one.description,
    owner: first.owner ?? one.draft.owner,
  }
}

function sourceOf(one: Named<SourceDraft>): Source {
  const { file } = one.draft.options
  const absolute = (path: string) => resolve(dirname(one.location.file), path)
  const files = file === null ? null : typeof file === 'string' ? absolute(file) : file.map(absolute)
  return { name: one.name, ...one.draft.options, file: files, ...described(one) }
}

function featureSetOf(
  one: Named<FeatureSetDraft>,
  features: ReadonlyMap<string, Feature>,
  names: ReadonlyMap<unknown, string>,
  problems: Problem[],
): FeatureSet {
  const members: string[] = []
  const add = (message: string, hint: string) => void problems.push({ location: one.location, subject: one.subject, message, hint })
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

interface Surroundings {
  readonly entities: ReadonlyMap<string, Entity>
  readonly sources: ReadonlyMap<string, Source>
  readonly uses: ReadonlyMap<string, readonly string[]>
  readonly code: (fn: FeatureFunction) => string
  readonly clock: (fn: FeatureFunction) => readonly ClockUse[]
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
    keep,
    history,
    replay,
    batch,
    nan,
    version,
    sameAs,
  } = one.draft
  const entityDraft = draftOf(entity)
  const owner = around.entities.get(entityDraft?.kind === 'entity' ? (entityDraft.name ?? '') : '')
  const code = compute !== null ? { text: around.code(compute) } : sql !== null ? { sql } : null
  const said = {
    columns,
    inputs,
    entity: owner ?? { name: '', key: [] },
    code,
    sources: [...around.sources.values()],
    uses: parts.map((part) => part.fingerprint),
    nan,
  }
  const own = fingerprint({ ...said, version })
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
    keep,
    history: history ?? 'auto',
    ...(history === null ? { historyUnsaid: true } : {}),
    inputs,
    uses: parts.map((part) => part.name),
    replay,
    batch,
    nan,
    clock: compute === null ? [] : around.clock(compute),
    ...(compute !== null && /\bdb\b/.test(around.code(compute)) ? { readsDb: true as const } : {}),
    version,
    sameAs,
    fingerprint: own,
    codeFingerprint: version === null ? own : fingerprint({ ...said, version: null }),
    ...described(one),
  }
}

/** Files in the order given, then down each file. */
function inOrder(problems: readonly Problem[], exported: readonly Exported[]): Problem[] {
  const files = [...new Set(exported.map((one) => one.file))]
  const rank = (problem: Problem) => (problem.location === null ? -1 : files.indexOf(problem.location.file) + 1 || files.length + 1)
  return problems.toSorted((a, b) => rank(a) - rank(b) || (a.location?.line ?? 0) - (b.location?.line ?? 0))
}
