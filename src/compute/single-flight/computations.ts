/**
 * One computation per feature and key, however many callers wait.
 *
 * A caller joins the computation of its (feature, key, inputs) if there is one: a realtime read only while that has not started, so that what
 * it gets is never older than its question. Computations of a SQL feature that are waiting together start together as one statement
 * (micro-batching): the first starts at once, and while two statements are running the next ones gather. Functions start one by one; the
 * runtime batches their frames. A failure is shared like a value, and the key then rests for a moment with a jittered, growing pause so that a
 * broken source is not hammered. No caller waits longer than its own deadline: not behind the statements that run, and not for a refresh that
 * has more time.
 */
import type { Clock } from '../../clock.ts'
import type { List } from '../../collections/chunked-list.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import { fieldOf } from '../../definition/feature-version.ts'
import type { Feature } from '../../definition/model.ts'
import type { Executor } from '../executor.ts'
import { Activity } from './activity.ts'
import { BatchRunner, type OnComputed } from './batch-runner.ts'
import { createCallGraph } from './call-graph.ts'
import type { CrossProcess } from './cross-process.ts'
import { FeatureQueue } from './feature-queue.ts'
import { type ComputeCall, callId, type Outcome } from './in-flight.ts'

export type { Answered } from './batch-runner.ts'

export interface Computations {
  compute(call: ComputeCall): Outcome | Promise<Outcome>
  /**
   * Compute many keys in one batch (a refresh): one question to the executor for all keys that are not in flight already.
   * Readers that miss one of these keys meanwhile join it.
   * @returns the answer of each key, by its index among those given.
   */
  computeAll(feature: Feature, keys: List<EntityKey>, timeoutMs: number): Promise<(index: number) => Outcome>
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
  readonly onComputed: OnComputed
  /** 0 ≤ random < 1. */
  readonly random: () => number
  /** Computations that are shared with other processes; null: there are none. */
  readonly shared: CrossProcess | null
}

export function createComputations({ executor, clock, onComputed, random, shared }: ComputationsOptions): Computations {
  const activity = new Activity()
  const dependencies = { runner: new BatchRunner(executor, onComputed), clock, random, shared, activity }
  const queues = new Map<string, FeatureQueue>()
  const callGraph = createCallGraph()

  function queueOf(feature: Feature): FeatureQueue {
    const id = fieldOf(feature)
    let queue = queues.get(id)
    if (!queue) {
      queue = new FeatureQueue(feature, dependencies)
      queues.set(id, queue)
    }
    return queue
  }

  return {
    compute(call) {
      const inCycle = callGraph.note(call.chain, call.feature.name)
      const id = callId(call.key, call.inputs)
      return queueOf(call.feature).compute(inCycle ? `${id}\0${call.chain.join('\0')}` : id, call)
    },
    computeAll: (feature, keys, timeoutMs) => queueOf(feature).computeAll(keys, timeoutMs),
    async underway(feature, keys) {
      const others = shared ? await shared.underway(feature, keys) : []
      const queue = queueOf(feature)
      return keys.map((key, i) => queue.has(key) || others[i] === true)
    },
    forget: (feature, key) => queueOf(feature).forget(key),
    idle: () => activity.idle(),
  }
}
