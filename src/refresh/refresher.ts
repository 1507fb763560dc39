import type { Clock, Micros } from '../clock.ts'
import { type List, mapped } from '../collections/chunked-list.ts'
import { inSteps } from '../collections/yielding.ts'
import type { Computations } from '../compute/single-flight/computations.ts'
import type { Skipped } from '../compute/sql/key-lister.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import type { OnlineStore, StoredValue } from '../store/ports/online-store.ts'
import { type DueKeys, findDueKeys, type KeyRange } from './due-keys.ts'
import type { Run, RunFault, Runs } from './runs.ts'

/** Keys in one batch. SQL scans its source once a batch, so batches are large. Functions all run at once, each with its own timeout. */
const SQL_BATCH = 500_000
const FUNCTION_BATCH = 64
/** In one batch, of a function that takes lists: as many as run at once. */
const LISTS = 4
const DEFAULT_TIMEOUT_MS = 30_000

export interface RefresherOptions {
  readonly computations: Computations
  readonly online: OnlineStore
  readonly clock: Clock
  readonly runs: Runs
  readonly log: Logger
  /** When a key was last forgotten; undefined: never. */
  readonly forgottenAt: (entity: string, encodedKey: string) => Micros | undefined
  /** The key cannot be: it is in use no longer. */
  readonly dropKey: (feature: Feature, key: EntityKey) => void
}

export interface Refresher {
  /**
   * Compute these keys again, in batches, and tell what came of it. A key that fails keeps the value it had.
   * @param options.before Keys whose stored value is at least as new as this are left out; null: none is.
   * @param options.skipped Keys that were listed and are none.
   */
  run(feature: Feature, keys: List<EntityKey>, options: RunOptions): Promise<Run>
}

export interface RunOptions {
  readonly reason: Run['reason']
  readonly before: Micros | null
  readonly skipped?: Skipped | undefined
}

const NONE: Skipped = { count: 0, why: null }

/** Keys that are none to the feature's query. */
interface SkippedKeys {
  count: number
  why: string | null
}

/** What a run has done so far. */
interface Progress {
  readonly feature: Feature
  readonly record: Run
  readonly skippedKeys: SkippedKeys
}

export function createRefresher(options: RefresherOptions): Refresher {
  const { computations, online, clock, runs, log, forgottenAt, dropKey } = options

  async function run(feature: Feature, keys: List<EntityKey>, { reason, before, skipped = NONE }: RunOptions): Promise<Run> {
    const record = runs.begin(feature.name, reason, clock.now())
    const skippedKeys: SkippedKeys = { ...skipped }
    const size = batchSize(feature)
    try {
      for (let from = 0; from < keys.length; from += size)
        await runBatch({ feature, record, skippedKeys }, { keys, from, to: Math.min(from + size, keys.length) }, before)
      record.skipped = skippedKeys.count
      if (skippedKeys.count > 0) record.error ??= `${skippedKeys.count} keys were left out. The first, ${skippedKeys.why}`
    } catch (error) {
      record.error = error instanceof FabraError ? error.message : 'The refresh failed inside Fabra; the server log has the details.'
      record.fault ??= faultOf(feature, error)
      log.warn(`refresh of "${feature.name}" failed`, { error })
    }
    runs.end(record, clock.now())
    if (record.failed > 0) log.warn(`refresh of "${feature.name}": ${record.failed} of ${record.keys} keys failed`, { first: record.error })
    return record
  }

  async function runBatch(progress: Progress, range: KeyRange, before: Micros | null): Promise<void> {
    const { feature, record } = progress
    const due = await findDueKeys(feature, range, { online, before, forgottenAt, startedAt: record.startedAt })
    record.keys += due.indexes.length
    runs.goOn(record)
    if (due.indexes.length === 0) return
    const keyAt = (index: number) => range.keys.at(index) as EntityKey
    const outcome = await computations.computeAll(feature, mapped(due.indexes, keyAt), timeoutMs(feature))
    await count(progress, due, outcome, keyAt)
    runs.goOn(record)
  }

  async function count(
    { feature, record, skippedKeys }: Progress,
    due: DueKeys,
    outcome: Awaited<ReturnType<Computations['computeAll']>>,
    keyAt: (index: number) => EntityKey,
  ): Promise<void> {
    let next = 0
    await inSteps(due.texts, (old) => {
      const place = next++
      const { computed } = outcome(place)
      // Asked for by name, it is a failure; else it is not asked for again.
      record.done++
      if (computed.kind === 'error' && computed.error.code === 'invalid_key' && record.reason !== 'request') {
        skippedKeys.count++
        skippedKeys.why ??= computed.error.message
        dropKey(feature, keyAt(due.indexes.at(place) as number))
      } else if (computed.kind === 'error') {
        record.failed++
        record.error ??= computed.error.message
        record.fault ??= faultOf(feature, computed.error)
      } else if (!sameTexts(computed.kind === 'value' ? computed.texts : null, old)) record.changed++
    })
  }

  return { run }
}

function faultOf(feature: Feature, error: unknown): RunFault {
  if (!(error instanceof FabraError)) return { code: 'internal', detail: null, place: feature.location }
  return {
    code: error.code,
    detail: error.thrown ?? (error.cause instanceof Error ? error.cause.message : null),
    place: error.place ?? feature.location,
  }
}

function batchSize(feature: Feature): number {
  if (feature.computation.kind === 'sql') return SQL_BATCH
  return feature.batch === null ? FUNCTION_BATCH : LISTS * feature.batch
}

/** A feature's own timeout is for one call. One statement for all keys has at least the default. */
function timeoutMs(feature: Feature): number {
  const own = feature.timeout === null ? DEFAULT_TIMEOUT_MS : Math.ceil(feature.timeout / 1000)
  return feature.computation.kind === 'sql' ? Math.max(own, DEFAULT_TIMEOUT_MS) : own
}

/** @param old Undefined: there was no value. */
function sameTexts(texts: StoredValue['texts'], old: StoredValue['texts'] | undefined): boolean {
  if (!texts || !old) return texts === old
  return texts.length === old.length && texts.every((text, i) => text === old[i])
}
