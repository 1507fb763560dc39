/** What is settled before anything is computed: which features, by which methods, and what the labels must hold. */
import type { Entity, Feature, FeatureRef, Registry } from '../definition/model.ts'
import { resolveRefs } from '../definition/refs.ts'
import type { RunOptions, TableColumn } from '../store/ports/source-engine.ts'
import type { AsOfRequest, Labels, TrainingWorkspace } from '../store/ports/training-store.ts'
import { checkColumnNames, outputColumns } from './columns.ts'
import type { TrainingDependencies } from './job.ts'
import { methodOf } from './methods.ts'
import type { Method, TrainingOptions } from './options.ts'
import { readsOf } from './resume-identity.ts'
import type { TrainingWarning } from './summary.ts'

/** Which features by which method; refused before anything runs. */
export async function methodsOf(
  registry: Registry,
  dependencies: TrainingDependencies,
  workspace: Pick<TrainingWorkspace, 'hasHistory'>,
  options: TrainingOptions,
): Promise<{ readonly refs: readonly FeatureRef[]; readonly methods: ReadonlyMap<Feature, Method> }> {
  const unique = uniqueRefs(registry, options)
  const methods = new Map<Feature, Method>()
  const facts = {
    pastRefusal: dependencies.pastRefusal,
    hasHistory: (feature: Feature) => workspace.hasHistory(feature.name, feature.fingerprint),
  }
  await dependencies.flush()
  for (const { feature } of unique) if (!methods.has(feature)) methods.set(feature, await methodOf(feature, options, facts))
  return { refs: unique, methods }
}

/** What makes it slow to compute these features. */
export async function slowSourcesOf(
  registry: Registry,
  dependencies: Pick<TrainingDependencies, 'slowSources' | 'sourcesOf' | 'pastRefusal'>,
  methods: ReadonlyMap<Feature, Method>,
): Promise<readonly TrainingWarning[]> {
  const read = [...methods.keys()].filter((feature) => methods.get(feature) !== 'history')
  if (read.length === 0) return []
  const { sourcesOf, pastRefusal } = dependencies
  const { sources } = readsOf(read, { registry, sourcesOf, pastRefusal })
  return dependencies.slowSources([...new Set(sources)], entitiesOf(registry, read))
}

export function entitiesOf(registry: Registry, features: readonly Feature[]): Entity[] {
  const names = [...new Set(features.map((feature) => feature.entity))]
  return names.flatMap((name) => registry.entities.get(name) ?? [])
}

/** Labels with everything the features need. @returns how many rows there are, and the columns of the labels. */
export async function readRows(
  registry: Registry,
  dependencies: Pick<TrainingDependencies, 'clientSql'>,
  workspace: TrainingWorkspace,
  { labels, options }: { readonly labels: Labels; readonly options: TrainingOptions },
  run: RunOptions,
): Promise<{ readonly rows: number; readonly columns: readonly TableColumn[] }> {
  const refs = uniqueRefs(registry, options)
  const features = [...new Set(refs.map((ref) => ref.feature))]
  const readable = 'sql' in labels ? { sql: await dependencies.clientSql(labels.sql) } : labels
  const sample = options.sample === null ? null : { count: options.sample, by: options.timestamp }
  const labelColumns = await workspace.readLabels(readable, options.format === 'csv', run, sample)
  checkColumnNames(labelColumns, outputColumns(refs, features, options), features, options.timestamp)
  const { timestamp, timezone } = options
  const rows = await workspace.prepareRows({ entities: entitiesOf(registry, features), timestamp, timezone }, run)
  return { rows, columns: labelColumns }
}

/** Each feature and column once. */
function uniqueRefs(registry: Registry, options: TrainingOptions): FeatureRef[] {
  const refs = resolveRefs(registry, options.features)
  const seen = new Set<string>()
  return refs.filter(({ name }) => seen.size < seen.add(name).size)
}

/** What is asked of history for a feature. */
export function questionOf({ name, fingerprint, maxStaleness, lookBack, columns }: Feature, options: TrainingOptions): AsOfRequest {
  const { asServed, latestKnowledge, snapshot } = options
  return {
    feature: name,
    fingerprint,
    lookBack: asServed ? maxStaleness : lookBack,
    knowledge: latestKnowledge ? 'latest' : asServed ? 'served' : 'serving',
    snapshot,
    type: plainType(columns),
    members: columns.flatMap((column) => column.name ?? []),
  }
}

/** Texts are left where a value has several columns, or a form of its own. */
function plainType(columns: Feature['columns']): AsOfRequest['type'] {
  const [only] = columns
  if (columns.length !== 1 || !only || only.name !== null) return null
  return only.type === 'list' || only.type === 'dict' || only.type === 'json' ? null : only.type
}
