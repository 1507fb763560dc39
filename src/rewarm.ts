/** Values that were known before this process, or before the online store lost them, are brought back where they are served. */
import type { Micros } from './clock.ts'
import { decodeKey, type EntityKey } from './definition/entity-key.ts'
import type { Entity, Feature, Registry } from './definition/model.ts'
import { keepWarm } from './refresh/active-keys.ts'
import type { Fence } from './store/fences.ts'
import { FENCES_FIELD } from './store/online-store.ts'
import { isUnavailable } from './store/owed-writes.ts'
import { fieldOf } from './store/recorder.ts'
import { type Parts, storedValue, type Version } from './version.ts'

/** Keys per feature that come back. */
const MAX_REWARMED = 1_000_000
/** A store that came back, perhaps empty, is filled again after this time at the latest. */
const LOOK_EVERY_MS = 2_000
/** What processes that died owe to the store is looked up at each start, and so often. */
const DEBTS_EVERY_MS = 30_000
/** A process that owes says so every few seconds; one silent for longer is gone. */
const SILENT_FOR: Micros = 30_000_000

/**
 * Latest values come back from history, with the times they had, where the online store does not have them: in memory at each start, in a
 * store of its own after it lost its data. Keys come back into use. Features that `before` already had are there.
 */
export async function rewarm(parts: Parts, registry: Registry, before: Registry | undefined): Promise<void> {
  const features = [...registry.features.values()].filter(
    ({ name, fingerprint }) => before?.features.get(name)?.fingerprint !== fingerprint,
  )
  const filled = await unlessDown(() => parts.online.filled(features.map(fieldOf)))
  // First the fences: what another process brings late is refused then.
  if (filled && !before) await unlessDown(() => restoreFences(parts, parts.recorder.fences.since(Number.NEGATIVE_INFINITY)))
  for (const [i, feature] of features.entries()) {
    const entity = registry.entities.get(feature.entity)
    if (!entity) continue
    if (filled?.[i] === false) await refill(parts, feature, entity)
    else await useAgain(parts, feature, entity)
  }
  if (filled?.includes(true) && !before) await unlessDown(() => payForOthers(parts, registry))
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

export interface Refilling {
  start(): void
  stop(): Promise<void>
}

/** These keys of a feature, or all, have other values now. */
type OnChange = (feature: Feature, keys: ReadonlyMap<string, EntityKey> | 'all') => void

/**
 * Looks every few seconds whether the online store has lost its data or was down while values came, and brings there what history knows.
 * @param onPaid Told of values that were recorded while the store was down.
 */
export function createRefilling(parts: Parts, registry: () => Registry, onPaid: OnChange): Refilling {
  let timer: Timer | undefined
  let running: Promise<void> | undefined
  let debtsAt = performance.now() + DEBTS_EVERY_MS
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      if (!isUnavailable(error)) parts.log.warn('values could not be brought back', { error })
    }
  }
  const look = async () => {
    await attempt(async () => {
      const names = await refillLost(parts, registry())
      if (names.length > 0) parts.log.info('values came back from history', { features: names })
    })
    await attempt(() => payOwn(parts, registry(), onPaid))
    if (performance.now() < debtsAt) return
    await attempt(async () => {
      await payForOthers(parts, registry())
      debtsAt = performance.now() + DEBTS_EVERY_MS
    })
  }
  return {
    start() {
      timer ??= setInterval(() => {
        running ??= look().finally(() => {
          running = undefined
        })
      }, LOOK_EVERY_MS)
      timer.unref()
    },
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}

/** @returns names of the features that the online store had lost. */
export async function refillLost(parts: Parts, registry: Registry): Promise<readonly string[]> {
  const features = [...registry.features.values()]
  await restoreFences(parts, undefined)
  const filled = await parts.online.filled(features.map(fieldOf))
  const lost = features.filter((_, i) => !filled[i])
  for (const feature of lost) {
    const entity = registry.entities.get(feature.entity)
    if (entity) await refill(parts, feature, entity)
  }
  return lost.map(({ name }) => name)
}

