/** One feature of one key as of one moment, as a training set of that row would have it, where it can be computed for any time. */
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
  const method = await methodOf(feature, NOTHING_ASKED, { pastRefusal, hasHistory: async () => true })
  if (method === 'history') return null
  const options = { signal, timeoutMs: LONGEST_MS, mode: 'past' as const, chain: [] }
  const answers = await executor.compute(patient(feature), [{ key, asOf }], options)
  const computed = answers.at(0) ?? { kind: 'error' as const, error: new FabraError('internal', 'The engine gave no answer.') }
  return { method, computed }
}

const NOTHING_ASKED = { method: null, asServed: false }
