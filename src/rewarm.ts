/** Values that were known before this process, or before the online store lost them, are brought back where they are served. */
import { decodeKey } from './definition/entity-key.ts'
import type { Entity, Feature, Registry } from './definition/model.ts'
import { FabraError } from './errors.ts'
import { keepWarm } from './refresh/active-keys.ts'
import { fieldOf } from './store/recorder.ts'
import { type Parts, storedValue, type Version } from './version.ts'

/** Keys per feature that come back. */
const MAX_REWARMED = 1_000_000
/** A store that came back empty is filled again after this time at the latest. */
const LOOK_EVERY_MS = 2_000

/**
 * Latest values come back from history, with the times they had, where the online store does not have them: in memory at each start, in a
 * store of its own after it lost its data. Keys come back into use. Features that `before` already had are there.
 */
export async function rewarm(parts: Parts, registry: Registry, before: Registry | undefined): Promise<void> {
  const features = [...registry.features.values()].filter(
    ({ name, fingerprint }) => before?.features.get(name)?.fingerprint !== fingerprint,
  )
  const filled = await filledOrDown(parts, features)
  for (const [i, feature] of features.entries()) {
    const entity = registry.entities.get(feature.entity)
    if (!entity) continue
    if (filled?.[i] === false) await refill(parts, feature, entity)
    else await useAgain(parts, feature, entity)
  }
}

/** A start does not wait for a store that is down: what it lacks is brought when it is back. */
async function filledOrDown(parts: Parts, features: readonly Feature[]): Promise<readonly boolean[] | undefined> {
  try {
    return await parts.online.filled(features.map(fieldOf))
  } catch (error) {
    if (error instanceof FabraError && error.code === 'store_unavailable') return undefined
    throw error
  }
}

export interface Refilling {
  start(): void
  stop(): Promise<void>
}

/** Looks every few seconds whether the online store has lost its data, and brings back what history knows. */
export function createRefilling(parts: Parts, registry: () => Registry): Refilling {
  let timer: Timer | undefined
  let running: Promise<void> | undefined
  const look = async () => {
    try {
      const names = await refillLost(parts, registry())
      if (names.length > 0) parts.log.info('values came back from history', { features: names })
    } catch (error) {
      if (!(error instanceof FabraError && error.code === 'store_unavailable'))
        parts.log.warn('values could not be brought back', { error })
    }
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
  const filled = await parts.online.filled(features.map(fieldOf))
  const lost = features.filter((_, i) => !filled[i])
  for (const feature of lost) {
    const entity = registry.entities.get(feature.entity)
    if (entity) await refill(parts, feature, entity)
  }
  return lost.map(({ name }) => name)
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
    const stored = await parts.online.read(entity.name, encoded, [fieldOf(feature)], undefined)
    const keys = encoded.filter((_, i) => stored[i]?.[0] === undefined).map((key) => decodeKey(entity, key))
    const fitting = keys.filter((key) => key.values.length === entity.key.length)
    for (const key of fitting) parts.activeKeys.touch(feature, key, now)
    if (fitting.length > 0) await version.refresher.run(feature, fitting, { reason: 'new version', before: null })
  }
}
