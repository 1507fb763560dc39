/**
 * Keeps values up with the events they are computed from.
 *
 * Rows that came to a source name the keys they are about. Each feature that reads the source computes those of them again that it keeps a value
 * of (others are computed when they are first read), in one batch for all rows that came meanwhile, one batch at a time. When a batch is done,
 * the features built on that feature follow. A row that is visible only later waits for its time. A computation that had begun before a
 * row came does not count: its keys go into the next batch.
 *
 * Of many processes the one that took the rows computes: values are in the store of all. What the others know is asked of them: which keys are in
 * use, for rows that name none, and what functions were seen to read. A first value that is being computed somewhere meanwhile may lack
 * the rows, so its key waits until it is there.
 *
 * Everything is bounded: where too many keys wait, or wait for too long, `checkRoom` refuses new rows. While the store of the values is down
 * nobody is refused for that: what cannot be looked up stays, and is all keys in use when it is too much.
 */
import type { Clock, Micros } from '../clock.ts'
import type { List } from '../collections/chunked-list.ts'
import type { Computations } from '../compute/single-flight/computations.ts'
import type { KeyLister } from '../compute/sql/key-lister.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature, Registry } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import { DoubtedRows } from '../store/ports/doubts.ts'
import type { OnlineStore, StoredRows } from '../store/ports/online-store.ts'
import type { Arrival } from '../store/ports/source-rows.ts'
import { type AffectedKeys, type Dependencies, dependentsOf, isKept, keysByTime, readersOf } from './affected-keys.ts'
import type { AppendedRows } from './appended-rows.ts'
import { createLater, type Later } from './delayed-rows.ts'
import { hasWork, putBack, queueOf, type RecomputeQueue, take, type Wanted } from './recompute-queue.ts'

/** Keys of all features that may wait; more and new rows are refused. */
const MAX_WAITING_KEYS = 200_000
/** The longest that a key may have waited while new rows are taken. */
const MAX_BEHIND_MS = 30_000
/** The same of one function that follows as well as it can; more are left to its schedule. */
const MAX_EASY_KEYS = 10_000
/** Batches of different features at once: requests need the engine too. */
const MAX_BATCHES = 2
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 50
const TIMEOUT_MS = 30_000
/** What cannot be looked up is tried again after this time. */
const PAUSE_WHILE_DOWN_MS = 1_000
/** A key that fails so often in a row is left to the schedule. */
const MAX_ATTEMPTS = 4

interface Kept {
  readonly stored: readonly Wanted[]
  readonly underway: readonly Wanted[]
}

/** What the definitions in use say. */
export interface RecomputeVersion extends Dependencies {
  readonly computations: Computations
  /** All keys of an entity that lists them. */
  readonly listKeys: KeyLister
  /** Learn what functions of other processes were seen to read; undefined: nobody is to be asked. Never rejects. */
  readonly readObservedSources: () => Promise<void> | undefined
}

export interface Recomputer {
  /** Rows are in a source's table now. */
  follow(appended: AppendedRows): void
  /** Values of these keys, or of all in use, may be out of date from then on. */
  add(feature: Feature, keys: AffectedKeys, visibleAt: Micros): void
  /** These keys of a feature have other values now: what is built on it follows. */
  changed(feature: Feature, keys: AffectedKeys): void
  /** @throws FabraError overloaded when keys wait in too great a number, or for too long. */
  checkRoom(): void
  /** Keys may have values from before these rows came: the process ended too soon. */
  recover(arrivals: readonly Arrival[]): void
  /** Whether nothing is left to compute but what becomes visible later. */
  isIdle(): boolean
  /** Resolves when nothing is left to compute but what becomes visible later. */
  idle(): Promise<void>
  /** Nothing more is begun. Resolves when the batches under way are done. */
  close(): Promise<void>
}

export interface RecomputerOptions {
  readonly version: () => RecomputeVersion
  readonly online: OnlineStore
  /** By any process, as far as they told. @throws FabraError store_unavailable */
  readonly keysInUse: (feature: Feature) => Promise<List<EntityKey>>
  /** Which of the keys history has a value of. @throws FabraError store_unavailable */
  readonly recorded: (feature: Feature, encodedKeys: readonly string[]) => Promise<readonly boolean[]>
  /** After which time other processes have told which keys they use now; null: there are none. */
  readonly sharedWithinMs: number | null
  readonly clock: Clock
  readonly log: Logger
}

