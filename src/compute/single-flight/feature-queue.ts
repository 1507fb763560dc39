import type { Clock, Micros } from '../../clock.ts'
import type { List } from '../../collections/chunked-list.ts'
import { createPace, inSteps } from '../../collections/yielding.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import { isRealtime } from '../../definition/feature-traits.ts'
import type { Feature } from '../../definition/model.ts'
import type { Computed } from '../executor.ts'
import type { Activity } from './activity.ts'
import { Admission } from './admission.ts'
import type { Answered, BatchRunner } from './batch-runner.ts'
import type { CrossProcess, CrossProcessCallbacks } from './cross-process.ts'
import { FailurePauses } from './failure-pauses.ts'
import {
  type ComputeCall,
  failed,
  type InFlight,
  joinedOutcome,
  longestChain,
  newInFlight,
  noYoungerInputs,
  type Outcome,
  outcomeOf,
  takeBatch,
  timedOut,
  tooMany,
} from './in-flight.ts'
import type { QueueDependencies } from './queue-dependencies.ts'
import { CHUNK, LONGEST_REFRESH_MS, RefreshBatch } from './refresh-batch.ts'
import { alikeOf, sideBySide } from './side-by-side.ts'

/** Rows in one statement of a micro-batch. */
const MAX_BATCH_ROWS = 1_000
/** Statements of one SQL feature running at once. */
const MAX_BATCHES = 2
/** Longest wait for a store beyond a reader's own time, so that what is quickly kept is kept before anyone hears of it. */
const STORE_GRACE_MS = 50

/** The computations of one feature: those that wait, those that run, and the refreshes under way. */
export class FeatureQueue {
  private readonly feature: Feature
  private readonly isRealtime: boolean
  private readonly isSql: boolean
  private readonly runner: BatchRunner
  private readonly clock: Clock
  private readonly shared: CrossProcess | null
  private readonly activity: Activity
  private readonly pauses: FailurePauses
  private readonly admission = new Admission(performance.now())
  private readonly callbacks: CrossProcessCallbacks
  private readonly waiting = new Map<string, InFlight>()
  private readonly running = new Map<string, InFlight>()
  private readonly refreshBatches = new Set<RefreshBatch>()
  private batches = 0
  private isScheduled = false

  constructor(feature: Feature, { runner, clock, random, shared, activity }: QueueDependencies) {
    this.feature = feature
    this.isRealtime = isRealtime(feature)
    this.isSql = feature.computation.kind === 'sql'
    this.runner = runner
    this.clock = clock
    this.shared = shared
    this.activity = activity
    this.pauses = new FailurePauses(clock, random)
    this.callbacks = {
      compute: (own) => this.computeBatch(own),
      settle: (inFlight, { computed, asOf }) => {
        inFlight.asOf = asOf
        this.settle(inFlight, computed)
      },
      expire: (inFlight) => this.settleLate(inFlight),
    }
  }

  /** @param id What the call shares its answer with; of one that may be shared with refreshes and other processes, its key. */
  compute(id: string, call: ComputeCall): Outcome | Promise<Outcome> {
    const joined = this.waiting.get(id) ?? (this.isRealtime ? undefined : this.underway(id))
    if (joined) return joinedOutcome(joined, call, this.clock)
    const resting = this.pauses.reason(id)
    if (resting) return { computed: { kind: 'error', error: resting }, asOf: this.clock.now() }
    if (!this.admission.admits(this.waiting.size + this.running.size, call))
      return { computed: { kind: 'error', error: tooMany(this.feature) }, asOf: this.clock.now() }
    const inFlight = newInFlight(id, call)
    this.waiting.set(id, inFlight)
    this.activity.begin()
    if (this.isFull()) this.limitWait(inFlight)
    else this.schedule()
    return outcomeOf(inFlight)
  }

  /** One question to the executor for all keys that are not in flight already. */
  async computeAll(keys: List<EntityKey>, timeoutMs: number): Promise<(index: number) => Outcome> {
    const refreshBatch = new RefreshBatch(this.feature, keys, timeoutMs)
    /** Of the keys that are in flight already, by their index. */
    const joined = new Map<number, InFlight>()
    /** Where the others are in the batch. */
    const rows = new Int32Array(keys.length)
    let index = 0
    this.refreshBatches.add(refreshBatch)
    this.activity.begin()
    try {
      await inSteps(keys, (key) => {
        const inFlight = this.underway(key.encoded) ?? this.waiting.get(key.encoded)
        if (inFlight) joined.set(index, inFlight)
        else {
          rows[index] = refreshBatch.length
          refreshBatch.add(key, index)
        }
        index++
      })
      if (refreshBatch.length > 0) await this.computeRefresh(refreshBatch)
    } finally {
      this.refreshBatches.delete(refreshBatch)
      this.activity.end()
    }
    const others = new Map<number, Outcome>()
    for (const [at, inFlight] of joined) others.set(at, await outcomeOf(inFlight))
    return (at) => others.get(at) ?? refreshBatch.outcome(rows[at] ?? 0)
  }

