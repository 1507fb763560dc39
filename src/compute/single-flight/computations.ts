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
import { type List, LongList } from '../../collections/chunked-list.ts'
import { createPace, inSteps } from '../../collections/yielding.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Computed, ComputeRow, ComputeRows, Executor } from '../executor.ts'
import { createAsks } from './call-graph.ts'
import type { SharedFlights, SharedFlying } from './cross-process.ts'
import {
  type ComputeCall,
  type Flight,
  type Flown,
  failed,
  flightId,
  flownOf,
  inTime,
  newFlight,
  noYoungerInputs,
  takeBatch,
  timedOut,
} from './flights.ts'
import { LOT, Sweep } from './refresh-batch.ts'

/** Rows in one statement of a micro-batch. */
const MAX_BATCH_ROWS = 1_000
/** Statements of one SQL feature running at once. */
const MAX_BATCHES = 2
/** Flights of one feature that may wait or run; more are refused as overloaded. */
const MAX_FLIGHTS = 100_000
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
  compute(call: ComputeCall): Flown | Promise<Flown>
  /**
   * Compute many keys in one batch (a refresh): one question to the executor for all keys that are not in flight already.
   * Readers that miss one of these keys meanwhile join it.
   * @returns the answer of each key, by its place among those given.
   */
  computeAll(feature: Feature, keys: List<EntityKey>, timeoutMs: number): Promise<(place: number) => Flown>
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
  readonly shared: SharedFlights | null
}

interface Lane {
  readonly feature: Feature
  readonly waiting: Map<string, Flight>
  readonly running: Map<string, Flight>
  /** Refreshes under way. */
  readonly sweeps: Set<Sweep>
  readonly pauses: Map<string, { until: Micros; failures: number; error: FabraError }>
  batches: number
  scheduled: boolean
}

