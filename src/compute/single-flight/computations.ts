/**
 * One computation per feature and key, however many callers wait.
 *
 * A caller joins the flight of its (feature, key, inputs) if there is one: a realtime read only while that flight has not started, so that
 * what it gets is never older than its question. Flights of a SQL feature that are waiting together leave together as one statement
 * (micro-batching): the first leaves at once, and while `MAX_BATCHES` are running the next ones gather. Functions leave one by one;
 * the runtime batches their frames. A flight that fails is shared like one that succeeds, and the key then rests for a moment with a
 * jittered, growing pause so that a broken source is not hammered. No caller waits longer than its own deadline: not behind the statements
 * that run, and not for a refresh that has more time.
 */
import type { Clock, Micros } from '../../clock.ts'
import { ChunkedList, type List } from '../../collections/chunked-list.ts'
import { createPace, inSteps } from '../../collections/yielding.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import { fieldOf } from '../../definition/feature-version.ts'
import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Computed, ComputeRow, ComputeRows, Executor } from '../executor.ts'
import { createCallGraph } from './call-graph.ts'
import type { CrossProcess, CrossProcessCallbacks } from './cross-process.ts'
import {
  type ComputeCall,
  callId,
  failed,
  type InFlight,
  inTime,
  newInFlight,
  noYoungerInputs,
  type Outcome,
  outcomeOf,
  takeBatch,
  timedOut,
} from './flights.ts'
import { CHUNK, RefreshBatch } from './refresh-batch.ts'

/** Rows in one statement of a micro-batch. */
const MAX_BATCH_ROWS = 1_000
/** Statements of one SQL feature running at once. */
const MAX_BATCHES = 2
/** Flights of one feature that may wait or run; more are refused as overloaded. */
const MAX_IN_FLIGHT = 100_000
/** Grace beyond a computation's own timeout before its callers are told without it. */
const GRACE_MS = 250
/** Longest wait for a store beyond a reader's own time, so that what is quickly kept is kept before anyone hears of it. */
const STORE_GRACE_MS = 50
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** Failing keys remembered per feature; beyond, the oldest is forgotten and may be tried at once. */
const MAX_PAUSES = 10_000

/** An answer to keep. Those with inputs are not stored: they belong to one request. */
export interface Answered {
  readonly key: EntityKey
  readonly inputs: ComputeRow['inputs']
  readonly computed: Exclude<Computed, { kind: 'error' }>
  readonly asOf: Micros
}

export interface Computations {
  compute(call: ComputeCall): Outcome | Promise<Outcome>
  /**
   * Compute many keys in one batch (a refresh): one question to the executor for all keys that are not in flight already.
   * Readers that miss one of these keys meanwhile join it.
   * @returns the answer of each key, by its place among those given.
   */
  computeAll(feature: Feature, keys: List<EntityKey>, timeoutMs: number): Promise<(location: number) => Outcome>
  /** @returns for each key whether it is being computed right now, by this process or for a reader of another. */
  underway(feature: Feature, keys: readonly EntityKey[]): Promise<readonly boolean[]>
  /** What is asked or computed of this key is not kept, and nobody joins it any more. */
  forget(feature: Feature, key: EntityKey): void
  /** Resolves when nothing waits or runs. */
  idle(): Promise<void>
}

export interface ComputationsOptions {
  readonly executor: Executor
  readonly clock: Clock
  /** Called with the answers of one batch that are no errors, before any caller hears of them. */
  readonly onComputed: (feature: Feature, answers: readonly Answered[]) => Promise<void> | void
  /** 0 ≤ random < 1. */
  readonly random: () => number
  /** Computations that are shared with other processes; null: there are none. */
  readonly shared: CrossProcess | null
}

interface FeatureQueue {
  readonly feature: Feature
  readonly waiting: Map<string, InFlight>
  readonly running: Map<string, InFlight>
  /** Refreshes under way. */
  readonly refreshBatches: Set<RefreshBatch>
  readonly pauses: Map<string, { until: Micros; failures: number; error: FabraError }>
  batches: number
  scheduled: boolean
}

