import type { Micros } from '../clock.ts'
import { type EntityKey, entityKeyFromRow } from '../definition/entity-key.ts'
import { type FreshnessRule, freshnessRule, isPushed, isRealtime, type NextFiring, takesInputs } from '../definition/feature-traits.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Entity, Feature, FeatureRef, Registry } from '../definition/model.ts'
import { encodeValue } from '../definition/value.ts'
import { FabraError, suggest } from '../errors.ts'
import type { ReadTally } from '../observability/read-statistics.ts'

/** One feature as a plan reads it. */
export interface PlannedFeature {
  readonly feature: Feature
  readonly entity: Entity
  readonly field: string
  readonly rule: FreshnessRule
  readonly pushed: boolean
  readonly realtime: boolean
  readonly takesInputs: boolean
}

/** Features of one entity, read in one round trip. */
export interface PlanGroup {
  readonly entity: Entity
  readonly features: readonly PlannedFeature[]
  readonly fields: readonly string[]
  /** Per feature: which refs of the plan are its columns. */
  readonly targets: readonly (readonly PlanTarget[])[]
  /** The plan's only group, of stored features that are asked for once each, in the order of the refs: a row of it is a row of the store. */
  readonly isStraight: boolean
  /** Greatest age at which a value of any of the features is fresh; negative where age alone does not decide. */
  readonly freshFor: Micros
}

export interface PlanTarget {
  readonly ref: number
  readonly column: number
}

/** A list of features, resolved once and used by every request that names the same list. */
export interface Plan {
  readonly refs: readonly FeatureRef[]
  /** Their names as answers repeat them. */
  readonly namesJson: string
  /** How answers say of a row that all of it is fresh and from the online store. */
  readonly freshJson: string
  readonly groups: readonly PlanGroup[]
  /** Key columns and inputs that a row of this plan may hold. */
  readonly columns: readonly string[]
  readonly inputs: ReadonlyMap<string, { readonly type: Feature['inputs'][string] }>
  /** One feature with columns, asked for by its own name: its value is an object. */
  readonly asObject: boolean
  /** What is read by it is counted here, from the first read on. */
  tally: ReadTally | undefined
}

/** One row of a request: a key per group of the plan, and the inputs given. */
export interface PlanRow {
  readonly keys: readonly EntityKey[]
  readonly inputs: Readonly<Record<string, unknown>> | undefined
}

export function planFeature(registry: Registry, feature: Feature, nextFiring: NextFiring): PlannedFeature {
  const entity = registry.entities.get(feature.entity)
  if (!entity) throw new FabraError('internal', `Entity ${feature.entity} of ${feature.name} is not in the registry.`)
  return {
    feature,
    entity,
    field: fieldOf(feature),
    rule: freshnessRule(feature, nextFiring),
    pushed: isPushed(feature),
    realtime: isRealtime(feature),
    takesInputs: takesInputs(feature),
  }
}

export function compilePlan(refs: readonly FeatureRef[], planned: ReadonlyMap<string, PlannedFeature>, asObject = false): Plan {
  const groups: { entity: Entity; features: PlannedFeature[]; targets: { ref: number; column: number }[][] }[] = []
  refs.forEach((ref, r) => {
    const feature = planned.get(ref.feature.name)
    if (!feature) throw new FabraError('internal', `Feature ${ref.feature.name} was not planned.`)
    let group = groups.find((candidate) => candidate.entity.name === feature.entity.name)
    if (!group) {
      group = { entity: feature.entity, features: [], targets: [] }
      groups.push(group)
    }
    let index = group.features.indexOf(feature)
    if (index < 0) index = group.features.push(feature) - 1
    group.targets[index] ??= []
    group.targets[index]?.push({ ref: r, column: ref.column })
  })
  const inputs = new Map<string, { type: Feature['inputs'][string] }>()
  for (const ref of refs) for (const [name, type] of Object.entries(ref.feature.inputs)) inputs.set(name, { type })
  const keyColumns = groups.flatMap((group) => group.entity.key.map((column) => column.name))
  return {
    refs,
    namesJson: JSON.stringify(refs.map((ref) => ref.name)),
    freshJson: `"statuses":${JSON.stringify(refs.map(() => 'fresh'))},"served_from":${JSON.stringify(refs.map(() => 'online'))}`,
    groups: groups.map((group) => ({
      ...group,
      fields: group.features.map((feature) => feature.field),
      isStraight:
        groups.length === 1 &&
        group.targets.every((targets, f) => targets.length === 1 && targets[0]?.ref === f) &&
        !group.features.some(({ realtime }) => realtime),
      freshFor: Math.min(...group.features.map(({ rule }) => freshAtAnyAgeBelow(rule))),
    })),
    columns: [...new Set([...keyColumns, ...inputs.keys()])],
    inputs,
    asObject,
    tally: undefined,
  }
}

function freshAtAnyAgeBelow({ freshFor, maxStaleness }: FreshnessRule): Micros {
  return Math.min(freshFor ?? Number.NEGATIVE_INFINITY, maxStaleness ?? Number.POSITIVE_INFINITY)
}

/**
 * A request's row, checked: all key columns there, nothing unknown, inputs of the declared types.
 * @throws FabraError invalid_key or invalid_input, without the row's index (the caller knows it).
 */
export function planRow(plan: Plan, row: Readonly<Record<string, unknown>>): PlanRow {
  for (const name of Object.keys(row)) {
    if (!plan.columns.includes(name)) {
      throw new FabraError('invalid_key', `"${name}" is neither a key column nor an input of the features asked for.`, {
        hint: suggest(name, plan.columns),
      })
    }
  }
  const keys = plan.groups.map((group) => entityKeyFromRow(group.entity, row))
  if (plan.inputs.size === 0) return { keys, inputs: undefined }
  const inputs: Record<string, unknown> = Object.create(null)
  for (const [name, { type }] of plan.inputs) {
    if (!Object.hasOwn(row, name)) {
      throw new FabraError('invalid_input', `The input "${name}" (${type}) is missing.`, { hint: `Send "${name}" beside the key columns.` })
    }
    inputs[name] = checkedInput(name, type, row[name])
  }
  return { keys, inputs }
}

function checkedInput(name: string, type: Feature['inputs'][string], value: unknown): unknown {
  try {
    encodeValue(type, value)
    return value
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    // Its hint speaks to the author of a function, not to the sender of a request.
    throw new FabraError('invalid_input', `The input "${name}": ${error.message}`, { hint: `"${name}" is declared as ${type}.` })
  }
}

export interface ReadOptions {
  readonly maxAge: Micros | null
  /** Features being computed further up. Default none. */
  readonly chain?: readonly string[]
  /** Time that whoever asks has left, where that is more than a feature's usual time. */
  readonly patienceMs?: number
  /** Somebody looks, and no model reads: what is read does not come into use by it. Default false. */
  readonly isLook?: boolean | undefined
}
