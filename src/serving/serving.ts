import { keyColumnJson, keyColumnsJson } from '../definition/entity-key.ts'
import type { FeatureRef, Registry } from '../definition/model.ts'
import { resolveRefs } from '../definition/registry.ts'
import { FabraError, suggest } from '../errors.ts'
import type { Engine } from './engine.ts'
import type { NextFiring } from './freshness.ts'
import { compilePlan, type Plan, type PlannedFeature, type PlanRow, planFeature } from './plan.ts'

/** Plans kept; a client that invents new feature lists all the time pays for its own compiling. */
const MAX_PLANS = 1_000

/** One version of the definitions, ready to answer. Replaced as a whole when the definitions change. */
export interface Serving {
  readonly registry: Registry
  readonly engine: Engine
  readonly planned: ReadonlyMap<string, PlannedFeature>
  /** @throws FabraError unknown_feature naming the nearest known one. */
  plan(names: readonly string[]): Plan
  /** The plan of one name. @throws FabraError unknown_feature */
  planOne(name: string): Plan
  /** @throws FabraError unknown_feature_set */
  planSet(name: string): Plan
}

export function createServing(options: { readonly registry: Registry; readonly engine: Engine; readonly nextFiring: NextFiring }): Serving {
  const { registry, engine, nextFiring } = options
  const planned = new Map([...registry.features].map(([name, feature]) => [name, planFeature(registry, feature, nextFiring)]))
  const plans = new Map<string, Plan>()

  function plan(names: readonly string[]): Plan {
    const id = names.join(',')
    let known = plans.get(id)
    if (!known) {
      known = compilePlan(resolveRefs(registry, names), planned)
      if (plans.size >= MAX_PLANS) plans.clear()
      plans.set(id, known)
    }
    return known
  }

  return {
    registry,
    engine,
    planned,
    plan,
    planOne: (name) => plans.get(name) ?? plan([name]),
    planSet(name) {
      const set = registry.featureSets.get(name)
      if (!set) {
        throw new FabraError('unknown_feature_set', `No feature set "${name}".`, { hint: suggest(name, [...registry.featureSets.keys()]) })
      }
      return plan(set.features)
    },
  }
}

/** The key columns of a row as answers show them; a column that two entities share is told once. */
export function rowEntityJson(plan: Plan, row: PlanRow): string {
  const [first] = plan.groups
  const [key] = row.keys
  if (plan.groups.length === 1 && first && key) return keyColumnsJson(first.entity, key)
  const parts = new Map<string, string>()
  plan.groups.forEach((group, g) => {
    group.entity.key.forEach((column, c) => {
      parts.set(column.name, keyColumnJson(column, row.keys[g]?.values[c] ?? ''))
    })
  })
  return `{${[...parts.values()].join(',')}}`
}

/** One feature asked as a whole: its columns as an object, or its single value. */
export function wholeValue(refs: readonly FeatureRef[], values: readonly string[], missing: boolean): string {
  const [only] = refs
  if (missing) return 'null'
  if (refs.length === 1 && only) return values[0] ?? 'null'
  return `{${refs.map((ref, i) => `${JSON.stringify(ref.feature.columns[ref.column]?.name)}:${values[i] ?? 'null'}`).join(',')}}`
}
