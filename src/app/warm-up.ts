import { decodeKey } from '../definition/entity-key.ts'
import { isScheduled } from '../definition/feature-traits.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import { keepWarm } from '../refresh/active-keys.ts'
import type { LiveDefinitions, LiveDefinitionsDependencies } from './live-definitions.ts'
import { MAX_REWARMED } from './online-recovery.ts'

/** How long a server may say that it is not ready because it computes values of new feature versions. */
const LONGEST_WARMING_MS = 60_000

export interface WarmUp {
  /** False while values are computed, a minute at most. */
  isOver(): boolean
  /** Resolves when they are computed, or could not be. */
  run(version: LiveDefinitions): Promise<void>
}

export function createWarmUp(dependencies: LiveDefinitionsDependencies): WarmUp {
  let isOver = true
  return {
    isOver: () => isOver,
    async run(version) {
      isOver = false
      const end = () => {
        isOver = true
      }
      const timer = setTimeout(end, LONGEST_WARMING_MS)
      timer.unref()
      try {
        await warmNewVersions(dependencies, version)
      } catch (error) {
        dependencies.log.warn('warming new feature versions failed', { error })
      } finally {
        clearTimeout(timer)
        end()
      }
    },
  }
}

/**
 * Values that a new version of a feature lacks are computed for the keys that the old one had in use, before anyone is told that the
 * server is ready.
 */
async function warmNewVersions(dependencies: LiveDefinitionsDependencies, version: LiveDefinitions): Promise<void> {
  const { registry } = version.serving
  const { online, offline } = dependencies
  const features = [...registry.features.values()]
  // What memory has came from history: it lacks nothing of a version that is the only one there.
  const changed = online.isShared ? null : await offline.haveOtherVersions(features.map(versionNameOf))
  for (const feature of features) {
    if (changed && !changed.has(feature.name)) continue
    const entity = registry.entities.get(feature.entity)
    if (!entity || !isScheduled(feature)) continue
    const now = dependencies.clock.now()
    const encoded = await dependencies.offline.keysSince(feature.name, now - keepWarm(feature), MAX_REWARMED)
    const stored = await dependencies.online.read(entity.name, encoded, [fieldOf(feature)])
    const keys = encoded.filter((_, i) => stored[i]?.[0] === undefined).map((key) => decodeKey(entity, key))
    const fitting = keys.filter((key) => key.values.length === entity.key.length)
    for (const key of fitting) dependencies.activeKeys.markUsed(feature, key, now)
    if (fitting.length > 0) await version.refresher.run(feature, fitting, { reason: 'new version', before: null })
  }
}

function versionNameOf({ name, fingerprint }: Feature) {
  return { feature: name, fingerprint }
}
