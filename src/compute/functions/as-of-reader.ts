/**
 * `get()` in the past: a part's own value at the row's time. What can be computed for any time is computed again (SQL over timed sources,
 * functions that replay); the rest is what was recorded and could have been served then. Questions of one turn about one part go as one batch.
 */
import type { Micros } from '../../clock.ts'
import type { List } from '../../collections/chunked-list.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import { fieldOf } from '../../definition/feature-version.ts'
import type { Feature, FeatureRef } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Computed, Executor } from '../executor.ts'
import type { ReadFrom, ReadPart } from '../reader.ts'

const TIMEOUT_MS = 30_000

/** What was recorded for a key and could have been served at a time. */
export type RecordedAt = (
  feature: Feature,
  key: EntityKey,
  asOf: Micros,
) => Promise<{ readonly texts: readonly string[] | null; readonly eventAt: Micros } | undefined>

export interface PastReaderOptions {
  readonly executor: Executor
  /** Whether a feature can be computed as of any time. */
  readonly recomputable: (feature: Feature) => boolean
  readonly recordedAt: RecordedAt
}

interface ReadRequest {
  readonly key: EntityKey
  readonly from: ReadFrom
  readonly resolve: (computed: Computed) => void
}

export interface PastReader {
  /** @param refs All columns asked for, of one feature. @param key Of that feature's entity. @param asObject Columns by name, even if it is one. */
  read(refs: readonly FeatureRef[], key: EntityKey, from: ReadFrom, asObject: boolean): Promise<ReadPart>
}

export function createPastReader(options: PastReaderOptions): PastReader {
  const waiting = new Map<string, ReadRequest[]>()

  function compute(part: Feature, key: EntityKey, from: ReadFrom): Promise<Computed> {
    return new Promise((resolve) => {
      const id = fieldOf(part)
      const requests = waiting.get(id)
      if (requests) {
        requests.push({ key, from, resolve })
        return
      }
      waiting.set(id, [{ key, from, resolve }])
      queueMicrotask(() => {
        const batch = waiting.get(id) ?? []
        waiting.delete(id)
        void computeBatch(part, batch)
      })
    })
  }

  async function computeBatch(part: Feature, batch: readonly ReadRequest[]): Promise<void> {
    const rows = batch.map(({ key, from }) => ({ key, asOf: from.asOf }))
    // The batch goes on until none of those who asked waits any more.
    const signal = batch.length === 1 && batch[0] ? batch[0].from.signal : AbortSignal.timeout(TIMEOUT_MS)
    const chain = batch[0]?.from.chain ?? []
    const answers = await options.executor
      .compute(part, rows, { signal, timeoutMs: TIMEOUT_MS, mode: 'past', chain })
      .catch((cause): List<Computed> => {
        const error =
          cause instanceof FabraError ? cause : new FabraError('feature_failed', `The feature "${part.name}" failed.`, { cause })
        return batch.map(() => ({ kind: 'error', error }))
      })
    batch.forEach(({ resolve }, i) => {
      resolve(answers.at(i) ?? { kind: 'missing' })
    })
  }

  async function valueAt(
    part: Feature,
    key: EntityKey,
    from: ReadFrom,
  ): Promise<{ texts: readonly string[] | null; eventAt: Micros | null }> {
    if (!options.recomputable(part)) return (await options.recordedAt(part, key, from.asOf)) ?? { texts: null, eventAt: null }
    const computed = await compute(part, key, from)
    if (computed.kind === 'error') throw computed.error
    return computed.kind === 'value'
      ? { texts: computed.texts, eventAt: computed.oldestInputAt ?? from.asOf }
      : { texts: null, eventAt: null }
  }

  return {
    async read(refs, key, from, asObject) {
      const part = refs[0]?.feature
      if (!part) return { text: undefined, eventAt: null }
      const { texts, eventAt } = await valueAt(part, key, from)
      const served = texts ?? part.defaults
      if (!served) return { text: undefined, eventAt: null }
      return { text: textOf(refs, served, asObject), eventAt }
    },
  }
}

function textOf(refs: readonly FeatureRef[], texts: readonly string[], asObject: boolean): string {
  const [only] = refs
  if (!asObject && only) return texts[only.column] ?? 'null'
  return `{${refs.map((ref) => `${JSON.stringify(ref.feature.columns[ref.column]?.name)}:${texts[ref.column] ?? 'null'}`).join(',')}}`
}