/** Of forgotten keys only later events count, also in a store that has lost its data. @param known All of them, where they were just read. */
async function restoreFences({ online, offline }: Parts, known: readonly Fence[] | undefined): Promise<void> {
  const [isThere] = await online.filled([FENCES_FIELD])
  if (isThere) return
  await online.raise(known ?? (await offline.fences()))
  await online.markFilled(FENCES_FIELD)
}

async function payOwn(parts: Parts, registry: Registry, onPaid: OnChange): Promise<void> {
  const features = new Map([...registry.features.values()].map((feature) => [fieldOf(feature), feature]))
  const paid = await parts.recorder.owed.pay(async (fields) => {
    for (const field of fields) {
      const feature = features.get(field)
      const entity = feature && registry.entities.get(feature.entity)
      if (entity) await refill(parts, feature, entity)
    }
  })
  for (const [field, keys] of paid) {
    const feature = features.get(field)
    const entity = feature && registry.entities.get(feature.entity)
    if (entity) onPaid(feature, keys === 'all' ? keys : new Map(keys.map((key) => [key, decodeKey(entity, key)])))
  }
  if (paid.size > 0) parts.log.info('values that came while the online store was down were brought there', { fields: [...paid.keys()] })
}

/** A process that died while the store was down could not bring what it had recorded. */
async function payForOthers(parts: Parts, registry: Registry): Promise<void> {
  const { offline, recorder, clock, log } = parts
  const debts = (await offline.debts()).filter(({ writer }) => writer !== recorder.owed.writer)
  if (debts.length === 0) return
  for (const feature of registry.features.values()) {
    const entity = registry.entities.get(feature.entity)
    if (entity) await refill(parts, feature, entity)
  }
  log.info('values that another process recorded while the online store was down came back from history')
  await offline.forgetDebts(debts.filter(({ at }) => at < clock.now() - SILENT_FOR).map(({ writer }) => writer))
}

async function refill(parts: Parts, feature: Feature, entity: Entity): Promise<void> {
  const { name, fingerprint } = feature
  for await (const rows of parts.offline.latest(name, fingerprint, { before: parts.clock.now(), limit: MAX_REWARMED })) {
    await parts.online.write(
      rows.map((row) => ({ entity: entity.name, key: row.entityKey, field: fieldOf(feature), value: storedValue(feature, row) })),
    )
    for (const row of rows) parts.activeKeys.touch(feature, decodeKey(entity, row.entityKey), row.eventAt)
  }
  await parts.online.markFilled(fieldOf(feature))
}

/** The values are there; which keys are in use is told by what was recorded of them. */
async function useAgain(parts: Parts, feature: Feature, entity: Entity): Promise<void> {
  if (feature.refresh === null || feature.refresh.kind === 'realtime') return
  const now = parts.clock.now()
  for (const key of await parts.offline.keysSince(feature.name, now - keepWarm(feature), MAX_REWARMED)) {
    const decoded = decodeKey(entity, key)
    if (decoded.values.length === entity.key.length) parts.activeKeys.touch(feature, decoded, now)
  }
}

/**
 * Values that a new version of a feature lacks are computed for the keys that the old one had in use, before anyone is told that the
 * server is ready.
 */
export async function warmNewVersions(parts: Parts, version: Version): Promise<void> {
  const { registry } = version.serving
  for (const feature of registry.features.values()) {
    const entity = registry.entities.get(feature.entity)
    if (!entity || feature.refresh === null || feature.refresh.kind === 'realtime') continue
    const now = parts.clock.now()
    const encoded = await parts.offline.keysSince(feature.name, now - keepWarm(feature), MAX_REWARMED)
    const stored = await parts.online.read(entity.name, encoded, [fieldOf(feature)])
    const keys = encoded.filter((_, i) => stored[i]?.[0] === undefined).map((key) => decodeKey(entity, key))
    const fitting = keys.filter((key) => key.values.length === entity.key.length)
    for (const key of fitting) parts.activeKeys.touch(feature, key, now)
    if (fitting.length > 0) await version.refresher.run(feature, fitting, { reason: 'new version', before: null })
  }
}