export function createComputations(options: ComputationsOptions): Computations {
  const { executor, clock, onComputed, random, shared } = options
  const lanes = new Map<string, Lane>()
  const asks = createAsks()
  let active = 0
  let idlers: (() => void)[] = []

  function laneOf(feature: Feature): Lane {
    const id = `${feature.name}@${feature.fingerprint}`
    let lane = lanes.get(id)
    if (!lane) {
      lane = { feature, waiting: new Map(), running: new Map(), sweeps: new Set(), pauses: new Map(), batches: 0, scheduled: false }
      lanes.set(id, lane)
    }
    return lane
  }

  function compute(call: ComputeCall): Flown | Promise<Flown> {
    const { feature, key } = call
    const lane = laneOf(feature)
    const inCycle = asks.note(call.chain, feature.name)
    const id = inCycle ? `${flightId(key, call.inputs)}\0${call.chain.join('\0')}` : flightId(key, call.inputs)
    const joined = lane.waiting.get(id) ?? (feature.refresh?.kind === 'realtime' ? undefined : flying(lane, id))
    if (joined) return joined.timeoutMs > call.timeoutMs ? inTime(joined, call, clock.now()) : flownOf(joined)
    const pause = lane.pauses.get(id)
    if (pause && clock.now() < pause.until) return { computed: { kind: 'error', error: pause.error }, asOf: clock.now() }
    if (lane.waiting.size + lane.running.size >= MAX_FLIGHTS) {
      const error = new FabraError('overloaded', `Too many computations of "${feature.name}" are waiting.`, {
        hint: 'Try again in a second.',
      })
      return { computed: { kind: 'error', error }, asOf: clock.now() }
    }
    const flight = newFlight(id, call)
    lane.waiting.set(id, flight)
    active++
    if (isFull(lane)) limitWait(lane, flight)
    else schedule(lane)
    return flownOf(flight)
  }

  async function computeAll(feature: Feature, keys: List<EntityKey>, timeoutMs: number): Promise<(place: number) => Flown> {
    const lane = laneOf(feature)
    const sweep = new Sweep(feature, keys, timeoutMs)
    /** Of the keys that are in flight already, by their places. */
    const joined = new Map<number, Flight>()
    /** Where the others are in the sweep. */
    const rows = new Int32Array(keys.length)
    let place = 0
    lane.sweeps.add(sweep)
    active++
    try {
      await inSteps(keys, (key) => {
        const flight = flying(lane, key.encoded) ?? lane.waiting.get(key.encoded)
        if (flight) joined.set(place, flight)
        else {
          rows[place] = sweep.length
          sweep.add(key, place)
        }
        place++
      })
      if (sweep.length > 0) await flySweep(lane, sweep)
    } finally {
      lane.sweeps.delete(sweep)
      landOne()
    }
    const others = new Map<number, Flown>()
    for (const [at, flight] of joined) others.set(at, await flownOf(flight))
    return (at) => others.get(at) ?? sweep.flown(rows[at] ?? 0)
  }

  /** The flight under way. */
  function flying(lane: Lane, id: string): Flight | undefined {
    const alone = lane.running.size > 0 ? lane.running.get(id) : undefined
    if (alone) return alone
    for (const sweep of lane.sweeps) {
      const flight = sweep.flight(id)
      if (flight && !flight.isForgotten) return flight
    }
    return undefined
  }

  /** Leaves at the end of the current turn, so that the rows of one request go together. */
  function schedule(lane: Lane): void {
    if (lane.scheduled || lane.waiting.size === 0 || isFull(lane)) return
    lane.scheduled = true
    queueMicrotask(() => {
      lane.scheduled = false
      depart(lane)
    })
  }

  function depart(lane: Lane): void {
    const isSql = lane.feature.computation.kind === 'sql'
    while (lane.waiting.size > 0 && !isFull(lane)) {
      const flights = takeBatch(lane.waiting, isSql ? MAX_BATCH_ROWS : 1)
      for (const flight of flights) lane.running.set(flight.id, flight)
      lane.batches++
      void leave(lane, flights).finally(() => {
        lane.batches--
        schedule(lane)
      })
    }
    for (const flight of lane.waiting.values()) limitWait(lane, flight)
  }

  /** For readers. What only this process asks for (inputs, a realtime value, a cycle) is nobody else's to compute. */
  async function leave(lane: Lane, flights: readonly Flight[]): Promise<void> {
    if (!shared || lane.feature.refresh?.kind === 'realtime') return fly(lane, flights)
    const common = flights.filter((flight) => flight.id === flight.key.encoded)
    const alone = flights.filter((flight) => flight.id !== flight.key.encoded)
    await Promise.all([
      alone.length > 0 ? fly(lane, alone) : undefined,
      common.length > 0 ? shared.fly(lane.feature, common, sharing(lane)) : undefined,
    ])
  }

  function sharing(lane: Lane): SharedFlying {
    return {
      compute: (own) => fly(lane, own),
      land(flight, { computed, asOf }) {
        flight.asOf = asOf
        land(lane, flight, computed)
      },
      expire(flight) {
        flight.asOf = clock.now()
        land(lane, flight, { kind: 'error', error: timedOut(lane.feature, flight.timeoutMs) })
      },
    }
  }

  function limitWait(lane: Lane, flight: Flight): void {
    flight.timer ??= setTimeout(() => expire(lane, flight), flight.timeoutMs)
  }

  /** The deadline of a flight that had to wait, or of the statement it is part of, has come. */
  function expire(lane: Lane, flight: Flight): void {
    const error = timedOut(lane.feature, flight.timeoutMs)
    const computed: Computed = { kind: 'error', error }
    if (lane.waiting.delete(flight.id)) {
      flight.asOf = clock.now()
      land(lane, flight, computed)
      return
    }
    // Its statement goes on, and what it finds is kept.
    if (lane.running.get(flight.id) === flight) lane.running.delete(flight.id)
    pauseKey(lane, flight.id, error)
    flight.waiting?.resolve({ computed, asOf: clock.now() })
  }

  async function fly(lane: Lane, flights: readonly Flight[]): Promise<void> {
    const asOf = clock.now()
    const startedMs = performance.now()
    for (const flight of flights) flight.asOf = asOf
    const longest = flights.reduce((most, flight) => Math.max(most, flight.timeoutMs), 0)
    const answers = await answersFor(lane.feature, flights, { timeoutMs: longest, chain: flights[0]?.chain ?? [] })
    const pace = createPace()
    for (let from = 0; from < flights.length; from += LOT) {
      const wait = pace()
      if (wait) await wait
      const some = flights.slice(from, from + LOT)
      const landing = some.map((_, i) => noYoungerInputs(answers.at(from + i) ?? failed(lane.feature), asOf))
      const kept: Answered[] = []
      some.forEach((flight, i) => {
        const computed = landing[i] as Computed
        if (isKept(lane, flight.id, computed) && !flight.isForgotten) kept.push({ key: flight.key, inputs: flight.inputs, computed, asOf })
      })
      // A reader is served what was computed for it, though it could not be kept.
      await store(lane.feature, kept, Math.max(STORE_GRACE_MS, longest - (performance.now() - startedMs)))
      some.forEach((flight, i) => {
        land(lane, flight, landing[i] as Computed)
      })
    }
  }

  /** A refresh has failed when its answers could not be kept. */
  async function flySweep(lane: Lane, sweep: Sweep): Promise<void> {
    const asOf = clock.now()
    sweep.depart(asOf)
    sweep.answer(await answersFor(lane.feature, sweep, { timeoutMs: sweep.timeoutMs, chain: [] }))
    const pace = createPace()
    for (let from = 0; from < sweep.length; from += LOT) {
      const wait = pace()
      if (wait) await wait
      const kept: Answered[] = []
      for (let row = from; row < Math.min(from + LOT, sweep.length); row++) {
        const key = sweep.key(row)
        const computed = sweep.computed(row)
        if (isKept(lane, key.encoded, computed) && !sweep.isForgotten(row)) kept.push({ key, inputs: undefined, computed, asOf })
      }
      sweep.land(await store(lane.feature, kept, null))
    }
  }

  /** Whether it is an answer; the key of one that is not rests for a while. */
  function isKept(lane: Lane, id: string, computed: Computed): computed is Answered['computed'] {
    if (computed.kind === 'error') {
      pauseKey(lane, id, computed.error)
      return false
    }
    if (lane.pauses.size > 0) lane.pauses.delete(id)
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
    const all = (error: FabraError) => LongList.filled<Computed>(rows.length, { kind: 'error', error })
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

  function land(lane: Lane, flight: Flight, computed: Computed): void {
    if (flight.timer) clearTimeout(flight.timer)
    if (lane.running.get(flight.id) === flight) lane.running.delete(flight.id)
    flight.computed = computed
    flight.waiting?.resolve({ computed, asOf: flight.asOf })
    landOne()
  }

  function landOne(): void {
    active--
    if (active > 0) return
    for (const idler of idlers) idler()
    idlers = []
  }

  function pauseKey(lane: Lane, id: string, error: FabraError): void {
    const failures = (lane.pauses.get(id)?.failures ?? 0) + 1
    lane.pauses.delete(id)
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10))
    lane.pauses.set(id, { until: clock.now() + Math.floor(longest * (0.5 + random() / 2)) * 1000, failures, error })
    const oldest = lane.pauses.size > MAX_PAUSES ? lane.pauses.keys().next().value : undefined
    if (oldest !== undefined) lane.pauses.delete(oldest)
  }

  return {
    compute,
    computeAll,
    async underway(feature, keys) {
      const lane = laneOf(feature)
      const others = shared ? await shared.underway(feature, keys) : []
      return keys.map((key, i) => lane.waiting.has(key.encoded) || flying(lane, key.encoded) !== undefined || others[i] === true)
    },
    forget(feature, key) {
      const { running, waiting, sweeps } = laneOf(feature)
      for (const sweep of sweeps) {
        const flight = sweep.flight(key.encoded)
        if (flight) flight.isForgotten = true
      }
      for (const flight of [...running.values(), ...waiting.values()]) if (flight.key.encoded === key.encoded) flight.isForgotten = true
      for (const [id, flight] of running) if (flight.isForgotten) running.delete(id)
    },
    idle: () => (active === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve))),
  }
}

/** Functions leave as they come: the runtime has its own limits. */
function isFull(lane: Lane): boolean {
  return lane.feature.computation.kind === 'sql' && lane.batches >= MAX_BATCHES
}