  has(key: EntityKey): boolean {
    return this.waiting.has(key.encoded) || this.underway(key.encoded) !== undefined
  }

  forget({ encoded }: EntityKey): void {
    for (const refreshBatch of this.refreshBatches) {
      const inFlight = refreshBatch.inFlight(encoded)
      if (inFlight) inFlight.isForgotten = true
    }
    for (const inFlight of [...this.running.values(), ...this.waiting.values()])
      if (inFlight.key.encoded === encoded) inFlight.isForgotten = true
    for (const [id, inFlight] of this.running) if (inFlight.isForgotten) this.running.delete(id)
  }

  /** The computation that runs, be it part of a refresh. */
  private underway(id: string): InFlight | undefined {
    const alone = this.running.size > 0 ? this.running.get(id) : undefined
    if (alone) return alone
    for (const refreshBatch of this.refreshBatches) {
      const inFlight = refreshBatch.inFlight(id)
      if (inFlight && !inFlight.isForgotten) return inFlight
    }
    return undefined
  }

  /** Functions start as they come: the runtime has its own limits. */
  private isFull(): boolean {
    return this.isSql && this.batches >= MAX_BATCHES
  }

  /**
   * SQL starts at the end of what runs now, so that the rows of one request go together; functions at the end of the turn of the event loop, so that
   * requests that arrived together do, and those of one key share one call.
   */
  private schedule(): void {
    if (this.isScheduled || this.waiting.size === 0 || this.isFull()) return
    this.isScheduled = true
    const start = () => {
      this.isScheduled = false
      if (this.isSql || this.feature.batch !== null) this.start()
      else this.startEach()
    }
    if (this.isSql) queueMicrotask(start)
    else setImmediate(start)
  }

  /** Calls of one key each. */
  private startEach(): void {
    const calls = takeBatch(this.waiting, Number.POSITIVE_INFINITY)
    for (const inFlight of calls) this.running.set(inFlight.id, inFlight)
    const { alike, others } = this.shared && !this.isRealtime ? { alike: [], others: calls } : alikeOf(calls)
    for (const inFlight of others) void this.run([inFlight])
    const asOf = this.clock.now()
    for (const together of alike)
      sideBySide(this.runner, this.feature, together, asOf, (some, answers, leftMs) => {
        void this.keepAndSettle(some, (i) => answers[i], asOf, Math.max(STORE_GRACE_MS, leftMs))
      })
  }

  private start(): void {
    while (this.waiting.size > 0 && !this.isFull()) {
      const batch = takeBatch(this.waiting, this.isSql ? MAX_BATCH_ROWS : (this.feature.batch ?? 1))
      for (const inFlight of batch) this.running.set(inFlight.id, inFlight)
      this.batches++
      void this.run(batch).finally(() => {
        this.batches--
        this.schedule()
      })
    }
    for (const inFlight of this.waiting.values()) this.limitWait(inFlight)
  }

  /** For readers. What only this process asks for (inputs, a realtime value, a cycle) is nobody else's to compute. */
  private async run(batch: readonly InFlight[]): Promise<void> {
    const { shared, feature } = this
    if (!shared || this.isRealtime) return this.computeBatch(batch)
    const common = batch.filter((inFlight) => inFlight.id === inFlight.key.encoded)
    const alone = batch.filter((inFlight) => inFlight.id !== inFlight.key.encoded)
    await Promise.all([
      alone.length > 0 ? this.computeBatch(alone) : undefined,
      common.length > 0 ? shared.computeBatch(feature, common, this.callbacks) : undefined,
    ])
  }

