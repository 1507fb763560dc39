/**
 * Lets computed values leave Redis whose key nobody has read for `keep_warm`: they are computed anew when somebody does. So do the notes of when
 * their keys were read, which may be as many. Pushed values stay, as do
 * erasures, and what is not known here.
 */
import type { Clock, Micros } from '../clock.ts'
import { featureOfField, fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import type { Logger } from '../observability/logger.ts'
import { keepWarm } from '../refresh/active-keys.ts'
import type { ActiveKeyStore } from '../store/ports/active-key-store.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import type { OnlineSweep, SweptValue } from '../store/ports/online-sweep.ts'
import { createSweeper, type Sweeper } from './sweeper.ts'

/** That a key was read is told at most once a minute, and clocks differ. */
const SLACK: Micros = 300_000_000
/** Values of versions that are served no more: no rolling deploy takes so long. */
const ABANDONED: Micros = 7 * 86_400_000_000

export interface IdleValuesOptions {
  readonly online: OnlineSweep
  readonly activeKeys: ActiveKeyStore
  readonly leases: LeaseStore
  readonly features: () => ReadonlyMap<string, Feature>
  readonly clock: Clock
  readonly log: Logger
}

/** What goes are values. */
export function createIdleValues({ online, activeKeys, leases, features, clock, log }: IdleValuesOptions): Sweeper {
  const judge = (values: readonly SweptValue[]) => idle(values, { activeKeys, features: features(), now: clock.now() })
  return createSweeper({
    lease: 'idle-values',
    leases,
    log,
    async work(lots) {
      let removed = 0
      let from: string | null = null
      await lots(async () => {
        const lot: { readonly removed: number; readonly next: string | null } = await online.lot(from, judge)
        removed += lot.removed
        from = lot.next
        return from !== null
      })
      for (const feature of features().values())
        if (feature.computation.kind !== 'pushed') await activeKeys.dropBefore(feature.name, clock.now() - keepWarm(feature) - SLACK)
      if (removed > 0) log.info('computed values left Redis: nobody has read them for keep_warm', { values: removed })
      return removed
    },
  })
}

interface SweepContext {
  readonly activeKeys: ActiveKeyStore
  readonly features: ReadonlyMap<string, Feature>
  readonly now: Micros
}

async function idle(values: readonly SweptValue[], { activeKeys, features, now }: SweepContext): Promise<SweptValue[]> {
  const old = Map.groupBy(
    values.filter((value) => isOld(value, features.get(featureOfField(value.field)), now)),
    ({ field }) => featureOfField(field),
  )
  const found: SweptValue[] = []
  for (const [name, some] of old) {
    const feature = features.get(name)
    if (!feature) continue
    const uses = await activeKeys.lastUses(
      name,
      some.map(({ key }) => key),
    )
    const since = now - keepWarm(feature) - SLACK
    found.push(...some.filter((value, i) => value.field !== fieldOf(feature) || (uses[i] ?? Number.NEGATIVE_INFINITY) < since))
  }
  return found
}

/** What is refreshed is in use. */
function isOld({ entity, field, origin, availableAt }: SweptValue, feature: Feature | undefined, now: Micros): boolean {
  if (!feature || origin !== 'computed' || entity !== feature.entity || feature.computation.kind === 'pushed') return false
  const age = now - availableAt
  return age > keepWarm(feature) + SLACK && (field === fieldOf(feature) || age > ABANDONED)
}
