/** What was recorded and is gone by now has no answer: a row that asks about such a time is refused, and never told what is left. */
import type { Micros } from '../clock.ts'
import type { Feature } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import { FabraError } from '../errors.ts'
import type { RunOptions } from '../store/ports/source-engine.ts'
import type { TrainingWorkspace } from '../store/ports/training-store.ts'
import type { Method } from './options.ts'

export interface KeptHistory {
  readonly keptSince: (features: readonly string[]) => Promise<ReadonlyMap<string, Micros>>
  readonly workspace: Pick<TrainingWorkspace, 'earlierThan'>
  readonly snapshot: Micros | null
  readonly rows: number
}

/**
 * Asked before the history is read, so as not to read in vain, and after it: what left meanwhile is told then.
 * @throws FabraError history_removed
 */
export async function checkKept(features: readonly Feature[], asked: KeptHistory, run: RunOptions): Promise<void> {
  const since = await asked.keptSince(features.map(({ name }) => name))
  for (const { name } of features) {
    const from = since.get(name)
    if (from === undefined) continue
    if (asked.snapshot !== null && asked.snapshot < from)
      throw removed(`The snapshot of ${formatTime(asked.snapshot)} asks what was recorded of "${name}" by then`, from)
    const { count, earliest } = await asked.workspace.earlierThan(from, run)
    if (count === 0 || earliest === null) continue
    const which = count === 1 ? 'One label row asks' : `${count.toLocaleString('en')} of ${asked.rows.toLocaleString('en')} label rows ask`
    throw removed(`${which} about "${name}" at times from ${formatTime(earliest)} on`, from)
  }
}

/** @throws FabraError history_removed, where what a function asks about is gone. */
export function refuseRemoved(feature: string, asOf: Micros, since: ReadonlyMap<string, Micros>): void {
  const from = since.get(feature)
  if (from !== undefined && asOf < from) throw removed(`"${feature}" was asked for as of ${formatTime(asOf)}`, from)
}

/**
 * The same of rows that have left sources: what is computed for a time from which they could be seen lacks them.
 * @throws FabraError history_removed
 */
export async function checkWhole(
  methods: ReadonlyMap<Feature, Method>,
  {
    wholeSince,
    workspace,
    rows,
  }: Pick<KeptHistory, 'workspace' | 'rows'> & { readonly wholeSince: ((feature: Feature) => Promise<Micros | null>) | undefined },
  run: RunOptions,
): Promise<void> {
  for (const [feature, method] of methods) {
    if (method === 'history') continue
    const since = (await wholeSince?.(feature)) ?? null
    if (since === null) continue
    const { count, earliest } = await workspace.earlierThan(Number.isFinite(since) ? since : LATEST, run)
    if (count === 0 || earliest === null) continue
    const which = count === 1 ? 'One label row asks' : `${count.toLocaleString('en')} of ${rows.toLocaleString('en')} label rows ask`
    throw rowsRemoved(`${which} about "${feature.name}" at times from ${formatTime(earliest)} on`, since)
  }
}

/** @throws FabraError history_removed */
export function refuseRowsRemoved(feature: string, asOf: Micros, since: Micros): void {
  if (asOf < since) throw rowsRemoved(`"${feature}" was asked for as of ${formatTime(asOf)}`, since)
}

/** 9999-12-31. */
const LATEST: Micros = 253_402_214_400_000_000

function rowsRemoved(what: string, since: Micros): FabraError {
  const isKnown = Number.isFinite(since)
  const why = isKnown
    ? `rows that it looked at before ${formatTime(since)} have left its sources`
    : 'rows have left its sources, and how far it looks back is not known'
  return new FabraError('history_removed', `${what}, but ${why}.`, {
    hint: `${isKnown ? `Leave out what is earlier than ${formatTime(since)}, or the feature` : 'Leave out the feature'}. How long rows stay: FABRA_ROWS_KEEP.`,
  })
}

function removed(what: string, since: Micros): FabraError {
  return new FabraError('history_removed', `${what}, but what it held before ${formatTime(since)} has left history.`, {
    hint: `Leave out what is earlier than ${formatTime(since)}, or the feature. How long history is kept: keep of the feature, FABRA_HISTORY_KEEP.`,
  })
}
