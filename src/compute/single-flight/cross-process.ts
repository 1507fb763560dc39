/**
 * One computation per feature and key across processes.
 *
 * Whoever is about to compute for a reader claims the key first. Who finds it claimed looks at the online store every few milliseconds until
 * the other's answer is there, or until the claim is gone without one: then it claims and computes itself. Claims are short and kept up
 * while the computation runs, so that a process that dies costs the others half a second. Where the store cannot be asked, each computes for itself.
 */
import type { EntityKey } from '../../definition/entity-key.ts'
import { fieldOf } from '../../definition/feature-version.ts'
import type { Feature } from '../../definition/model.ts'
import type { Claim, ClaimStore } from '../../store/ports/claim-store.ts'
import type { OnlineStore, StoredValue } from '../../store/ports/online-store.ts'
import type { InFlight, Outcome } from './in-flight.ts'

const EXTEND_EVERY_MS = 150
const LOOK_EVERY_MS = 10

export interface ClaimLimits {
  /** Of a claim that is not kept up. */
  readonly claimMs: number
  /** A store that takes longer to answer saves no work: readers have a deadline. A claim that it takes late ends by itself. */
  readonly patienceMs: number
}

export const CLAIM_LIMITS: ClaimLimits = { claimMs: 500, patienceMs: 200 }

export interface CrossProcess {
  /**
   * Computes what no other process computes, and settles the others with what that one found.
   * @returns when its own are computed; the others are settled later. Never rejects, as long as `compute` does not.
   */
  computeBatch(feature: Feature, batch: readonly InFlight[], options: CrossProcessCallbacks): Promise<void>
  /** @returns for each key whether a process computes it for a reader right now; false where that cannot be known. */
  underway(feature: Feature, keys: readonly EntityKey[]): Promise<readonly boolean[]>
}

export interface CrossProcessCallbacks {
  readonly compute: (batch: readonly InFlight[]) => Promise<void>
  readonly settle: (inFlight: InFlight, outcome: Outcome) => void
  /** Settles one whose time is over. */
  readonly expire: (inFlight: InFlight) => void
}

export function createCrossProcess(options: {
  readonly claims: ClaimStore
  readonly online: OnlineStore
  /** 0 ≤ random < 1. */
  readonly random: () => number
  /** Monotonic. */
  readonly nowMs: () => number
  readonly limits: ClaimLimits
}): CrossProcess {
  const { claims, online, random, nowMs, limits } = options

  /** @returns those that another process has. Its own are computed meanwhile. */
  async function split(
    feature: Feature,
    batch: readonly InFlight[],
    { compute }: CrossProcessCallbacks,
  ): Promise<{ others: InFlight[]; own: Promise<void> }> {
    const wanted = batch.map(({ key }) => claimOf(feature, key))
    let isOurs: readonly boolean[]
    try {
      isOurs = await inTime(claims.claim(wanted, limits.claimMs), limits.patienceMs)
    } catch {
      return { others: [], own: compute(batch) }
    }
    const ours = wanted.filter((_, i) => isOurs[i])
    const own = batch.filter((_, i) => isOurs[i])
    return {
      others: batch.filter((_, i) => !isOurs[i]),
      own: own.length === 0 ? Promise.resolve() : underClaim(ours, () => compute(own)),
    }
  }

  async function underClaim(held: readonly Claim[], compute: () => Promise<void>): Promise<void> {
    const keeping = setInterval(() => claims.extend(held, limits.claimMs).catch(() => undefined), EXTEND_EVERY_MS)
    try {
      await compute()
    } finally {
      clearInterval(keeping)
      // Callers do not wait for it; what stays claimed is free again soon.
      claims.release(held).catch(() => undefined)
    }
  }

  /** @throws FabraError store_unavailable */
  async function look(feature: Feature, batch: readonly InFlight[]): Promise<(StoredValue | undefined)[]> {
    const keys = batch.map((inFlight) => inFlight.key.encoded)
    const rows = await online.read(feature.entity, keys, [fieldOf(feature)])
    return rows.map((row) => row[0])
  }

  async function follow(feature: Feature, batch: readonly InFlight[], running: CrossProcessCallbacks): Promise<void> {
    const startedAt = nowMs()
    const computing: Promise<void>[] = []
    let waiting = batch
    try {
      const before = new Map((await look(feature, waiting)).map((value, i) => [waiting[i], value?.seq]))
      /** Settles those whose answer is there. @returns the others. */
      const unansweredOf = async (asked: readonly InFlight[]): Promise<InFlight[]> => {
        const values = await look(feature, asked)
        return asked.filter((inFlight, i) => {
          const value = values[i]
          if (!value || value.seq === before.get(inFlight)) return true
          running.settle(inFlight, outcomeOf(value))
          return false
        })
      }
      // What was claimed may have been answered, and let go, since it was looked for.
      const computeUnanswered = async (claimed: readonly InFlight[]) => {
        const left = await unansweredOf(claimed).catch(() => claimed)
        if (left.length > 0) await running.compute(left)
      }
      while (waiting.length > 0) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS * (1 + random())))
        const unanswered = await unansweredOf(waiting)
        const late = unanswered.filter((inFlight) => nowMs() - startedAt >= inFlight.timeoutMs)
        for (const inFlight of late) running.expire(inFlight)
        const rest = unanswered.filter((inFlight) => !late.includes(inFlight))
        // Kept for the case that the next look fails.
        waiting = rest
        if (rest.length === 0) break
        const { others, own } = await split(feature, rest, { ...running, compute: computeUnanswered })
        computing.push(own)
        waiting = others
      }
    } catch {
      computing.push(running.compute(waiting))
    }
    await Promise.all(computing)
  }

  return {
    async computeBatch(feature, batch, running) {
      const { others, own } = await split(feature, batch, running)
      if (others.length > 0) void follow(feature, others, running)
      await own
    },
    underway: (feature, keys) => claims.taken(keys.map((key) => claimOf(feature, key))).catch(() => keys.map(() => false)),
  }
}

async function inTime<T>(claiming: Promise<T>, limitMs: number): Promise<T> {
  claiming.catch(() => undefined)
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(reject, limitMs, new Error('The store of claims takes too long.'))
  try {
    return await Promise.race([claiming, promise])
  } finally {
    clearTimeout(timer)
  }
}

function claimOf(feature: Feature, key: EntityKey): Claim {
  return { entity: feature.entity, key: key.encoded, field: fieldOf(feature) }
}

function outcomeOf({ texts, eventAt, oldestInputAt }: StoredValue): Outcome {
  return { computed: texts === null ? { kind: 'missing' } : { kind: 'value', texts, oldestInputAt }, asOf: eventAt }
}
