/** Since when a feature can be computed as it was: rows that have left its sources are missing from what it looked at before. */
import type { Clock, Micros } from '../clock.ts'
import { reachIn } from '../compute/sql/reach/kept-rows.ts'
import type { SqlDefinitions } from '../compute/sql/sql-definitions.ts'
import type { Feature } from '../definition/model.ts'
import type { Logger } from '../observability/logger.ts'
import type { RowsRemoval } from '../store/ports/rows-removal.ts'

/** Null: for any time. Infinity: for none, since how far it looks back is not known. */
export type WholeSince = (feature: Feature) => Promise<Micros | null>

const KEPT_MS = 1_000

export function createWholeSince(removal: Pick<RowsRemoval, 'keptSince'> | undefined, definitions: SqlDefinitions): WholeSince {
  let known: { readonly at: number; readonly since: Promise<ReadonlyMap<string, Micros>> } | undefined
  const look = () => {
    if (!known || performance.now() - known.at > KEPT_MS) {
      const since = (removal?.keptSince ?? nothing)([...definitions.registry.sources.keys()])
      const mine = { at: performance.now(), since }
      known = mine
      since.catch(() => {
        if (known === mine) known = undefined
      })
    }
    return known.since
  }
  return async (feature) => {
    if (feature.computation.kind === 'pushed') return null
    const since = await look()
    let whole: Micros | null = null
    for (const [source, from] of since) {
      const reach = reachIn(definitions.get(feature.name), feature.readsDb === true, source)
      if (reach !== undefined) whole = Math.max(whole ?? 0, reach === null ? Number.POSITIVE_INFINITY : from + reach)
    }
    return whole
  }
}

/** A feature that was written since may look at more than is left: it sees what is left, which nothing else would say. */
export async function tellOfMissingRows(
  { rowsRemoval, clock, log }: { readonly rowsRemoval?: Pick<RowsRemoval, 'keptSince'>; readonly clock: Clock; readonly log: Logger },
  definitions: SqlDefinitions,
): Promise<void> {
  const wholeSince = createWholeSince(rowsRemoval, definitions)
  try {
    for (const feature of definitions.registry.features.values()) {
      const since = await wholeSince(feature)
      if (since !== null && since > clock.now())
        log.warn('rows have left its sources that it would look at: it sees those that are left', { feature: feature.name })
    }
  } catch (error) {
    log.debug('whether rows are missing could not be told', { error })
  }
}

async function nothing(): Promise<ReadonlyMap<string, Micros>> {
  return new Map()
}
