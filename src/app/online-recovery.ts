/** Values that were known before this process, or before the online store lost them, are brought back where they are served. */

import type { Micros } from '../clock.ts'
import { ahead } from '../collections/ahead.ts'
import { createPace } from '../collections/yielding.ts'
import { decodeKey, type EntityKey } from '../definition/entity-key.ts'
import { isPushed, isScheduled } from '../definition/feature-traits.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Entity, Feature, Registry } from '../definition/model.ts'
import { isUnavailable } from '../errors.ts'
import { keepWarm } from '../refresh/active-keys.ts'
import type { Erasure } from '../store/ports/erasure.ts'
import type { PendingNote } from '../store/ports/offline-store.ts'
import { FENCES_FIELD } from '../store/ports/online-store.ts'
import { lateValue, storedValue } from './late-value.ts'
import type { LiveDefinitionsDependencies } from './live-definitions.ts'
import { OWED_BY_OTHERS, OwedByOthers } from './owed-by-others.ts'

/** Keys per feature that come back to memory, or into use. */
export const MAX_REWARMED = 1_000_000
/** What another process has just recorded may be available a little later than this one's present. */
const CLOCKS_DIFFER_BY: Micros = 300_000_000
/** Whether the store is whole and lacks nothing is looked up so often: what is acknowledged elsewhere must be known here within a second. */
const LOOK_EVERY_MS = 400
/** Bringing back what was lost reads much of history: not again at once where it failed, or another process is at it. */
const RESTORE_PAUSE_MS = 2_000
/** A process that has something to bring says so every few seconds; one silent for longer is gone. */
const SILENT_FOR: Micros = 30_000_000
/** Rows brought to a store in this process without a look at the clock. A shared one takes many at once. */
const ROWS_A_STEP = 256
const ROWS_A_WRITE = 5_000

/** Who follows a recovery, and may end it. */
export interface RecoveryWatch {
  /** About so many keys come, where that is known. */
  expect(keys: number): void
  brought(keys: number): void
  /** The process ends. */
  isOver(): boolean
}

const UNWATCHED: RecoveryWatch = { expect: () => undefined, brought: () => undefined, isOver: () => false }

/**
 * Latest values come back from history, with the times they had, where the online store does not have them: in memory at each start, in a
 * store of its own after it lost its data. Keys come back into use. Features that `before` already had are there.
 */
export async function rewarm(
  dependencies: LiveDefinitionsDependencies,
  registry: Registry,
  before: Registry | undefined,
  watch = UNWATCHED,
): Promise<void> {
  const features = [...registry.features.values()].filter(
    ({ name, fingerprint }) => before?.features.get(name)?.fingerprint !== fingerprint,
  )
  if (!before) await unlessDown(() => restoreAtStart(dependencies, registry, watch))
  const filled = await unlessDown(() => dependencies.online.filled(features.map(fieldOf)))
  // First the erasures: what another process brings late is refused then.
  if (filled && !before)
    await unlessDown(() => restoreErasures(dependencies, dependencies.recorder.erasures.since(Number.NEGATIVE_INFINITY)))
  const isLost = dependencies.online.doubts.has('lost')
  const empty = features.filter((_, i) => filled?.[i] === false && !isLost)
  // In a shared store that lacks it still, a doubt remains; memory would take it for missing.
  if (dependencies.online.isShared) for (const feature of empty) await unlessDown(() => refill(dependencies, registry, [feature], watch))
  else await refill(dependencies, registry, empty, watch)
  const whole = new Set(empty)
  for (const feature of features) {
    const entity = registry.entities.get(feature.entity)
    if (entity && !whole.has(feature)) await useAgain(dependencies, feature, entity)
  }
  if (before) await unlessDown(() => dependencies.online.look(fieldsOf(registry)))
  else if (filled?.includes(true)) await unlessDown(() => replayForOthers(dependencies, registry, Number.POSITIVE_INFINITY))
}

/** A start does not wait for a store that is down: what it lacks is brought when it is back. */
async function unlessDown<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isUnavailable(error)) return undefined
    throw error
  }
}

async function restoreAtStart(dependencies: LiveDefinitionsDependencies, registry: Registry, watch: RecoveryWatch): Promise<void> {
  const { online } = dependencies
  await online.look(fieldsOf(registry))
  if (online.doubts.has('lost')) await restoreLost(dependencies, registry, watch)
}

/**
 * What has to be known of the online store before anybody is answered from it, where bringing back what it lacks takes long and follows: of a shared
 * one whether it may be taken at its word, of one in this process which keys were forgotten and that it lacks everything.
 */
