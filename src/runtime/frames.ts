/**
 * What the main thread and a place that runs user code say to each other. The place is a worker thread for TypeScript; a Python process
 * speaks the same frames as one JSON array a message. Frames that are queued in one turn of the event loop travel as one array, in order.
 *
 *   host → guest: load, define, call, answer, cancel, ping          guest → host: hello, loaded, result, ask, log, pong
 *
 * A guest says `hello` once and answers one `load` with what the files declare. The host makes one registry of what all guests sent, and tells each
 * by `define` what its functions are called and give; then come any number of `call`s, many at a time and in any order. While a call runs the guest may
 * `ask` (a query, a part) and gets an `answer`. A cancelled call's result is ignored. A guest that does not `pong` is blocked.
 * Everything is JSON except whole numbers beyond 2^53, which are bigint on a thread and plain integers in JSON. Between threads a message of
 * frames that cannot hold any goes as a JSON text, which takes a quarter of the time that copying objects takes.
 */
import type { Micros } from '../clock.ts'
import type { DbResult } from '../compute/db.ts'
import type { CallFailure, CallOutcome } from '../compute/function-runner.ts'
import type { ReadPart } from '../compute/reader.ts'
import type { DeclaredType, FeatureColumn, KeyColumn, Problem } from '../definition/model.ts'
import type { SentDraft, SentExport } from '../definition/sent-drafts.ts'

/** Raised when a frame changes its meaning. A guest with another version is not used. */
export const PROTOCOL_VERSION = 1

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LoadFrame {
  readonly t: 'load'
  /** Absolute paths. */
  readonly files: readonly string[]
  /** Added to the present that user code sees (`--clock`). */
  readonly clockOffset: Micros
  /** One slot: the id of the call whose function is running right now, 0 for none. Threads only. */
  readonly running: Int32Array | null
  /** See gates.ts. Threads only. */
  readonly gates: Int32Array | null
  /** Path of a file that holds both of them, see process/slots.ts. Processes only. */
  readonly shared?: string
}

/** A function of the guest as the registry has it. */
export interface DefinedFunction {
  readonly feature: string
  /** The id of its draft. */
  readonly definition: number
  readonly key: readonly KeyColumn[]
  readonly columns: readonly FeatureColumn[]
  readonly inputs: Readonly<Record<string, DeclaredType>>
  /** Most keys of one call; null: its calls are of one key. */
  readonly batch: number | null
  readonly nan: 'error' | 'null'
}

export interface DefineFrame {
  readonly t: 'define'
  readonly functions: readonly DefinedFunction[]
  /** What the definitions of the guest are called, by the ids of their drafts. */
  readonly names: readonly (readonly [id: number, name: string])[]
}

type Inputs = Readonly<Record<string, unknown>>

export interface CallFrame {
  readonly t: 'call'
  readonly id: number
  readonly feature: string
  /** Canonical key texts in the order of the entity's columns. */
  readonly key?: readonly string[]
  /** Instead of `key` where the function takes many. */
  readonly keys?: readonly (readonly string[])[]
  /** Of the key; of many, a list beside them. */
  readonly inputs: Inputs | readonly Inputs[] | null
  readonly asOf: Micros
  readonly mode: 'present' | 'past'
  /** Of the gate that it must pass before it begins; -1 for none. A call that does not pass is not answered. */
  readonly slot: number
}

/** Reply to `ask`: exactly one of the last three. */
export interface AnswerFrame {
  readonly t: 'answer'
  readonly ask: number
  readonly rows?: DbResult
  readonly part?: ReadPart
  readonly error?: CallFailure
}

export type HostFrame =
  | LoadFrame
  | DefineFrame
  | CallFrame
  | AnswerFrame
  | { readonly t: 'cancel'; readonly id: number }
  | { readonly t: 'ping' }

