import type { Micros } from '../clock.ts'
import type { ErrorCode } from '../errors.ts'
import type { CellForm, DbResult } from './db.ts'
import type { ReadPart } from './reader.ts'

/** What a running function may ask for. Both reject with FabraError. */
export interface CallHost {
  /** @param form How values are given; see `CellForm`. */
  query(sql: string, params: readonly unknown[], form: CellForm): Promise<DbResult>
  get(name: string): Promise<ReadPart>
}

/** One function for one key. */
export interface FunctionCall {
  readonly feature: string
  /** Of the definition the caller means: after a reload the same name may have other code. */
  readonly fingerprint: string
  /** Canonical key texts in the order of the entity's columns. */
  readonly key: readonly string[]
  readonly inputs: Readonly<Record<string, unknown>> | null
  readonly asOf: Micros
  readonly mode: 'present' | 'past'
  /** On the clock of `performance.now()`. */
  readonly deadlineAt: number
  /** Since when it waits for its turn, on the same clock. Default: since now. */
  readonly askedAt?: number
  readonly signal: AbortSignal
  readonly host: CallHost
}

export interface CallFailure {
  readonly code: ErrorCode
  /** Written by Fabra; empty when the function threw something of its own. */
  readonly message: string
  readonly hint?: string
  /** Message and stack of what the user's code threw: for the log, never for a client. */
  readonly thrown?: string
  /** `message` may be shown to clients all the same. */
  readonly shown?: boolean
}

export interface CallOutcome {
  /** JSON text per column, checked against the declared types; null when nothing is known (missing), or the function failed. */
  readonly texts: readonly string[] | null
  readonly error?: CallFailure
  /** The function asked for the current time in a computation of the past (and got the as-of time). */
  readonly usedPresent?: boolean
}

/** One function for many keys at once. */
export interface BatchCall extends Omit<FunctionCall, 'key' | 'inputs'> {
  /** Canonical key texts of each. */
  readonly keys: readonly (readonly string[])[]
  /** Beside the keys. */
  readonly inputs: readonly Readonly<Record<string, unknown>>[] | null
}

export interface BatchOutcome {
  /** One a key, in their order; null when the call failed as a whole. */
  readonly elements: readonly CallOutcome[] | null
  readonly error?: CallFailure
  readonly usedPresent?: boolean
}

/** Runs users' functions somewhere that is not this thread. */
export interface FunctionRunner {
  /** Never rejects, and answers by the deadline, whatever the function does. */
  call(call: FunctionCall): Promise<CallOutcome>
  /** The same for a function that takes many keys. */
  callBatch(call: BatchCall): Promise<BatchOutcome>
}
