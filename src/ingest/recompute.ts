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
import type { Feature, Registry } from '../definition/model.ts'
import { FabraError, isUnavailable } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import type { Arrival } from '../store/ports/source-rows.ts'
import { type AffectedKeys, type Dependencies, dependentsOf, isKept, keysByTime, readersOf } from './affected-keys.ts'
import type { AppendedRows } from './appended-rows.ts'
import { createDelayedKeys } from './delayed-keys.ts'
import { computeWanted, type KeptKeys, keptKeys } from './recompute-batch.ts'
import { enqueueKeys, hasWork, putBack, queueOf, type RecomputeQueue, take } from './recompute-queue.ts'
import { RecomputeTurns } from './recompute-turns.ts'
import { SecondLooks } from './second-looks.ts'

/** Keys of all features that may wait; more and new rows are refused. */
const MAX_WAITING_KEYS = 200_000
/** The longest that a key may have waited while new rows are taken. */
const MAX_BEHIND_MS = 30_000

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
  const registry = (): Registry => options.version().registry
  const delayed = createDelayedKeys(clock, ({ feature, keys, at }) => {
    const current = registry().features.get(feature)
    if (current) enqueue(current, keys, at)
  })
  const turns = new RecomputeTurns({ runBatch, onPause: settle, log })
  const secondLooks = new SecondLooks({ ...options, onLate: enqueue })
  /** Appended rows whose readers are being asked for. */
  let lookups = 0
  let closed = false
  let idlers: (() => void)[] = []

  function followFrom(appended: AppendedRows, now: Micros): void {
    const version = options.version()
    const readers = readersOf(version, appended.source.name)
    for (const entity of new Set(readers.map((feature) => feature.entity))) {
      const byTime = keysByTime(version.registry.entities.get(entity), appended, (time) => (time <= now ? now : delayed.bucketOf(time)))
      for (const feature of readers) if (feature.entity === entity) for (const [at, keys] of byTime) add(feature, keys, at)
    }
  }

  function add(feature: Feature, keys: AffectedKeys, visibleAt: Micros): void {
    if (visibleAt <= clock.now()) enqueue(feature, keys, visibleAt)
    else delayed.add({ feature: feature.name, keys, at: visibleAt })
  }

  function enqueue(feature: Feature, keys: AffectedKeys, from: Micros): void {
    if (closed || (keys !== 'all' && keys.size === 0)) return
    if (!isKept(feature)) {
      followDependents(feature, keys, from)
      return
    }
    const queue = queueOf(queues, feature)
    if (enqueueKeys(queue, keys, from)) turns.schedule(queue)
  }

  /** What is built on a feature changes with it. */
  function followDependents(feature: Feature, keys: AffectedKeys, from: Micros): void {
    for (const dependent of dependentsOf(registry(), feature)) enqueue(dependent, keys, from)
  }

  /** @returns whether keys failed and are to be tried again. */
  async function runBatch(queue: RecomputeQueue): Promise<boolean> {
    const version = options.version()
    const feature = version.registry.features.get(queue.name)
    const { wanted, all } = take(queue)
    if (closed || !feature || !isKept(feature)) return false
    let kept: KeptKeys
    try {
      const inUse = all === null ? [] : ((await version.listKeys(feature.entity))?.keys ?? (await options.keysInUse(feature)))
      for (const key of inUse) wanted.set(key.encoded, { key, from: all ?? 0, attempts: 0 })
      kept = await keptKeys(version.computations, feature, [...wanted.values()], options)
    } catch (error) {
      if (!isUnavailable(error)) throw error
      putBack(queue, { wanted, all })
      return true
    }
    if (all !== null) secondLooks.plan(feature, all, wanted)
    const again = [...kept.underway, ...(await computeWanted(version.computations, feature, kept.stored))]
    for (const one of again) if (!queue.keys.has(one.key.encoded)) queue.keys.set(one.key.encoded, one)
    if (again.length > 0) queue.since = performance.now()
    let from = all ?? 0
    for (const one of wanted.values()) from = Math.max(from, one.from)
    followDependents(feature, all === null ? new Map([...wanted].map(([encoded, { key }]) => [encoded, key])) : 'all', from)
    return again.some((one) => one.attempts > 0)
  }

  function settle(): void {
    if (!isIdle()) return
    for (const idler of idlers) idler()
    idlers = []
  }

  const isIdle = () => turns.isIdle && lookups === 0
  const idle = () => (isIdle() ? Promise.resolve() : new Promise<void>((resolve) => idlers.push(resolve)))

  return {
    follow(appended) {
      const now = clock.now()
      const lookup = options.version().readObservedSources()
      if (!lookup) return followFrom(appended, now)
      lookups++
      void lookup.then(() => {
        lookups--
        followFrom(appended, now)
        settle()
      })
    },
    add,
    changed: (feature, keys) => followDependents(feature, keys, clock.now()),
    checkRoom: () => checkRoom([...queues.values()], delayed.size()),
    recover(arrivals) {
      for (const { source, visibleAt } of arrivals) {
        for (const feature of readersOf(options.version(), source)) add(feature, 'all', Math.max(visibleAt, clock.now()))
      }
    },
    isIdle,
    idle,
    close() {
      closed = true
      turns.close()
      delayed.close()
      secondLooks.close()
      return idle()
    },
  }
}

/** @param delayed Keys that wait for their time. @throws FabraError overloaded */
function checkRoom(queues: readonly RecomputeQueue[], delayed: number): void {
  const now = performance.now()
  const behind = queues.find((queue) => queue.mustFollow && hasWork(queue) && now - queue.since > MAX_BEHIND_MS)
  const waiting = queues.reduce((sum, queue) => sum + (queue.mustFollow ? queue.keys.size : 0), delayed)
  if (!behind && waiting <= MAX_WAITING_KEYS) return
  throw new FabraError('overloaded', `Features are behind the events: ${waiting} keys wait to be computed.`, {
    hint: behind ? `"${behind.name}" takes longest. Send again in a second.` : 'Send again in a second.',
  })
}
