import type { EntityKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError, isOverloaded } from '../errors.ts'
import type { HistoryRow, OfflineStore, WantedKeys } from '../store/ports/offline-store.ts'

/** Keys of one read of history, of all features. */
const MAX_KEYS = 5_000
/** Reads under way: history has its own work to do. */
const MAX_READS = 2
/** Keys that may wait, of all features. */
const MAX_WAITING = 100_000
export interface Patience {
  /** Longest wait of a key, its turn included. */
  readonly waitMs: number
  readonly readMs: number
}

/**
 * An answer that comes later after its question might contradict what was acknowledged meanwhile, to whoever asked it and to those who have
 * joined since: where there is time it is asked again.
 */
const AMONG_MANY_WRITERS: Patience = { waitMs: 2_000, readMs: 900 }
/** A shorter one could not be answered. */
const SHORTEST_READ_MS = 50
/** For its own deadline, so that the one here comes first. */
const AHEAD_MS = 200
/** After a read that failed nobody waits for another one. */
const PAUSE_MS = 500

/** Given so that tests can move it. */
export interface Time {
  nowMs(): number
  /** @returns a way to call it off. */
  later(work: () => void, ms: number): () => void
}

const REAL_TIME: Time = {
  nowMs: () => performance.now(),
  later(work, ms) {
    const timer = setTimeout(work, ms)
    return () => clearTimeout(timer)
  },
}

export type LastKnown = (feature: Feature, key: EntityKey) => Promise<HistoryRow | undefined>

type Rows = Map<string, PromiseWithResolvers<HistoryRow | undefined>>

/** Keys of one feature that are read together. */
interface KeyBatch {
  readonly feature: Feature
  readonly keys: Rows
  readonly since: number
}

/**
 * Finds the newest recorded row of a key. All features' keys go together, and while history is being read the next keys gather: where an outage
 * makes every request ask history, it is asked for many keys a few times, and for no key twice at once.
 * @returns rejects with `overloaded` when history does not answer in time, or has just not done so; with its own error when it fails.
 */
export function createLastKnown(
  offline: Pick<OfflineStore, 'latestOfEach'>,
  time: Time = REAL_TIME,
  patience: Patience = AMONG_MANY_WRITERS,
): LastKnown {
  const reads = new HistoryReads(offline, time, patience)
  return (feature, key) => reads.newest(feature, key.encoded)
}

class HistoryReads {
  private readonly offline: Pick<OfflineStore, 'latestOfEach'>
  private readonly time: Time
  private readonly patience: Patience
  private readonly waiting = new Map<string, KeyBatch>()
  /** By feature: what is being read. */
  private readonly underWay = new Map<string, Rows>()
  private waitingKeys = 0
  private running = 0
  private isDue = false
  private failure: { readonly until: number; readonly error: unknown } | undefined

  constructor(offline: Pick<OfflineStore, 'latestOfEach'>, time: Time, patience: Patience) {
    this.offline = offline
    this.time = time
    this.patience = patience
  }

  newest(feature: Feature, key: string): Promise<HistoryRow | undefined> {
    const field = fieldOf(feature)
    const joined = this.underWay.get(field)?.get(key) ?? this.waiting.get(field)?.keys.get(key)
    if (joined) return joined.promise
    if (this.failure && this.time.nowMs() < this.failure.until) return Promise.reject(this.failure.error)
    if (this.waitingKeys >= MAX_WAITING) return Promise.reject(tooSlow())
    const batch = this.waiting.get(field) ?? { feature, keys: new Map(), since: this.time.nowMs() }
    this.waiting.set(field, batch)
    this.waitingKeys++
    const answer = Promise.withResolvers<HistoryRow | undefined>()
    // Whoever waits may have been answered otherwise.
    answer.promise.catch(() => undefined)
    batch.keys.set(key, answer)
    this.schedule()
    return answer.promise
  }

  /** At the end of the turn, so that all keys of a request go together. */
  private schedule(): void {
    if (this.isDue) return
    this.isDue = true
    setImmediate(() => this.start())
  }

  private start(): void {
    this.isDue = false
    while (this.running < MAX_READS) {
      const batches = this.takeBatches()
      if (batches.length === 0) return
      void this.read(batches)
    }
  }

  /** As many as one read takes. One that is larger than a read is taken in pieces: what is left of it waits on. */
  private takeBatches(): KeyBatch[] {
    const batches: KeyBatch[] = []
    let room = MAX_KEYS
    for (const [field, batch] of this.waiting) {
      if (this.underWay.has(field)) continue
      const keys = batch.keys.size <= room ? batch.keys : new Map([...batch.keys].slice(0, room))
      if (keys === batch.keys) this.waiting.delete(field)
      else for (const key of keys.keys()) batch.keys.delete(key)
      this.waitingKeys -= keys.size
      this.underWay.set(field, keys)
      batches.push({ ...batch, keys })
      room -= keys.size
      if (room === 0) break
    }
    return batches
  }

  private async read(batches: readonly KeyBatch[]): Promise<void> {
    this.running++
    try {
      const wanted = batches.map(({ feature: { name, fingerprint }, keys }) => ({ feature: name, fingerprint, keys: [...keys.keys()] }))
      const oldest = Math.min(...batches.map(({ since }) => since))
      const found = await this.readInTime(wanted, oldest + this.patience.waitMs)
      for (const [b, { keys }] of batches.entries()) {
        for (const [i, { resolve }] of [...keys.values()].entries()) resolve(found[b]?.[i])
      }
    } catch (error) {
      this.failure = { until: this.time.nowMs() + PAUSE_MS, error }
      for (const { keys } of batches) for (const { reject } of keys.values()) reject(error)
    }
    for (const { feature } of batches) this.underWay.delete(fieldOf(feature))
    this.running--
    this.start()
  }

  /** @param until A read that has begun is not given up before it can be answered. */
  private async readInTime(wanted: readonly WantedKeys[], until: number): Promise<Awaited<ReturnType<OfflineStore['latestOfEach']>>> {
    for (;;) {
      const startedAt = this.time.nowMs()
      const limitMs = Math.min(this.patience.readMs, Math.max(SHORTEST_READ_MS, until - startedAt))
      const isLate = () => this.time.nowMs() - startedAt > limitMs
      try {
        const found = await inTime(this.offline.latestOfEach(wanted, { timeoutMs: limitMs + AHEAD_MS }), limitMs, this.time)
        // This process may have been too busy to look at it, or at the time.
        if (!isLate()) return found
      } catch (error) {
        if (!isOverloaded(error) && !isLate()) throw error
      }
      if (until - this.time.nowMs() < this.patience.readMs) throw tooSlow()
    }
  }
}

/** History is there, and others may be writing to it: what it did not say in time is not to be guessed. */
function tooSlow(): FabraError {
  return new FabraError('overloaded', 'History does not answer in time.', { hint: 'Try again in a few seconds.' })
}

async function inTime<T>(reading: Promise<T>, limitMs: number, { later }: Time): Promise<T> {
  reading.catch(() => undefined)
  const late = Promise.withResolvers<never>()
  const callOff = later(() => late.reject(tooSlow()), limitMs)
  try {
    return await Promise.race([reading, late.promise])
  } finally {
    callOff()
  }
}
