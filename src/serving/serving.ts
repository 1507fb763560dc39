import { keyColumnJson, keyColumnsJson } from '../definition/entity-key.ts'
import type { NextFiring } from '../definition/feature-traits.ts'
import type { Registry } from '../definition/model.ts'
import { resolveRef, resolveRefs } from '../definition/refs.ts'
import { FabraError, suggest } from '../errors.ts'
import type { Engine } from './engine.ts'
import { compilePlan, type Plan, type PlannedFeature, type PlanRow, planFeature } from './plan.ts'

/** Plans kept; a client that invents new feature lists all the time pays for its own compiling. */
const MAX_PLANS = 1_000

/** One version of the definitions, ready to answer. Replaced as a whole when the definitions change. */
export interface Serving {
  readonly registry: Registry
  readonly engine: Engine
  readonly planned: ReadonlyMap<string, PlannedFeature>
  /** By feature: those that its function was seen to read. */
  readonly partsRead: Map<string, Set<string>>
  /**
   * @param isLasting Nobody changes the list, and it is the same object each time that somebody asks for it.
   * @throws FabraError unknown_feature naming the nearest known one.
   */
  plan(names: readonly string[], isLasting?: boolean): Plan
  /** The plan of one feature or column, never of a feature set. @throws FabraError unknown_feature */
  planOne(name: string): Plan
  /** @throws FabraError unknown_feature_set */
  planSet(name: string): Plan
}

export function createServing(options: { readonly registry: Registry; readonly engine: Engine; readonly nextFiring: NextFiring }): Serving {
  const { registry, engine, nextFiring } = options
  const planned = new Map([...registry.features].map(([name, feature]) => [name, planFeature(registry, feature, nextFiring)]))
  return servingOf({ registry, engine, planned, partsRead: new Map() })
}

/** The same definitions as if those were all that the registry holds: nothing else is planned, named or suggested. */
export function confineServing({ engine, planned, partsRead }: Serving, registry: Registry): Serving {
  return servingOf({ registry, engine, planned: new Map([...planned].filter(([name]) => registry.features.has(name))), partsRead })
}

function servingOf(facts: Pick<Serving, 'registry' | 'engine' | 'planned' | 'partsRead'>): Serving {
  const { registry, planned } = facts
  const plans = new Map<string, { readonly plan: Plan; readonly count: number }>()
  const lasting = new WeakMap<readonly string[], Plan>()
  const single = new Map<string, Plan>()

  function plan(names: readonly string[], isLasting = false): Plan {
    if (!isLasting) return planByNames(names)
    const known = lasting.get(names)
    if (known) return known
    const found = planByNames(names)
    lasting.set(names, found)
    return found
  }

  function planByNames(names: readonly string[]): Plan {
    const id = names.join(',')
    const known = plans.get(id)
    // No known name has a comma, so lists that look alike differ in length.
    if (known?.count === names.length) return known.plan
    const compiled = compilePlan(resolveRefs(registry, names), planned)
    if (plans.size >= MAX_PLANS) plans.clear()
    plans.set(id, { plan: compiled, count: names.length })
    return compiled
  }

  function planOne(name: string): Plan {
    const known = single.get(name)
    if (known) return known
    if (registry.featureSets.has(name)) {
      throw new FabraError('unknown_feature', `"${name}" is a feature set, not a feature.`, {
        hint: `POST /v1/features with "feature_set": "${name}".`,
      })
    }
    const refs = resolveRef(registry.features, name)
    const compiled = compilePlan(refs, planned, registry.features.has(name) && refs[0]?.feature.columns[0]?.name !== null)
    single.set(name, compiled)
    return compiled
  }

  return {
    ...facts,
    plan,
    planOne,
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
  const first = plan.groups[0]
  const key = row.keys[0]
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
export function wholeValue(plan: Plan, values: readonly string[], missing: boolean): string {
  if (missing) return 'null'
  if (!plan.asObject) return values[0] ?? 'null'
  return `{${plan.refs.map((ref, i) => `${JSON.stringify(ref.feature.columns[ref.column]?.name)}:${values[i] ?? 'null'}`).join(',')}}`
}
