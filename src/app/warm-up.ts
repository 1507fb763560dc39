import { decodeKey } from '../definition/entity-key.ts'
import { isScheduled } from '../definition/feature-traits.ts'
import { fieldOf } from '../definition/feature-version.ts'
import { keepWarm } from '../refresh/active-keys.ts'
import type { LiveDefinitions, LiveDefinitionsDependencies } from './live-definitions.ts'
import { MAX_REWARMED } from './online-recovery.ts'

/**
 * Values that a new version of a feature lacks are computed for the keys that the old one had in use, before anyone is told that the
 * server is ready.
 */
export async function warmNewVersions(parts: LiveDefinitionsDependencies, version: LiveDefinitions): Promise<void> {
  const { registry } = version.serving
  for (const feature of registry.features.values()) {
    const entity = registry.entities.get(feature.entity)
    if (!entity || !isScheduled(feature)) continue
    const now = parts.clock.now()
    const encoded = await parts.offline.keysSince(feature.name, now - keepWarm(feature), MAX_REWARMED)
    const stored = await parts.online.read(entity.name, encoded, [fieldOf(feature)])
    const keys = encoded.filter((_, i) => stored[i]?.[0] === undefined).map((key) => decodeKey(entity, key))
    const fitting = keys.filter((key) => key.values.length === entity.key.length)
    for (const key of fitting) parts.activeKeys.markUsed(feature, key, now)
    if (fitting.length > 0) await version.refresher.run(feature, fitting, { reason: 'new version', before: null })
  }
}
