/**
 * Label rows of which history does not know what was served: of keys that are not recorded, or of a time when they were not. They have no value then,
 * not even the default, and their status says so; where no status is asked for, the set is refused.
 */
import type { Micros } from '../clock.ts'
import { isKnownAt, percent } from '../definition/history-sample.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { RunOptions } from '../store/ports/source-engine.ts'
import type { OutputFeature, TextRow, TrainingWorkspace, ValuesId } from '../store/ports/training-store.ts'
import type { TrainingOptions } from './options.ts'
import { versionOf } from './resume-identity.ts'

/** Rows held in memory at a time. */
const ROWS = 50_000

export interface UnrecordedRows {
  /** Values that only these rows have. */
  readonly values: ValuesId
  readonly count: number
}

export interface RowsAsked {
  readonly workspace: TrainingWorkspace
  readonly entity: number
  readonly rows: number
  readonly options: Pick<TrainingOptions, 'asServed' | 'withStatus'>
}

/** Of each of these features of one entity that has such rows. @throws FabraError not_trainable */
export async function unrecordedRows(
  features: readonly Feature[],
  asked: RowsAsked,
  run: RunOptions,
): Promise<ReadonlyMap<Feature, UnrecordedRows>> {
  const found = new Map<Feature, UnrecordedRows>()
  for (const feature of features) {
    if (feature.sampled === undefined && feature.gapFrom === undefined) continue
    // Features that are recorded alike share their rows.
    const alike = [...found].find(([other]) => rule(other) === rule(feature))?.[1]
    const rows = alike ?? (await collect(feature, asked, run))
    if (rows.count === 0) continue
    if (!asked.options.withStatus) throw refusal(feature, rows.count, asked)
    found.set(feature, rows)
  }
  return found
}

/** @param ids Of their values, in their order. */
export function recordedOf(
  features: readonly Feature[],
  ids: readonly ValuesId[],
  unrecorded: ReadonlyMap<Feature, UnrecordedRows>,
  workspace: Pick<TrainingWorkspace, 'without'>,
): ReadonlyMap<Feature, Pick<OutputFeature, 'values' | 'firstColumn' | 'unrecorded'>> {
  return new Map(
    features.map((feature, i) => {
      const rows = unrecorded.get(feature)
      const values = ids[i] ?? 0
      return [feature, { values: rows ? workspace.without(values, rows.values) : values, firstColumn: 0, unrecorded: rows }]
    }),
  )
}

async function collect(feature: Feature, { workspace, entity, rows }: RowsAsked, run: RunOptions): Promise<UnrecordedRows> {
  const reads = { sources: [], recorded: [] }
  const hangsOn = `rows that are not recorded: ${rule(feature)}`
  const collected = await workspace.collect({ feature: versionOf(feature), columnCount: 1, entity, inputs: [], hangsOn, reads }, run)
  let count = 0
  // What an interrupted run found is not taken over: it is counted.
  for (let from = 0; from < rows; from += ROWS) {
    const to = Math.min(rows, from + ROWS)
    const some: TextRow[] = (await workspace.rows({ from, to, entity, inputs: [] }))
      .filter(({ key, asOf }) => !isKnownAt(feature, key.encoded, asOf))
      .map(({ ord, asOf }) => ({ ord, texts: ['true'], eventAt: asOf }))
    count += some.length
    await collected.add(some, to)
  }
  await collected.end()
  return { values: collected.id, count }
}

function rule({ sampled, gapFrom, recordedSince }: Feature): string {
  return JSON.stringify([sampled?.share, sampled?.from, gapFrom, recordedSince] satisfies (Micros | undefined)[])
}

function refusal(feature: Feature, count: number, { rows, options }: RowsAsked): FabraError {
  const which = count === 1 ? 'one label row is' : `${count.toLocaleString('en')} of ${rows.toLocaleString('en')} label rows are`
  const how = options.asServed ? ' as it was served' : ' by history'
  const why =
    feature.sampled === undefined
      ? 'of times when not all of its keys were recorded'
      : `of keys that are not recorded (it is for ${percent(feature.sampled.share)} of them)`
  return new FabraError('not_trainable', `The past of "${feature.name}" cannot be told${how}: ${which} ${why}.`, {
    hint: 'Ask for the status columns too (--with-status, with_status): such rows have no value and the status not_recorded. Or let its past be recomputed, which is what training does unless told otherwise.',
  })
}
