/** Features of one key as of one moment, as a training set of that row would have them, where they can be computed for any time. */
import type { Micros } from '../clock.ts'
import type { Computed } from '../compute/executor.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { TrainingDependencies } from './job.ts'
import { methodOf } from './methods.ts'
import type { Method } from './options.ts'
import { patient } from './row-by-row.ts'

const LONGEST_MS = 25_000

export interface OneRow {
  readonly feature: Feature
  readonly key: EntityKey
  readonly asOf: Micros
}

export interface ManyOfRow {
  readonly features: readonly Feature[]
  readonly key: EntityKey
  readonly asOf: Micros
  readonly onAnswer: (feature: Feature, answer: OneAnswer) => void
}

export interface OneAnswer {
  readonly method: Method
  readonly computed: Computed
}

/** @throws FabraError not_trainable. Null: its past is what was recorded. */
export async function computeOne(
  { feature, key, asOf }: OneRow,
  { executor, pastRefusal }: Pick<TrainingDependencies, 'executor' | 'pastRefusal'>,
  signal: AbortSignal,
): Promise<OneAnswer | null> {
  const method = await naturalMethodOf(feature, pastRefusal)
  if (method === 'history') return null
  const options = { signal, timeoutMs: LONGEST_MS, mode: 'past' as const, chain: [] }
  const answers = await executor.compute(patient(feature), [{ key, asOf }], options)
  const computed = answers.at(0) ?? { kind: 'error' as const, error: new FabraError('internal', 'The engine gave no answer.') }
  return { method, computed }
}

/** Tells of those that go together, in no order; the others, and those that fail, are to be asked for one by one. */
export async function computeMany(
  { features, key, asOf, onAnswer }: ManyOfRow,
  { pastOfKey }: Pick<TrainingDependencies, 'pastOfKey'>,
  signal: AbortSignal,
): Promise<void> {
  const tell = (feature: Feature, computed: Computed) => onAnswer(feature, { method: 'recompute', computed })
  await pastOfKey(features, { key, asOf }, { signal, timeoutMs: LONGEST_MS, onAnswer: tell })
}

function naturalMethodOf(feature: Feature, pastRefusal: TrainingDependencies['pastRefusal']): Promise<Method> {
  return methodOf(feature, { method: null, asServed: false }, { pastRefusal, hasHistory: async () => true })
}
