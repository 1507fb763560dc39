import type { Clock, Micros } from '../../clock.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import { stringifyExact } from '../../definition/exact-json.ts'
import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Computed, ComputeRow } from '../executor.ts'

export interface Outcome {
  readonly computed: Computed
  /** The start of the computation: the value's event timestamp. */
  readonly asOf: Micros
}

export interface ComputeCall {
  readonly feature: Feature
  readonly key: EntityKey
  readonly inputs?: Readonly<Record<string, unknown>>
  readonly chain: readonly string[]
  readonly timeoutMs: number
  /** Somebody looks, and no model reads. Default false. */
  readonly isLook?: boolean | undefined
  /** What the caller has found stored: its sequence number, null for nothing, undefined where it could not be known. */
  readonly storedSeq?: number | null | undefined
}

/**
 * One computation of one key: waiting for its batch, or under way. It is the row that is computed and, once it is settled, its own outcome: a
 * refresh has hundreds of thousands of them at a time.
 */
export interface InFlight extends ComputeRow {
  readonly id: string
  readonly inputs: ComputeRow['inputs']
  readonly chain: readonly string[]
  readonly timeoutMs: number
  readonly isLook: boolean
  /** As of a call; undefined, too, where its callers have found different ones. */
  storedSeq: number | null | undefined
  /** When it was asked for, on the clock of `performance.now()`. */
  readonly begunAt: number
  /** Set when its computation starts: it is the value's event time. */
  asOf: Micros
  /** Its answer, as soon as it has one. */
  computed: Computed | undefined
  /** Made for the first who waits: nobody does for most keys of a refresh. */
  waiting: PromiseWithResolvers<Outcome> | undefined
  /** Set while it waits behind others: its callers are told at their deadline all the same. */
  timer: Timer | undefined
  /** Its key was forgotten meanwhile: its callers are answered, and nothing of it is kept. */
  isForgotten: boolean
}

export function newInFlight(id: string, call: ComputeCall): InFlight {
  return {
    id,
    key: call.key,
    inputs: call.inputs,
    chain: call.chain,
    timeoutMs: call.timeoutMs,
    isLook: call.isLook ?? false,
    storedSeq: call.storedSeq,
    begunAt: performance.now(),
    asOf: 0,
    computed: undefined,
    waiting: undefined,
    timer: undefined,
    isForgotten: false,
  }
}

/** Without a promise when it is settled. */
export function outcomeOf(inFlight: InFlight): Outcome | Promise<Outcome> {
  if (isSettled(inFlight)) return inFlight
  inFlight.waiting ??= Promise.withResolvers()
  return inFlight.waiting.promise
}

function isSettled(inFlight: InFlight): inFlight is InFlight & Outcome {
  return inFlight.computed !== undefined
}

/** For one more caller. */
export function joinedOutcome(joined: InFlight, call: ComputeCall, clock: Clock): Outcome | Promise<Outcome> {
  if (joined.storedSeq !== call.storedSeq) joined.storedSeq = undefined
  return joined.timeoutMs > call.timeoutMs ? inTime(joined, call, clock.now()) : outcomeOf(joined)
}

/** Of a computation that has more time than this caller. */
function inTime(inFlight: InFlight, { feature, timeoutMs }: ComputeCall, asOf: Micros): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const timer = setTimeout(resolve, timeoutMs, { computed: { kind: 'error', error: timedOut(feature, timeoutMs) }, asOf })
  void Promise.resolve(outcomeOf(inFlight)).then((outcome) => {
    clearTimeout(timer)
    resolve(outcome)
  })
  return promise
}

export function takeBatch(waiting: Map<string, InFlight>, limit: number): InFlight[] {
  const batch: InFlight[] = []
  for (const [id, inFlight] of waiting) {
    waiting.delete(id)
    batch.push(inFlight)
    if (batch.length >= limit) break
  }
  return batch
}

/** One that a running function waits for must not wait for that function's own place, whoever goes along. */
export function longestChain(batch: readonly InFlight[]): readonly string[] {
  return batch.reduce<readonly string[]>((longest, { chain }) => (chain.length > longest.length ? chain : longest), [])
}

/** A part that was computed on the way is as old as the value derived from it, not younger. */
export function noYoungerInputs(answer: Computed, asOf: Micros): Computed {
  if (answer.kind !== 'value' || answer.oldestInputAt === null || answer.oldestInputAt <= asOf) return answer
  return { ...answer, oldestInputAt: asOf }
}

/** Inputs are part of the question: two callers with different amounts do not share an answer. */
export function callId(key: EntityKey, inputs: ComputeRow['inputs']): string {
  if (!inputs) return key.encoded
  return `${key.encoded}\0${stringifyExact(Object.entries(inputs))}`
}

export function timedOut(feature: Feature, timeoutMs: number): FabraError {
  return new FabraError('feature_timeout', `The feature "${feature.name}" did not finish within ${timeoutMs} ms.`, {
    hint: 'Make it faster, give it a longer `timeout`, or let it be refreshed in the background with `refresh`.',
  })
}

export function tooMany(feature: Feature): FabraError {
  return new FabraError('overloaded', `Too many computations of "${feature.name}" are waiting.`, { hint: 'Try again in a second.' })
}

export function failed(feature: Feature, cause?: unknown): { kind: 'error'; error: FabraError } {
  const error = new FabraError('feature_failed', `The feature "${feature.name}" failed.`, {
    cause,
    hint: 'The server log has the details.',
  })
  return { kind: 'error', error }
}
