/**
 * One computation per feature and key across processes.
 *
 * Whoever is about to compute for a reader claims the key first. Who finds it claimed looks at the online store every few milliseconds until
 * the other's answer is there, or until the claim is gone without one: then it claims and computes itself. Claims are short and kept up
 * while the computation runs, so that a process that dies costs the others half a second. Where the store cannot be asked, each computes for itself.
 */
import type { EntityKey } from '../../definition/entity-key.ts'
import type { Feature } from '../../definition/model.ts'
import type { Claim, ClaimStore } from '../../store/ports/claim-store.ts'
import type { OnlineStore, StoredValue } from '../../store/ports/online-store.ts'
import type { Flight, Flown } from './flights.ts'

const CLAIM_MS = 500
const EXTEND_EVERY_MS = 150
const LOOK_EVERY_MS = 10
/** A store that takes longer saves no work: readers have a deadline. A claim that it takes late ends by itself. */
const PATIENCE_MS = 200

export interface SharedFlights {
  /**
   * Compute those flights that no other process computes, and land the others with what it found.
   * @returns when its own are computed; the others land later. Never rejects, as long as `compute` does not.
   */
  fly(feature: Feature, flights: readonly Flight[], options: SharedFlying): Promise<void>
  /** @returns for each key whether a process computes it for a reader right now; false where that cannot be known. */
  underway(feature: Feature, keys: readonly EntityKey[]): Promise<readonly boolean[]>
}

export interface SharedFlying {
  readonly compute: (flights: readonly Flight[]) => Promise<void>
  readonly land: (flight: Flight, flown: Flown) => void
  /** Lands a flight whose time is over. */
  readonly expire: (flight: Flight) => void
}

export function createSharedFlights(options: {
  readonly claims: ClaimStore
  readonly online: OnlineStore
  /** 0 ≤ random < 1. */
  readonly random: () => number
  /** Monotonic. */
  readonly nowMs: () => number
}): SharedFlights {
  const { claims, online, random, nowMs } = options

  /** @returns the flights that another process has. Its own are computed meanwhile. */
  async function split(
    feature: Feature,
    flights: readonly Flight[],
    { compute }: SharedFlying,
  ): Promise<{ others: Flight[]; own: Promise<void> }> {
    const wanted = flights.map(({ key }) => claimOf(feature, key))
    let isOurs: readonly boolean[]
    try {
      isOurs = await inTime(claims.claim(wanted, CLAIM_MS))
    } catch {
      return { others: [], own: compute(flights) }
    }
    const ours = wanted.filter((_, i) => isOurs[i])
    const own = flights.filter((_, i) => isOurs[i])
    return {
      others: flights.filter((_, i) => !isOurs[i]),
      own: own.length === 0 ? Promise.resolve() : underClaim(ours, () => compute(own)),
    }
  }

  async function underClaim(held: readonly Claim[], compute: () => Promise<void>): Promise<void> {
    const keeping = setInterval(() => claims.extend(held, CLAIM_MS).catch(() => undefined), EXTEND_EVERY_MS)
    try {
      await compute()
    } finally {
      clearInterval(keeping)
      // Callers do not wait for it; what stays claimed is free again soon.
      claims.release(held).catch(() => undefined)
    }
  }

  /** @throws FabraError store_unavailable */
  async function look(feature: Feature, flights: readonly Flight[]): Promise<(StoredValue | undefined)[]> {
    const keys = flights.map((flight) => flight.key.encoded)
    const rows = await online.read(feature.entity, keys, [`${feature.name}@${feature.fingerprint}`])
    return rows.map((row) => row[0])
  }

  async function follow(feature: Feature, flights: readonly Flight[], flying: SharedFlying): Promise<void> {
    const startedAt = nowMs()
    const computing: Promise<void>[] = []
    let waiting = flights
    try {
      const before = new Map((await look(feature, waiting)).map((value, i) => [waiting[i], value?.token]))
      while (waiting.length > 0) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS * (1 + random())))
        const values = await look(feature, waiting)
        const unanswered = waiting.filter((flight, i) => {
          const value = values[i]
          if (!value || value.token === before.get(flight)) return true
          flying.land(flight, flownOf(value))
          return false
        })
        const late = unanswered.filter((flight) => nowMs() - startedAt >= flight.timeoutMs)
        for (const flight of late) flying.expire(flight)
        const rest = unanswered.filter((flight) => !late.includes(flight))
        // Kept for the case that the next question fails.
        waiting = rest
        if (rest.length === 0) break
        const { others, own } = await split(feature, rest, flying)
        computing.push(own)
        waiting = others
      }
    } catch {
      computing.push(flying.compute(waiting))
    }
    await Promise.all(computing)
  }

  return {
    async fly(feature, flights, flying) {
      const { others, own } = await split(feature, flights, flying)
      if (others.length > 0) void follow(feature, others, flying)
      await own
    },
    underway: (feature, keys) => claims.taken(keys.map((key) => claimOf(feature, key))).catch(() => keys.map(() => false)),
  }
}

async function inTime<T>(asked: Promise<T>): Promise<T> {
  asked.catch(() => undefined)
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(reject, PATIENCE_MS, new Error('The store of claims takes too long.'))
  try {
    return await Promise.race([asked, promise])
  } finally {
    clearTimeout(timer)
  }
}

function claimOf(feature: Feature, key: EntityKey): Claim {
  return { entity: feature.entity, key: key.encoded, field: `${feature.name}@${feature.fingerprint}` }
}

function flownOf({ texts, eventAt, oldestInputAt }: StoredValue): Flown {
  return { computed: texts === null ? { kind: 'missing' } : { kind: 'value', texts, oldestInputAt }, asOf: eventAt }
}