export async function doubtUntilRewarmed(dependencies: LiveDefinitionsDependencies, registry: Registry): Promise<void> {
  const { online, recalled, recorder } = dependencies
  if (online.isShared) {
    await unlessDown(() => online.look(fieldsOf(registry)))
    if ((await pendingElsewhere(dependencies)).length > 0) online.doubts.set('owed_by_others', OWED_BY_OTHERS)
    return
  }
  recalled?.recall([...registry.features.values()])
  await restoreErasures(dependencies, recorder.erasures.since(Number.NEGATIVE_INFINITY))
}

export interface Refilling {
  start(): void
  stop(): Promise<void>
}

/** These keys of a feature, or all, have other values now. */
type OnChange = (feature: Feature, keys: ReadonlyMap<string, EntityKey> | 'all') => void

/**
 * Looks several times a second whether a shared online store has lost its data, refuses writes, or lacks what this process or another has
 * recorded, and brings there what history knows.
 * @param onReplayed Told of values that were recorded while the store was down.
 */
export function createRefilling(dependencies: LiveDefinitionsDependencies, registry: () => Registry, onReplayed: OnChange): Refilling {
  const { online, log } = dependencies
  const timers: Timer[] = []
  const running = new Set<Promise<void>>()
  /** Does it again and again, one at a time. */
  const every = (ms: number, work: () => Promise<void>, first: 'at once' | 'later' = 'later') => {
    let isAtIt = false
    const turn = () => {
      if (isAtIt) return
      isAtIt = true
      const attempt = work()
        .catch((error: unknown) => {
          if (!isUnavailable(error)) log.warn('values could not be brought back', { error })
        })
        .finally(() => {
          isAtIt = false
          running.delete(attempt)
        })
      running.add(attempt)
    }
    if (first === 'at once') turn()
    const timer = setInterval(turn, ms)
    timer.unref()
    timers.push(timer)
  }
  return {
    start() {
      if (!online.isShared || timers.length > 0) return
      const pendingOfOthers = new OwedByOthers(online.doubts)
      every(LOOK_EVERY_MS, () => pendingOfOthers.duringLook(() => online.look()))
      every(LOOK_EVERY_MS, () => lookForPendingElsewhere(dependencies, registry(), pendingOfOthers), 'at once')
      every(LOOK_EVERY_MS, () => replayOwn(dependencies, registry(), onReplayed))
      let restoreAt = 0
      every(LOOK_EVERY_MS, async () => {
        if (!online.doubts.has('lost') || performance.now() < restoreAt) return
        const names = await restoreLost(dependencies, registry()).finally(() => {
          restoreAt = performance.now() + RESTORE_PAUSE_MS
        })
        if (names && names.length > 0) log.info('values came back from history', { features: names })
      })
    },
    async stop() {
      for (const timer of timers) clearInterval(timer)
      await Promise.all(running)
    },
  }
}

function fieldsOf(registry: Registry): string[] {
  return [...registry.features.values()].map(fieldOf)
}

/** @returns names of the features that the online store had lost; undefined where another process is at it. */
async function restoreLost(
  dependencies: LiveDefinitionsDependencies,
  registry: Registry,
  watch = UNWATCHED,
): Promise<readonly string[] | undefined> {
  const features = new Map([...registry.features.values()].map((feature) => [fieldOf(feature), feature]))
  const lost = await dependencies.online.restore(async (fields) => {
    // First the erasures: nothing that was forgotten comes back, be it from another process.
    await restoreErasures(dependencies, undefined)
    for (const field of fields) {
      const feature = features.get(field)
      if (feature) await refill(dependencies, registry, [feature], watch)
      else if (field !== FENCES_FIELD) await dependencies.online.markFilled(field)
    }
  })
  return lost?.flatMap((field) => features.get(field)?.name ?? [])
}

/** Of forgotten keys only later events count, also in a store that has lost its data. @param known All of them, where they were just read. */
async function restoreErasures({ online, offline }: LiveDefinitionsDependencies, known: readonly Erasure[] | undefined): Promise<void> {
  const [isThere] = await online.filled([FENCES_FIELD])
  if (isThere) return
  await online.addErasures(known ?? (await offline.erasures()))
  await online.markFilled(FENCES_FIELD)
}

async function replayOwn(dependencies: LiveDefinitionsDependencies, registry: Registry, onReplayed: OnChange): Promise<void> {
  const features = new Map([...registry.features.values()].map((feature) => [fieldOf(feature), feature]))
  const replayed = await dependencies.recorder.pendingOnline.replay(async (fields) => {
    for (const field of fields) {
      const feature = features.get(field)
      if (feature) await refill(dependencies, registry, [feature])
    }
  })
  for (const [field, keys] of replayed) {
    const feature = features.get(field)
    const entity = feature && registry.entities.get(feature.entity)
    if (entity) onReplayed(feature, keys === 'all' ? keys : new Map(keys.map((key) => [key, decodeKey(entity, key)])))
  }
  if (replayed.size > 0)
    dependencies.log.info('values that came while the online store was down were brought there', { fields: [...replayed.keys()] })
}