export interface LoadedFrame {
  readonly t: 'loaded'
  readonly drafts: readonly SentDraft[]
  /** Null: each draft is exported under its own name. */
  readonly exported: readonly SentExport[] | null
  readonly problems: readonly Problem[]
  /** What works, and should be known. */
  readonly warnings?: readonly Problem[]
  /** Every file on disk the definitions were made from, also those that could not be loaded. */
  readonly files: readonly string[]
}

export interface ResultFrame {
  readonly t: 'result'
  readonly id: number
  /** JSON text per column; null when the function gave nothing (missing). */
  readonly texts: readonly string[] | null
  /** One a key, where it was called with many and did not fail as a whole. */
  readonly elements?: readonly CallOutcome[]
  readonly error?: CallFailure
  /** The function asked for the current time in a past computation (and got the as-of time). */
  readonly usedPresent?: boolean
}

export type RuntimeRequest =
  | { readonly kind: 'query'; readonly sql: string; readonly params: readonly unknown[] }
  | { readonly kind: 'get'; readonly name: string }

export interface RequestFrame {
  readonly t: 'ask'
  /** The call that asks. */
  readonly id: number
  readonly ask: number
  readonly question: RuntimeRequest
}

export interface LogFrame {
  readonly t: 'log'
  /** The call that logs; 0 outside any call. */
  readonly id: number
  readonly level: LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export type GuestFrame =
  | { readonly t: 'hello'; readonly version: number }
  | LoadedFrame
  | ResultFrame
  | RequestFrame
  | LogFrame
  | { readonly t: 'pong' }

export type Message<Frame> = readonly Frame[] | string

/** @returns the frames in the form that crosses to another thread quickest. */
export function toMessage<Frame extends HostFrame | GuestFrame>(frames: readonly Frame[]): Message<Frame> {
  return frames.every(isPlainFrame) ? JSON.stringify(frames) : frames
}

export function fromMessage<Frame>(message: Message<Frame>): readonly Frame[] {
  return typeof message === 'string' ? (JSON.parse(message) as Frame[]) : message
}

/** Whether JSON says all that the frame holds: calls, their results, and what they ask and are answered are nearly all there is. */
export function isPlainFrame(frame: HostFrame | GuestFrame): boolean {
  return frame.t === 'result' || (frame.t === 'call' && frame.inputs === null) || frame.t === 'cancel' || isPlainAnswer(frame)
}

/** Whether JSON says all that an answer holds. What is nested may hold anything, and is rare. */
export function isPlainAnswer(frame: HostFrame | GuestFrame): boolean {
  if (frame.t !== 'answer') return false
  return frame.rows === undefined || frame.rows.rows.every((row) => row.every(isPlainCell))
}

function isPlainCell(cell: unknown): boolean {
  if (cell === null || typeof cell === 'string' || typeof cell === 'boolean') return true
  return typeof cell === 'number' && Number.isFinite(cell) && Math.abs(cell) <= Number.MAX_SAFE_INTEGER && !Object.is(cell, -0)
}

/** Kept, because user code may put clocks of its own in the place of the global one. */
export const atEndOfTurn = setImmediate

/**
 * Collects what is sent in one turn of the event loop into one message: a message costs as much as all else there is to a call, and requests
 * that arrive together are handled in one turn.
 * @param instead What to send for a frame that cannot be sent (it holds something that does not travel), so that nobody waits in vain.
 */
export function createOutbox<Frame>(
  post: (frames: readonly Frame[]) => void,
  instead: (frame: Frame, error: unknown) => Frame | null = () => null,
): (frame: Frame) => void {
  let queue: Frame[] = []
  const postAlone = (frame: Frame) => {
    try {
      post([frame])
    } catch (error) {
      const other = instead(frame, error)
      if (other !== null) post([other])
    }
  }
  const flush = () => {
    const frames = queue
    queue = []
    try {
      post(frames)
    } catch {
      for (const frame of frames) postAlone(frame)
    }
  }
  return (frame) => {
    if (queue.push(frame) === 1) atEndOfTurn(flush)
  }
}

export type RuntimeLog = (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void