export function createComputations(options: ComputationsOptions): Computations {
  const { executor, clock, onComputed, random, shared } = options
  const queues = new Map<string, FeatureQueue>()
  const callGraph = createCallGraph()
  let active = 0
  let idlers: (() => void)[] = []

  function queueOf(feature: Feature): FeatureQueue {
    const id = fieldOf(feature)
    let queue = queues.get(id)
    if (!queue) {
      queue = {
        feature,
        waiting: new Map(),
        running: new Map(),
        refreshBatches: new Set(),
        pauses: new Map(),
        batches: 0,
        scheduled: false,
      }
      queues.set(id, queue)
    }
    return queue
  }

  function compute(call: ComputeCall): Outcome | Promise<Outcome> {
    const { feature, key } = call
    const queue = queueOf(feature)
    const inCycle = callGraph.note(call.chain, feature.name)
    const id = inCycle ? `${callId(key, call.inputs)}\0${call.chain.join('\0')}` : callId(key, call.inputs)
    const joined = queue.waiting.get(id) ?? (feature.refresh?.kind === 'realtime' ? undefined : running(queue, id))
    if (joined) return joined.timeoutMs > call.timeoutMs ? inTime(joined, call, clock.now()) : outcomeOf(joined)
    const pause = queue.pauses.get(id)
    if (pause && clock.now() < pause.until) return { computed: { kind: 'error', error: pause.error }, asOf: clock.now() }
    if (queue.waiting.size + queue.running.size >= MAX_IN_FLIGHT) {
      const error = new FabraError('overloaded', `Too many computations of "${feature.name}" are waiting.`, {
        hint: 'Try again in a second.',
      })
      return { computed: { kind: 'error', error }, asOf: clock.now() }
    }
    const inFlight = newInFlight(id, call)
    queue.waiting.set(id, inFlight)
    active++
    if (isFull(queue)) limitWait(queue, inFlight)
    else schedule(queue)
    return outcomeOf(inFlight)
  }

  async function computeAll(feature: Feature, keys: List<EntityKey>, timeoutMs: number): Promise<(location: number) => Outcome> {
    const queue = queueOf(feature)
    const refreshBatch = new RefreshBatch(feature, keys, timeoutMs)
    /** Of the keys that are in flight already, by their places. */
    const joined = new Map<number, InFlight>()
    /** Where the others are in the sweep. */
    const rows = new Int32Array(keys.length)
    let location = 0
    queue.refreshBatches.add(refreshBatch)
    active++
    try {
      await inSteps(keys, (key) => {
        const inFlight = running(queue, key.encoded) ?? queue.waiting.get(key.encoded)
        if (inFlight) joined.set(location, inFlight)
        else {
          rows[location] = refreshBatch.length
          refreshBatch.add(key, location)
        }
        location++
      })
      if (refreshBatch.length > 0) await computeRefresh(queue, refreshBatch)
    } finally {
      queue.refreshBatches.delete(refreshBatch)
      settleOne()
    }
    const others = new Map<number, Outcome>()
    for (const [at, inFlight] of joined) others.set(at, await outcomeOf(inFlight))
    return (at) => others.get(at) ?? refreshBatch.outcome(rows[at] ?? 0)
  }

  /** The flight under way. */
  function running(queue: FeatureQueue, id: string): InFlight | undefined {
    const alone = queue.running.size > 0 ? queue.running.get(id) : undefined
    if (alone) return alone
    for (const refreshBatch of queue.refreshBatches) {
      const inFlight = refreshBatch.inFlight(id)
      if (inFlight && !inFlight.isForgotten) return inFlight
    }
    return undefined
  }

  /** Leaves at the end of the current turn, so that the rows of one request go together. */
  function schedule(queue: FeatureQueue): void {
    if (queue.scheduled || queue.waiting.size === 0 || isFull(queue)) return
    queue.scheduled = true
    queueMicrotask(() => {
      queue.scheduled = false
      start(queue)
    })
  }

  function start(queue: FeatureQueue): void {
    const isSql = queue.feature.computation.kind === 'sql'
    while (queue.waiting.size > 0 && !isFull(queue)) {
      const batch = takeBatch(queue.waiting, isSql ? MAX_BATCH_ROWS : 1)
      for (const inFlight of batch) queue.running.set(inFlight.id, inFlight)
      queue.batches++
      void leave(queue, batch).finally(() => {
        queue.batches--
        schedule(queue)
      })
    }
    for (const inFlight of queue.waiting.values()) limitWait(queue, inFlight)
  }

  /** For readers. What only this process asks for (inputs, a realtime value, a cycle) is nobody else's to compute. */
  async function leave(queue: FeatureQueue, batch: readonly InFlight[]): Promise<void> {
    if (!shared || queue.feature.refresh?.kind === 'realtime') return computeBatch(queue, batch)
    const common = batch.filter((inFlight) => inFlight.id === inFlight.key.encoded)
    const alone = batch.filter((inFlight) => inFlight.id !== inFlight.key.encoded)
    await Promise.all([
      alone.length > 0 ? computeBatch(queue, alone) : undefined,
      common.length > 0 ? shared.computeBatch(queue.feature, common, sharing(queue)) : undefined,
    ])
  }

  function sharing(queue: FeatureQueue): CrossProcessCallbacks {
    return {
      compute: (own) => computeBatch(queue, own),
      settle(inFlight, { computed, asOf }) {
        inFlight.asOf = asOf
        settle(queue, inFlight, computed)
      },
      expire(inFlight) {
        inFlight.asOf = clock.now()
        settle(queue, inFlight, { kind: 'error', error: timedOut(queue.feature, inFlight.timeoutMs) })
      },
    }
  }

  function limitWait(queue: FeatureQueue, inFlight: InFlight): void {
    inFlight.timer ??= setTimeout(() => expire(queue, inFlight), inFlight.timeoutMs)
  }

  /** The deadline of a flight that had to wait, or of the statement it is part of, has come. */
  function expire(queue: FeatureQueue, inFlight: InFlight): void {
    const error = timedOut(queue.feature, inFlight.timeoutMs)
    const computed: Computed = { kind: 'error', error }
    if (queue.waiting.delete(inFlight.id)) {
      inFlight.asOf = clock.now()
      settle(queue, inFlight, computed)
      return
    }
    // Its statement goes on, and what it finds is kept.
    if (queue.running.get(inFlight.id) === inFlight) queue.running.delete(inFlight.id)
    pauseKey(queue, inFlight.id, error)
    inFlight.waiting?.resolve({ computed, asOf: clock.now() })
  }

  async function computeBatch(queue: FeatureQueue, batch: readonly InFlight[]): Promise<void> {
    const asOf = clock.now()
    const startedMs = performance.now()
    for (const inFlight of batch) inFlight.asOf = asOf
    const longest = batch.reduce((most, inFlight) => Math.max(most, inFlight.timeoutMs), 0)
    const answers = await answersFor(queue.feature, batch, { timeoutMs: longest, chain: batch[0]?.chain ?? [] })
    const pace = createPace()
    for (let from = 0; from < batch.length; from += CHUNK) {
      const wait = pace()
      if (wait) await wait
      const some = batch.slice(from, from + CHUNK)
      const settling = some.map((_, i) => noYoungerInputs(answers.at(from + i) ?? failed(queue.feature), asOf))
      const kept: Answered[] = []
      some.forEach((inFlight, i) => {
        const computed = settling[i] as Computed
        if (isKept(queue, inFlight.id, computed) && !inFlight.isForgotten)
          kept.push({ key: inFlight.key, inputs: inFlight.inputs, computed, asOf })
      })
      // A reader is served what was computed for it, though it could not be kept.
      await store(queue.feature, kept, Math.max(STORE_GRACE_MS, longest - (performance.now() - startedMs)))
      some.forEach((inFlight, i) => {
        settle(queue, inFlight, settling[i] as Computed)
      })
    }
  }

  /** A refresh has failed when its answers could not be kept. */
  async function computeRefresh(queue: FeatureQueue, refreshBatch: RefreshBatch): Promise<void> {
    const asOf = clock.now()
    refreshBatch.start(asOf)
    refreshBatch.answer(await answersFor(queue.feature, refreshBatch, { timeoutMs: refreshBatch.timeoutMs, chain: [] }))
    const pace = createPace()
    for (let from = 0; from < refreshBatch.length; from += CHUNK) {
      const wait = pace()
      if (wait) await wait
      const kept: Answered[] = []
      for (let row = from; row < Math.min(from + CHUNK, refreshBatch.length); row++) {
        const key = refreshBatch.key(row)
        const computed = refreshBatch.computed(row)
        if (isKept(queue, key.encoded, computed) && !refreshBatch.isForgotten(row)) kept.push({ key, inputs: undefined, computed, asOf })
      }
      refreshBatch.settle(await store(queue.feature, kept, null))
    }
  }

  /** Whether it is an answer; the key of one that is not rests for a while. */
  function isKept(queue: FeatureQueue, id: string, computed: Computed): computed is Answered['computed'] {
    if (computed.kind === 'error') {
      pauseKey(queue, id, computed.error)
      return false
    }
    if (queue.pauses.size > 0) queue.pauses.delete(id)
    return true
  }

  /** @param patienceMs After it nobody waits any longer for a store that does not answer; null: for ever. @returns why the answers could not be kept. */
  async function store(feature: Feature, kept: readonly Answered[], patienceMs: number | null): Promise<FabraError | undefined> {
    if (kept.length === 0) return undefined
    const keeping = (async () => {
      try {
        await onComputed(feature, kept)
        return undefined
      } catch (cause) {
        return cause instanceof FabraError ? cause : failed(feature, cause).error
      }
    })()
    if (patienceMs === null) return keeping
    const over = Promise.withResolvers<undefined>()
    const timer = setTimeout(over.resolve, patienceMs, undefined)
    const unstored = await Promise.race([keeping, over.promise])
    clearTimeout(timer)
    return unstored
  }

  async function answersFor(
    feature: Feature,
    rows: ComputeRows,
    { timeoutMs, chain }: { readonly timeoutMs: number; readonly chain: readonly string[] },
  ): Promise<List<Computed>> {
    const controller = new AbortController()
    const all = (error: FabraError) => ChunkedList.filled<Computed>(rows.length, { kind: 'error', error })
    const late = Promise.withResolvers<List<Computed>>()
    const timer = setTimeout(() => {
      controller.abort()
      late.resolve(all(timedOut(feature, timeoutMs)))
    }, timeoutMs + GRACE_MS)
    try {
      const computing = executor.compute(feature, rows, { signal: controller.signal, timeoutMs, mode: 'present', chain })
      return await Promise.race([computing, late.promise])
    } catch (cause) {
      return all(cause instanceof FabraError ? cause : failed(feature, cause).error)
    } finally {
      clearTimeout(timer)
    }
  }

  function settle(queue: FeatureQueue, inFlight: InFlight, computed: Computed): void {
    if (inFlight.timer) clearTimeout(inFlight.timer)
    if (queue.running.get(inFlight.id) === inFlight) queue.running.delete(inFlight.id)
    inFlight.computed = computed
    inFlight.waiting?.resolve({ computed, asOf: inFlight.asOf })
    settleOne()
  }

  function settleOne(): void {
    active--
    if (active > 0) return
    for (const idler of idlers) idler()
    idlers = []
  }

  function pauseKey(queue: FeatureQueue, id: string, error: FabraError): void {
    const failures = (queue.pauses.get(id)?.failures ?? 0) + 1
    queue.pauses.delete(id)
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10))
    queue.pauses.set(id, { until: clock.now() + Math.floor(longest * (0.5 + random() / 2)) * 1000, failures, error })
    const oldest = queue.pauses.size > MAX_PAUSES ? queue.pauses.keys().next().value : undefined
    if (oldest !== undefined) queue.pauses.delete(oldest)
  }

  return {
    compute,
    computeAll,
    async underway(feature, keys) {
      const queue = queueOf(feature)
      const others = shared ? await shared.underway(feature, keys) : []
      return keys.map((key, i) => queue.waiting.has(key.encoded) || running(queue, key.encoded) !== undefined || others[i] === true)
    },
    forget(feature, key) {
      const { running, waiting, refreshBatches } = queueOf(feature)
      for (const refreshBatch of refreshBatches) {
        const inFlight = refreshBatch.inFlight(key.encoded)
        if (inFlight) inFlight.isForgotten = true
      }
      for (const inFlight of [...running.values(), ...waiting.values()])
        if (inFlight.key.encoded === key.encoded) inFlight.isForgotten = true
      for (const [id, inFlight] of running) if (inFlight.isForgotten) running.delete(id)
    },
    idle: () => (active === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve))),
  }
}

/** Functions leave as they come: the runtime has its own limits. */
function isFull(queue: FeatureQueue): boolean {
  return queue.feature.computation.kind === 'sql' && queue.batches >= MAX_BATCHES
}