export function createRecomputer(options: RecomputerOptions): Recomputer {
  const { clock, log } = options
  const queues = new Map<string, RecomputeQueue>()
  const later: Later = createLater(clock, ({ feature, keys, at }) => {
    const current = registry().features.get(feature)
    if (current) enqueue(current, keys, at)
  })
  const turns: RecomputeQueue[] = []
  let batches = 0
  /** One at a time, so that what must follow always finds a place. */
  let easyRuns = false
  let timers = 0
  let learning = 0
  const secondLooks = new Set<Timer>()
  let closed = false
  let idlers: (() => void)[] = []

  const registry = (): Registry => options.version().registry

  function follow(appended: AppendedRows): void {
    const now = clock.now()
    const learnt = options.version().readObservedSources()
    if (!learnt) followFrom(appended, now)
    else {
      learning++
      void learnt.then(() => {
        learning--
        followFrom(appended, now)
        settle()
      })
    }
  }

  function followFrom(appended: AppendedRows, now: Micros): void {
    const version = options.version()
    const readers = readersOf(version, appended.source.name)
    for (const entity of new Set(readers.map((feature) => feature.entity))) {
      const byTime = keysByTime(version.registry.entities.get(entity), appended, (time) => (time <= now ? now : later.bucketOf(time)))
      for (const feature of readers) if (feature.entity === entity) for (const [at, keys] of byTime) add(feature, keys, at)
    }
  }

  function add(feature: Feature, keys: AffectedKeys, visibleAt: Micros): void {
    if (visibleAt <= clock.now()) enqueue(feature, keys, visibleAt)
    else later.add({ feature: feature.name, keys, at: visibleAt })
  }

  function enqueue(feature: Feature, keys: AffectedKeys, from: Micros): void {
    if (closed || (keys !== 'all' && keys.size === 0)) return
    if (!isKept(feature)) {
      follows(feature, keys, from)
      return
    }
    const queue = queueOf(queues, feature)
    if (!queue.mustFollow && (keys === 'all' || queue.keys.size + keys.size > MAX_EASY_KEYS)) return
    if (queue.keys.size === 0 && queue.all === null) queue.since = performance.now()
    if (keys === 'all') queue.all = Math.max(queue.all ?? from, from)
    else for (const [encoded, key] of keys) queue.keys.set(encoded, { key, from, attempts: queue.keys.get(encoded)?.attempts ?? 0 })
    schedule(queue)
  }

  /** What is built on a feature changes with it. */
  function follows(feature: Feature, keys: AffectedKeys, from: Micros): void {
    for (const dependent of dependentsOf(registry(), feature)) enqueue(dependent, keys, from)
  }

  function schedule(queue: RecomputeQueue, pauseMs?: number): void {
    if (queue.running || closed || !hasWork(queue)) {
      settle()
      return
    }
    queue.running = true
    timers++
    // What comes within a moment goes along; a feature that takes long leaves as long for others.
    setTimeout(
      () => {
        timers--
        turns.push(queue)
        void runNext()
      },
      pauseMs ?? Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, queue.lastMs)),
    )
  }

  async function runNext(): Promise<void> {
    if (batches >= MAX_BATCHES) return
    const at = turns.findIndex((turn) => turn.mustFollow || !easyRuns)
    const [queue] = at < 0 ? [] : turns.splice(at, 1)
    if (!queue) {
      settle()
      return
    }
    batches++
    const isEasy = !queue.mustFollow
    if (isEasy) easyRuns = true
    const started = performance.now()
    let failed = false
    try {
      failed = await runBatch(queue)
    } catch (error) {
      log.warn(`"${queue.name}" could not follow the events of its sources`, { error })
    }
    batches--
    if (isEasy) easyRuns = false
    queue.lastMs = performance.now() - started
    queue.running = false
    schedule(queue, failed ? PAUSE_WHILE_DOWN_MS : undefined)
    void runNext()
  }

  /** @returns whether keys failed and are to be tried again. */
  async function runBatch(queue: RecomputeQueue): Promise<boolean> {
    const version = options.version()
    const feature = version.registry.features.get(queue.name)
    const { wanted, all } = take(queue)
    if (closed || !feature || !isKept(feature)) return false
    let kept: Kept
    try {
      const inUse = all === null ? [] : ((await version.listKeys(feature.entity))?.keys ?? (await options.keysInUse(feature)))
      for (const key of inUse) wanted.set(key.encoded, { key, from: all ?? 0, attempts: 0 })
      kept = await keptOf(version.computations, feature, [...wanted.values()])
    } catch (error) {
      if (!(error instanceof FabraError && error.code === 'store_unavailable')) throw error
      putBack(queue, { wanted, all })
      return true
    }
    if (all !== null) lookAgain(feature, all, wanted)
    const again = [...kept.underway, ...(await compute(version.computations, feature, kept.stored))]
    for (const one of again) if (!queue.keys.has(one.key.encoded)) queue.keys.set(one.key.encoded, one)
    if (again.length > 0) queue.since = performance.now()
    let from = all ?? 0
    for (const one of wanted.values()) from = Math.max(from, one.from)
    follows(feature, all === null ? new Map([...wanted].map(([encoded, { key }]) => [encoded, key])) : 'all', from)
    return again.some((one) => one.attempts > 0)
  }

  /** Those that have a value, which may be out of date; and those that are getting their first. */
  async function keptOf(computations: Computations, feature: Feature, wanted: readonly Wanted[]): Promise<Kept> {
    const keys = wanted.map((one) => one.key)
    // In this order: what is underway no longer has been stored.
    const underway = await computations.underway(feature, keys)
    const isStored = await storedOf(
      feature,
      keys.map((key) => key.encoded),
    )
    const hasValue = (i: number) => isStored[i] === true
    return { stored: wanted.filter((_, i) => hasValue(i)), underway: wanted.filter((_, i) => !hasValue(i) && underway[i]) }
  }

  /** While the store may lack values, those of history are served, and go out of date like any other. */
  async function storedOf(feature: Feature, encoded: readonly string[]): Promise<readonly boolean[]> {
    const areThere = (rows: StoredRows | undefined) => encoded.map((_, i) => rows?.[i]?.[0] !== undefined)
    try {
      return areThere(await options.online.read(feature.entity, encoded, [fieldOf(feature)], 'deciding'))
    } catch (error) {
      if (!(error instanceof DoubtedRows)) throw error
      const recorded = await options.recorded(feature, encoded)
      return areThere(error.rows).map((isThere, i) => isThere || recorded[i] === true)
    }
  }

  /** Keys that were read elsewhere just before the rows came are told of a moment later. */
  function lookAgain(feature: Feature, from: Micros, done: ReadonlyMap<string, unknown>): void {
    const { sharedWithinMs } = options
    if (sharedWithinMs === null) return
    const timer = setTimeout(async () => {
      secondLooks.delete(timer)
      try {
        const late = [...(await options.keysInUse(feature))].filter((key) => !done.has(key.encoded))
        enqueue(feature, new Map(late.map((key) => [key.encoded, key])), from)
      } catch {
        enqueue(feature, 'all', from)
      }
    }, sharedWithinMs)
    timer.unref()
    secondLooks.add(timer)
  }

  /** @returns those to compute once more. */
  async function compute(computations: Computations, feature: Feature, wanted: readonly Wanted[]): Promise<Wanted[]> {
    if (wanted.length === 0) return []
    const timeoutMs = Math.max(TIMEOUT_MS, Math.ceil((feature.timeout ?? 0) / 1000))
    const outcome = await computations.computeAll(
      feature,
      wanted.map((one) => one.key),
      timeoutMs,
    )
    const again: Wanted[] = []
    for (const [place, one] of wanted.entries()) {
      const { computed, asOf } = outcome(place)
      if (computed.kind !== 'error') {
        if (asOf < one.from) again.push(one)
      } else if (computed.error.code === 'store_unavailable') again.push({ ...one, attempts: Math.max(1, one.attempts) })
      else if (one.attempts + 1 < MAX_ATTEMPTS) again.push({ ...one, attempts: one.attempts + 1 })
    }
    return again
  }

  function settle(): void {
    if (!isIdle()) return
    for (const idler of idlers) idler()
    idlers = []
  }

  const waiting = () => [...queues.values()].reduce((sum, queue) => sum + (queue.mustFollow ? queue.keys.size : 0), 0)
  const isIdle = () => timers === 0 && batches === 0 && turns.length === 0 && learning === 0
  const idle = () => (isIdle() ? Promise.resolve() : new Promise<void>((resolve) => idlers.push(resolve)))

  return {
    follow,
    add,
    changed: (feature, keys) => follows(feature, keys, clock.now()),
    checkRoom() {
      const now = performance.now()
      const behind = [...queues.values()].find((queue) => queue.mustFollow && hasWork(queue) && now - queue.since > MAX_BEHIND_MS)
      if (behind || waiting() + later.size() > MAX_WAITING_KEYS) {
        throw new FabraError('overloaded', `Features are behind the events: ${waiting() + later.size()} keys wait to be computed.`, {
          hint: behind ? `"${behind.name}" takes longest. Send again in a second.` : 'Send again in a second.',
        })
      }
    },
    recover(arrivals) {
      for (const { source, visibleAt } of arrivals) {
        for (const feature of readersOf(options.version(), source)) add(feature, 'all', Math.max(visibleAt, clock.now()))
      }
    },
    isIdle,
    idle,
    close() {
      closed = true
      later.close()
      for (const timer of secondLooks) clearTimeout(timer)
      return idle()
    },
  }
}
