/** What is recorded of one key: the steps of each value in a window, what it was before, and how much changed when. */
import type { Micros } from '../../clock.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import { tellsAll } from '../../definition/history-sample.ts'
import type { Feature } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import type { HistoryRow } from '../../store/ports/offline-store.ts'
import type { HttpOptions } from '../options.ts'

/** Recorded rows of all features together; of each at most and, however many there are, at least as many. */
const MOST_ROWS = 10_000
const MOST_STEPS = 200
const FEWEST_STEPS = 20
const BINS = 84

export interface KeyHistory {
  /** JSON of a feature's `history`, `history_is_cut`, `before`, `changed_at` and `is_recorded`. */
  of(feature: Feature): string
  /** JSON of `changes`. */
  readonly changes: string
}

export async function keyHistory(
  options: HttpOptions,
  features: readonly Feature[],
  { key, from, to }: { readonly key: EntityKey; readonly from: Micros; readonly to: Micros },
): Promise<KeyHistory> {
  const most = Math.max(FEWEST_STEPS, Math.min(MOST_STEPS, Math.floor(MOST_ROWS / Math.max(1, features.length))))
  const rows = await options.historyOfKey({
    features: features.map(({ name, fingerprint }) => ({ feature: name, fingerprint })),
    entityKey: key.encoded,
    to,
    limit: most + 1,
  })
  const keptSince = await options.keptSince(features.map(({ name }) => name))
  const byFeature = Map.groupBy(rows, ({ feature }) => feature)
  const steps = new Map(features.map(({ name }) => [name, changesOf(byFeature.get(name) ?? [])]))
  const written = new Map(
    [...steps].map(([name, some]) => {
      const found = byFeature.get(name) ?? []
      const isCut = (found.length > most && (found.at(-1)?.eventAt ?? from) > from) || (keptSince.get(name) ?? from) > from
      return [name, stepsJson(some, { from, isCut })]
    }),
  )
  return {
    // Written once: a page asks until all values of a moment are there.
    of: (feature) =>
      `${written.get(feature.name) ?? stepsJson([], { from, isCut: false })},"is_recorded":${tellsAll(feature, key.encoded)}`,
    changes: countsJson([...steps.values()].flat(), from, to),
  }
}

interface Step {
  readonly at: Micros
  /** JSON; null: nothing is known from then on. */
  readonly value: string | null
  /** The oldest that was read: whether it changed anything is not known. */
  readonly isFirst: boolean
}

/** Oldest first; rows that say the same as the one before are left out. @param rows Newest first. */
function changesOf(rows: readonly HistoryRow[]): readonly Step[] {
  const steps: Step[] = []
  for (const { eventAt, value } of rows.toReversed())
    if (steps.length === 0 || steps.at(-1)?.value !== value) steps.push({ at: eventAt, value, isFirst: steps.length === 0 })
  return steps
}

function stepsJson(steps: readonly Step[], { from, isCut }: { readonly from: Micros; readonly isCut: boolean }): string {
  const inWindow = steps.findIndex(({ at }) => at >= from)
  const shown = inWindow < 0 ? steps.slice(-1) : steps.slice(Math.max(0, inWindow - 1))
  const [last, before] = [steps.at(-1), steps.at(-2)]
  const history = shown.map(({ at, value }) => `{"at":"${formatTime(at)}"${value === null ? '' : `,"value":${value}`}}`)
  const changedAt = last ? `"${formatTime(last.at)}"` : 'null'
  const was = before ? `{"value":${before.value ?? 'null'},"at":"${formatTime(before.at)}"}` : 'null'
  return `"history":[${history.join(',')}],"history_is_cut":${isCut},"before":${was},"changed_at":${changedAt}`
}

function countsJson(steps: readonly Step[], from: Micros, to: Micros): string {
  const step = Math.max(1, Math.ceil((to - from) / BINS / 1000) * 1000)
  const counts = new Array<number>(BINS).fill(0)
  for (const { at } of steps) {
    if (at < from || at > to) continue
    const bin = Math.min(BINS - 1, Math.floor((at - from) / step))
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  return `{"from":"${formatTime(from)}","step_ms":${step / 1000},"counts":[${counts.join(',')}]}`
}