/** What other processes have yet to bring is asked of history until it is there. One that is gone cannot: it is brought in its place. */
async function lookForPendingElsewhere(
  dependencies: LiveDefinitionsDependencies,
  registry: Registry,
  pendingOfOthers: OwedByOthers,
): Promise<void> {
  const { clock } = dependencies
  const notes = await pendingOfOthers.duringQuestion(() => pendingElsewhere(dependencies))
  if (notes.some(({ at }) => at < clock.now() - SILENT_FOR)) await replayForOthers(dependencies, registry, clock.now() - SILENT_FOR)
}

/** What other processes noted that they have yet to bring. */
async function pendingElsewhere({ offline, recorder }: LiveDefinitionsDependencies): Promise<readonly PendingNote[]> {
  return (await offline.pendingNotes()).filter(({ writer }) => writer !== recorder.pendingOnline.writer)
}

/** @param silentSince For those that have not been heard of since then. */
async function replayForOthers(dependencies: LiveDefinitionsDependencies, registry: Registry, silentSince: Micros): Promise<void> {
  const { offline, clock, log } = dependencies
  const notes = (await pendingElsewhere(dependencies)).filter(({ at }) => at <= silentSince)
  if (notes.length === 0) return
  for (const feature of registry.features.values()) await refill(dependencies, registry, [feature])
  log.info('values that another process recorded while the online store was down came back from history')
  // Who has told again meanwhile was only slow, and may owe more by now.
  const silent = clock.now() - SILENT_FOR
  await offline.forgetPendingNotes(
    notes.filter(({ at }) => at < silent).map(({ writer }) => writer),
    silent,
  )
}

async function refill(
  dependencies: LiveDefinitionsDependencies,
  registry: Registry,
  features: readonly Feature[],
  watch = UNWATCHED,
): Promise<void> {
  const { online, offline, recalled, recorder, activeKeys, clock } = dependencies
  const byName = new Map(features.map((feature) => [feature.name, feature]))
  const isWhole = online.isShared && features.every(isPushed)
  const bounds = { before: clock.now() + CLOCKS_DIFFER_BY, limit: isWhole ? Number.MAX_SAFE_INTEGER : MAX_REWARMED }
  const versions = features.map(({ name, fingerprint }) => ({ feature: name, fingerprint }))
  const counts = new Map<Feature, number>()
  const write = recalled?.bring ?? online.write
  const step = online.isShared ? ROWS_A_WRITE : ROWS_A_STEP
  const pace = createPace()
  for await (const rows of ahead(offline.latestOfAll(versions, { ...bounds, inAnyOrder: true, onCount: watch.expect }))) {
    if (watch.isOver()) return
    const feature = byName.get(rows[0]?.feature ?? '')
    const entity = feature && registry.entities.get(feature.entity)
    if (!entity) continue
    const field = fieldOf(feature)
    const asStored = online.isShared ? storedValue : lateValue
    for (let from = 0; from < rows.length; from += step) {
      const wait = pace()
      if (wait) await wait
      const some = rows.slice(from, from + step)
      await write(some.map((row) => ({ entity: entity.name, key: row.entityKey, field, value: asStored(feature, row) })))
      watch.brought(some.length)
      // Keys of pushed features are nobody's to refresh.
      if (isPushed(feature)) continue
      for (const { entityKey, eventAt } of some)
        if (!recorder.erasures.isErased(entity.name, entityKey, eventAt))
          activeKeys.markUsed(feature, decodeKey(entity, entityKey), eventAt)
    }
    counts.set(feature, (counts.get(feature) ?? 0) + rows.length)
  }
  for (const feature of features) {
    // Of more keys than memory takes the oldest stay in history, and are asked for there.
    const isCut = recalled !== null && recalled !== undefined && isPushed(feature) && (counts.get(feature) ?? 0) >= MAX_REWARMED
    if (!isCut) await online.markFilled(fieldOf(feature))
  }
}

/** The values are there; which keys are in use is told by what was recorded of them. */
async function useAgain(dependencies: LiveDefinitionsDependencies, feature: Feature, entity: Entity): Promise<void> {
  if (!isScheduled(feature)) return
  const now = dependencies.clock.now()
  for (const key of await dependencies.offline.keysSince(feature.name, now - keepWarm(feature), MAX_REWARMED)) {
    const decoded = decodeKey(entity, key)
    if (decoded.values.length === entity.key.length) dependencies.activeKeys.markUsed(feature, decoded, now)
  }
}
