import type { Micros } from '../../clock.ts'
import { fieldOf } from '../../definition/feature-version.ts'
import type { Feature } from '../../definition/model.ts'
import type { HistoryRow } from '../ports/offline-store.ts'
import type { StoredWrite } from '../ports/online-store.ts'
import type { Erasures } from './erasures.ts'
import type { FeaturePolicy, HistoryPolicy, Judgement } from './history-policy.ts'
import { toHistoryText } from './history-text.ts'
import { historyRow, type RecordedWrite } from './recorded-write.ts'
import type { NextSeq } from './sequence.ts'
import type { SetAside } from './set-aside.ts'

/** What a batch of values becomes, before either store has seen it. */
export interface PreparedWrites {
  /** For the online store. */
  readonly stored: readonly StoredWrite[]
  /** Of each that is stored: the write that it was. */
  readonly shown: readonly RecordedWrite[]
  /** For history. */
  readonly rows: readonly HistoryRow[]
  /** Indexes of the writes that an erasure hides. */
  readonly erased: readonly number[]
  /** Indexes into `stored`: values that history leaves out since it holds an equal one, or has none of their keys. */
  readonly suppressed: ReadonlySet<number>
}

export interface PrepareOptions {
  readonly erasures: Erasures
  readonly policy: HistoryPolicy
  readonly setAside: Pick<SetAside, 'has'>
  readonly nextSeq: NextSeq
}

const NOT_JUDGED: Judgement = { rows: [], after: undefined }

/** Decides what each store gets of values that were computed. */
export function prepareWrites(writes: readonly RecordedWrite[], createdAt: Micros, options: PrepareOptions): PreparedWrites {
  const { erasures, policy, setAside, nextSeq } = options
  const stored: StoredWrite[] = []
  const shown: RecordedWrite[] = []
  const rows: HistoryRow[] = []
  const erased: number[] = []
  const suppressed = new Set<number>()
  let last: { readonly feature: Feature; readonly field: string; readonly policy: FeaturePolicy } | undefined
  for (const [w, write] of writes.entries()) {
    const { feature, entity, key, value } = write
    if (erasures.isErased(entity.name, key.encoded, value.eventAt)) {
      erased.push(w)
      continue
    }
    shown.push(write)
    if (feature !== last?.feature) last = { feature, field: fieldOf(feature), policy: policy.of(feature) }
    const { field } = last
    const seq = nextSeq(createdAt)
    const { texts, eventAt, availableAt, origin, oldestInputAt } = value
    const isRefused = setAside.has(field, key.encoded)
    const judged = { eventAt, availableAt, origin, text: toHistoryText(feature, texts), seq }
    const judgement = isRefused ? NOT_JUDGED : last.policy.judge(key.encoded, judged)
    if (judgement.rows.length === 0 && !isRefused) suppressed.add(stored.length)
    stored.push({
      entity: entity.name,
      key: key.encoded,
      field,
      value: { texts, eventAt, availableAt, seq, origin, oldestInputAt },
      after: judgement.after,
    })
    for (const [i, one] of judgement.rows.entries())
      rows.push(historyRow(write, one, { createdAt, seq: i === 0 ? seq : nextSeq(createdAt) }))
  }
  return { stored, shown, rows, erased, suppressed }
}

/** Indexes into the writes that went on, as indexes into all of them. */
export function withErased(refused: readonly number[], erased: readonly number[], count: number): readonly number[] {
  if (erased.length === 0) return refused
  const behind = new Set(erased)
  const shown = Array.from({ length: count }, (_, i) => i).filter((i) => !behind.has(i))
  return [...refused.map((i) => shown[i] ?? i), ...erased].sort((a, b) => a - b)
}
