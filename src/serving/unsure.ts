/**
 * Reading while the online store is away, or answers but may lack what is recorded: it was emptied, went back to an older state, or refuses
 * writes. What is acknowledged is in history, so history is asked for every value, and the newest counts of what it has, what this process
 * computed meanwhile, and what the store has where that counts. Where history cannot be asked either, what this process read last has to do.
 *
 * Of keys whose computed values are not recorded, history tells nothing: others may have served what nobody here knows. They are computed, for each
 * key once a second at most, and what is known stands in where that fails.
 */

import type { Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { recordsKey } from '../definition/history-sample.ts'
import type { Feature } from '../definition/model.ts'
import { isOverloaded } from '../errors.ts'
import { DoubtedRows } from '../store/ports/doubts.ts'
import type { OnlineStore, StoredRows, StoredValue } from '../store/ports/online-store.ts'
import { isNewer } from '../store/ports/value-order.ts'
import type { OutageValues } from './outage-values.ts'
import type { Plan, PlanGroup, PlannedFeature, PlanRow } from './plan.ts'

/** What is known of the values of one such read. */
export interface Unsure {
  /** Values that are not the store's, or that nobody could compare with history. */
  readonly foreign: ReadonlySet<StoredValue>
  /** Values that may have been followed by others, of which nobody can be asked: they stand in where computing fails. */
  readonly outdated: ReadonlySet<StoredValue>
  /** Whether there may be a value that nobody could be asked for. */
  isBlind(planned: PlannedFeature, key: EntityKey): boolean
  /** Whether history did not answer in time: anything that is served might contradict what it has. */
  isLate(planned: PlannedFeature, key: EntityKey): boolean
}

export interface UnsureReads {
  readonly stored: readonly StoredRows[]
  readonly unsure: Unsure
}

export interface UnsureOptions {
  readonly online: Pick<OnlineStore, 'lastRead'>
  readonly outageValues: OutageValues
  readonly lastKnown: (feature: Feature, key: EntityKey) => Promise<StoredValue | undefined>
  readonly isErased: (entity: string, encodedKey: string, eventAt: Micros) => boolean
  readonly now: () => Micros
}

/** What is acknowledged need not be seen sooner. */
const STILL_NEW: Micros = 1_000_000

/** @param groups What came of reading each group of the plan. */
export type UnsureReader = (
  plan: Plan,
  rows: readonly PlanRow[],
  groups: readonly PromiseSettledResult<StoredRows>[],
) => Promise<UnsureReads>

export function createUnsureReader({ online, outageValues, lastKnown, isErased, now }: UnsureOptions): UnsureReader {
  return async (plan, rows, groups) => {
    const foreign = new Set<StoredValue>()
    const blind = new Set<string>()
    const late = new Set<string>()
    const outdated = new Set<StoredValue>()

    async function readRow(group: PlanGroup, key: EntityKey, failure: unknown, r: number): Promise<(StoredValue | undefined)[]> {
      const { entity, fields, features } = group
      const said = failure instanceof DoubtedRows ? failure.rows?.[r] : undefined
      const isUnreported = failure instanceof DoubtedRows && failure.isUnreported
      let last: readonly (StoredValue | undefined)[] | undefined
      const visible = (value: StoredValue | undefined) => (value && !isErased(entity.name, key.encoded, value.eventAt) ? value : undefined)
      const readOne = async (planned: PlannedFeature, f: number): Promise<StoredValue | undefined> => {
        const stored = visible(said?.[f])
        const own = visible(outageValues.find(key.encoded, fields[f] as string))
        // What is computed for each request anyway needs something only should that fail.
        const answered = planned.realtime || planned.takesInputs ? undefined : await answer(lastKnown(planned.feature, key))
        // Where nothing says that the store lacks anything, what it has is the last good value.
        if (answered === 'late' && planned.pushed && !isUnreported) {
          late.add(idOf(planned, key))
          return undefined
        }
        const asked = answered === 'late' ? undefined : answered
        // Of equals the store's own: it is served as ever.
        let newest = newer(newer(own, asked?.value), stored)
        // A history that is away takes nothing that anybody could owe.
        if (isUnreported && answered === undefined) return newest
        // Every push is in history; what is computed gets there a moment later, or not at all.
        if (!asked || !planned.pushed) {
          last ??= online.lastRead(entity.name, key.encoded, fields)
          newest = newer(visible(last[f]), newest)
        }
        // A store that is away might have known.
        if (!asked || !(failure instanceof DoubtedRows)) blind.add(idOf(planned, key))
        // A value that may be old says so. That there is none is told the same whether it is old or not: who cannot ask does not say it.
        if (!asked && planned.pushed && newest?.texts === null) return undefined
        const isKnown = isUnreported || newest === undefined || newest === asked?.value || recordsKey(planned.feature, key.encoded)
        if (newest && !isKnown && newest.eventAt <= now() - STILL_NEW) {
          outdated.add(newest)
          return newest
        }
        if (newest && (newest !== stored || !asked)) foreign.add(newest)
        return newest
      }
      return Promise.all(features.map(readOne))
    }

    const stored = await Promise.all(
      groups.map((group, g) => {
        if (group.status === 'fulfilled') return group.value
        return Promise.all(rows.map((row, r) => readRow(plan.groups[g] as PlanGroup, row.keys[g] as EntityKey, group.reason, r)))
      }),
    )
    const unsure: Unsure = {
      foreign,
      outdated,
      isBlind: (planned, key) => blind.has(idOf(planned, key)),
      isLate: (planned, key) => late.has(idOf(planned, key)),
    }
    return { stored, unsure }
  }
}

/** Undefined: history is away; `late`: it is there, and may have taken what is newer than all we know. */
async function answer(known: Promise<StoredValue | undefined>): Promise<{ readonly value: StoredValue | undefined } | 'late' | undefined> {
  try {
    return { value: await known }
  } catch (error) {
    return isOverloaded(error) ? 'late' : undefined
  }
}

function idOf({ field }: PlannedFeature, { encoded }: EntityKey): string {
  return `${field}\0${encoded}`
}

/** Of equals the second. */
function newer(one: StoredValue | undefined, other: StoredValue | undefined): StoredValue | undefined {
  if (!one || !other) return one ?? other
  return isNewer(one, other) ? one : other
}
