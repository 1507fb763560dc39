import type { PastReader } from '../compute/functions/as-of-reader.ts'
import type { Reader, ReadFrom, ReadPart } from '../compute/reader.ts'
import { type EntityKey, entityKey } from '../definition/entity-key.ts'
import type { Entity, Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { Plan } from './plan.ts'
import { type Serving, wholeValue } from './serving.ts'

/**
 * `get()`. In the present: the value that would be served now, by the same read path that serves requests. In the past: the part's own
 * value at that time.
 */
export function createPartReader(serving: () => Serving, past: () => PastReader): Reader {
  return {
    async read(name: string, from: ReadFrom): Promise<ReadPart> {
      const current = serving()
      const plan = current.planOne(name)
      const part = plan.refs[0]?.feature
      if (part) refuseCycle(part, from.chain)
      if (part) note(current, from.feature, part)
      const caller = current.registry.entities.get(from.feature.entity)
      const keys = plan.groups.map((group) => keyOfPart(caller, from, group.entity, name))
      refuseInputs(plan, name, from.feature)
      const [key] = keys
      if (from.mode === 'past' && key) return past().read(plan.refs, key, from, plan.asObject)
      const rows = [{ keys, inputs: undefined }]
      const { chain, isLook, timeoutMs: patienceMs } = from
      const [result] = await current.engine.read(plan, rows, { maxAge: null, chain, patienceMs, isLook })
      const error = result?.errors?.find((candidate) => candidate !== undefined)
      if (error) throw error
      const [source] = result?.sources ?? []
      if (!result || !source || result.statuses?.[0] === 'missing') return { text: undefined, eventAt: null }
      const eventAt = source.oldestInputAt ?? source.eventAt
      return { text: wholeValue(plan, result.values, false), eventAt }
    },
  }
}

function note({ partsRead }: Serving, { name }: Feature, part: Feature): void {
  const known = partsRead.get(name)
  if (known) known.add(part.name)
  else partsRead.set(name, new Set([part.name]))
}

function refuseCycle(part: Feature, chain: readonly string[]): void {
  const start = chain.indexOf(part.name)
  if (start < 0) return
  const cycle = [...chain.slice(start), part.name].join(' → ')
  throw new FabraError('feature_failed', `Features ask for each other in a cycle: ${cycle}.`, {
    hint: 'Take one of these get() calls out.',
  })
}

/** A part may belong to another entity when the asking feature's key has all of its columns. */
function keyOfPart(caller: Entity | undefined, from: ReadFrom, entity: Entity, name: string): EntityKey {
  if (!caller || entity.name === caller.name) return from.key
  const values = entity.key.map((column) => from.key.values[caller.key.findIndex((own) => own.name === column.name)])
  const absent = entity.key.find((_, i) => values[i] === undefined)
  if (!absent) return entityKey(entity, values)
  throw new FabraError(
    'feature_failed',
    `get("${name}") in "${from.feature.name}": ${entity.name} is keyed by ${absent.name}, which ${caller.name} does not have.`,
    {
      hint: `Only features of entities whose key columns are among ${caller.key.map((column) => column.name).join(', ')} can be read here.`,
    },
  )
}

function refuseInputs(plan: Plan, name: string, caller: Feature): void {
  if (plan.inputs.size === 0) return
  const inputs = [...plan.inputs.keys()].join(', ')
  throw new FabraError(
    'feature_failed',
    `get("${name}") in "${caller.name}": that feature needs the input ${inputs}, which only a request has.`,
    {
      hint: 'Declare the input on the asking feature and compute there.',
    },
  )
}
