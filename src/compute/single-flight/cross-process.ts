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
import type { Claim, ClaimResult, ClaimStore } from '../../store/ports/claim-store.ts'
import type { OnlineStore, StoredValue } from '../../store/ports/online-store.ts'
import type { InFlight, Outcome } from './in-flight.ts'

const EXTEND_EVERY_MS = 150
const LOOK_EVERY_MS = 10

export interface ClaimLimits {
  /** Of a claim that is not kept up. */
  readonly claimMs: number
  /** A store that takes longer to answer saves no work: readers have a deadline. A claim that it takes late ends by itself. */
  readonly patienceMs: number
  /** From when a reader has found no fresh value until it claims the key, at most: who does in this time after another's computation looks again. */
  readonly seenMs: number
}

export const CLAIM_LIMITS: ClaimLimits = { claimMs: 500, patienceMs: 200, seenMs: 250 }

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
    running: CrossProcessCallbacks,
  ): Promise<{ others: InFlight[]; own: Promise<void> }> {
    const wanted = batch.map(({ key }) => claimOf(feature, key))
    let results: readonly ClaimResult[]
    try {
      results = await inTime(claims.claim(wanted, limits.claimMs), limits.patienceMs)
    } catch {
      return { others: [], own: running.compute(batch) }
    }
    const won = (_: unknown, i: number) => results[i] !== 'taken'
    const own = batch.filter(won)
    return {
      others: batch.filter((_, i) => results[i] === 'taken'),
      own:
        own.length === 0 ? Promise.resolve() : underClaim(wanted.filter(won), () => computeWon(feature, own, results.filter(won), running)),
    }
  }

  /** What another has answered between a reader's look and its claim is not computed again. */
  async function computeWon(
    feature: Feature,
    batch: readonly InFlight[],
    results: readonly ClaimResult[],
    running: CrossProcessCallbacks,
  ): Promise<void> {
    const sure = batch.filter((_, i) => results[i] === 'won')
    const doubtful = batch.filter((_, i) => results[i] !== 'won')
    const left = doubtful.length === 0 ? [] : await unansweredOf(feature, doubtful, running).catch(() => doubtful)
    if (sure.length + left.length > 0) await running.compute([...sure, ...left])
  }

  /** Settles those whose answer has come since their callers looked. @returns the others. @throws FabraError store_unavailable */
  async function unansweredOf(feature: Feature, asked: readonly InFlight[], { settle }: CrossProcessCallbacks): Promise<InFlight[]> {
    const values = await look(feature, asked)
    return asked.filter((inFlight, i) => {
      const value = values[i]
      if (!value || inFlight.storedSeq === undefined || value.seq === inFlight.storedSeq) return true
      settle(inFlight, outcomeOf(value))
      return false
    })
  }

  /** @throws FabraError store_unavailable */
  async function look(feature: Feature, batch: readonly InFlight[]): Promise<(StoredValue | undefined)[]> {
    if (batch.length === 0) return []
    const keys = batch.map((inFlight) => inFlight.key.encoded)
    const rows = await online.read(feature.entity, keys, [fieldOf(feature)])
    return rows.map((row) => row[0])
  }

  async function underClaim(held: readonly Claim[], compute: () => Promise<void>): Promise<void> {
    const keeping = setInterval(() => claims.extend(held, limits.claimMs).catch(() => undefined), EXTEND_EVERY_MS)
    try {
      await compute()
    } finally {
      clearInterval(keeping)
      // Callers do not wait for it; what stays claimed is free again soon.
      claims.release(held, limits.seenMs).catch(() => undefined)
    }
  }

  async function follow(feature: Feature, batch: readonly InFlight[], running: CrossProcessCallbacks): Promise<void> {
    const startedAt = nowMs()
    const computing: Promise<void>[] = []
    let waiting = batch
    try {
      const unknown = batch.filter(({ storedSeq }) => storedSeq === undefined)
      const found = await look(feature, unknown)
      unknown.forEach((inFlight, i) => {
        inFlight.storedSeq = found[i]?.seq ?? null
      })
      while (waiting.length > 0) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS * (1 + random())))
        const unanswered = await unansweredOf(feature, waiting, running)
        const late = unanswered.filter((inFlight) => nowMs() - startedAt >= inFlight.timeoutMs)
        for (const inFlight of late) running.expire(inFlight)
        const rest = unanswered.filter((inFlight) => !late.includes(inFlight))
        // Kept for the case that the next look fails.
        waiting = rest
        if (rest.length === 0) break
        const { others, own } = await split(feature, rest, running)
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