  private async computeBatch(batch: readonly InFlight[]): Promise<void> {
    const asOf = this.clock.now()
    const startedMs = performance.now()
    for (const inFlight of batch) inFlight.asOf = asOf
    const longest = batch.reduce((most, inFlight) => Math.max(most, inFlight.timeoutMs), 0)
    const isLook = batch.every((inFlight) => inFlight.isLook)
    const answers = await this.runner.compute(this.feature, batch, { timeoutMs: longest, chain: longestChain(batch), isLook })
    // A reader is served what was computed for it, though it could not be kept.
    const patience = () => Math.max(STORE_GRACE_MS, longest - (performance.now() - startedMs))
    if (batch.length <= CHUNK) return this.keepAndSettle(batch, (i) => answers.at(i), asOf, patience())
    const pace = createPace()
    for (let from = 0; from < batch.length; from += CHUNK) {
      await pace()
      await this.keepAndSettle(batch.slice(from, from + CHUNK), (i) => answers.at(from + i), asOf, patience())
    }
  }

  private async keepAndSettle(
    some: readonly InFlight[],
    answerOf: (index: number) => Computed | undefined,
    asOf: Micros,
    patienceMs: number,
  ): Promise<void> {
    const settling: Computed[] = []
    const kept: Answered[] = []
    for (const [i, { id, key, inputs, isForgotten }] of some.entries()) {
      const computed = noYoungerInputs(answerOf(i) ?? failed(this.feature), asOf)
      settling.push(computed)
      if (this.isAnswer(id, computed) && !isForgotten) kept.push({ key, inputs, computed, asOf })
    }
    await this.runner.keep(this.feature, kept, patienceMs)
    for (const [i, inFlight] of some.entries()) this.settle(inFlight, settling[i] as Computed)
  }

  /** A refresh has failed when its answers could not be kept. */
  private async computeRefresh(refreshBatch: RefreshBatch): Promise<void> {
    const asOf = this.clock.now()
    refreshBatch.start(asOf)
    // Where a function takes many keys, its time is that of one list of them.
    const lists = this.feature.batch === null ? 1 : Math.ceil(refreshBatch.length / this.feature.batch)
    const timeoutMs = Math.min(LONGEST_REFRESH_MS, refreshBatch.timeoutMs * lists)
    refreshBatch.answer(await this.runner.compute(this.feature, refreshBatch, { timeoutMs, chain: [] }))
    const pace = createPace()
    for (let from = 0; from < refreshBatch.length; from += CHUNK) {
      await pace()
      const kept: Answered[] = []
      for (let row = from; row < Math.min(from + CHUNK, refreshBatch.length); row++) {
        const key = refreshBatch.key(row)
        const computed = refreshBatch.computed(row)
        if (this.isAnswer(key.encoded, computed) && !refreshBatch.isForgotten(row)) kept.push({ key, inputs: undefined, computed, asOf })
      }
      refreshBatch.settle(await this.runner.keep(this.feature, kept, null))
    }
  }

  /** The key of one that is none rests for a while. */
  private isAnswer(id: string, computed: Computed): computed is Answered['computed'] {
    if (computed.kind === 'error') {
      this.pauses.failed(id, computed.error)
      return false
    }
    this.pauses.succeeded(id)
    return true
  }

  private limitWait(inFlight: InFlight): void {
    inFlight.timer ??= setTimeout(() => this.expire(inFlight), inFlight.timeoutMs)
  }

  /** The deadline of one that had to wait, or of the statement it is part of, has come. */
  private expire(inFlight: InFlight): void {
    if (this.waiting.delete(inFlight.id)) {
      this.settleLate(inFlight)
      return
    }
    // Its statement goes on, and what it finds is kept.
    if (this.running.get(inFlight.id) === inFlight) this.running.delete(inFlight.id)
    const error = timedOut(this.feature, inFlight.timeoutMs)
    this.pauses.failed(inFlight.id, error)
    inFlight.waiting?.resolve({ computed: { kind: 'error', error }, asOf: this.clock.now() })
  }

  private settleLate(inFlight: InFlight): void {
    inFlight.asOf = this.clock.now()
    this.settle(inFlight, { kind: 'error', error: timedOut(this.feature, inFlight.timeoutMs) })
  }

  private settle(inFlight: InFlight, computed: Computed): void {
    if (inFlight.timer) clearTimeout(inFlight.timer)
    if (this.running.get(inFlight.id) === inFlight) this.running.delete(inFlight.id)
    inFlight.computed = computed
    this.admission.settled(inFlight, computed, this.waiting.size + this.running.size, performance.now())
    inFlight.waiting?.resolve({ computed, asOf: inFlight.asOf })
    this.activity.end()
  }
}
