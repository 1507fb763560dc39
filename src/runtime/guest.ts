/**
 * The far end of the frames: loads the user's files and runs their functions. It knows nothing of stores, HTTP or the pool; it may be
 * terminated at any instant, so it holds nothing worth keeping.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { DbResult } from '../compute/db.ts'
import type { CallFailure } from '../compute/function-runner.ts'
import type { ReadPart } from '../compute/reader.ts'
import type { KeyType } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import { type Call, type CallStorage, createAmbientDb, createCallContext, type DbHandle } from './call-context.ts'
import type { Definitions, GuestFunction } from './definitions-port.ts'
import type {
  AnswerFrame,
  CallFrame,
  DefinedFunction,
  DefineFrame,
  GuestFrame,
  HostFrame,
  LoadFrame,
  LogLevel,
  ResultFrame,
} from './frames.ts'
import { atEndOfTurn, createOutbox, PROTOCOL_VERSION } from './frames.ts'
import { enter } from './gates.ts'
import { installGuestClock } from './guest-clock.ts'
import { limitProcess } from './guest-limits.ts'
import { batchOutcomeOf, failureOf, outcomeOf } from './guest-outcome.ts'
import { redirectOutput } from './guest-process.ts'
import { loadFiles } from './loader.ts'
import { createRunningCall, type RunningCall, watchTimers } from './running-call.ts'

interface GuestState {
  readonly send: (frame: GuestFrame) => void
  readonly storage: CallStorage
  readonly calls: Map<number, Call>
  readonly pendingRequests: Map<number, { readonly id: number; readonly waiting: PromiseWithResolvers<DbResult | ReadPart> }>
  readonly definitions: Definitions
  running: RunningCall
  gates: Int32Array | null
  /** By the ids of their drafts. */
  functions: ReadonlyMap<number, GuestFunction>
  /** The user's definitions, by the same. */
  objects: ReadonlyMap<number, unknown>
  /** By feature. */
  readonly defined: Map<string, { readonly fn: GuestFunction; readonly as: DefinedFunction }>
  lastAsk: number
}

/** A message may hold hundreds of calls: after so long what they gave is sent, and what came meanwhile is heard. */
const TURN_MS = 5

/** Kept, because user code may put a clock of its own in its place. */
const nowMs = performance.now.bind(performance)

/** @returns what to call with every message from the host. */
export function startGuest(
  definitions: Definitions,
  post: (frames: readonly GuestFrame[]) => void,
): (frames: readonly HostFrame[]) => Promise<void> {
  const state: GuestState = {
    send: createOutbox(post),
    storage: new AsyncLocalStorage(),
    calls: new Map(),
    pendingRequests: new Map(),
    definitions,
    running: createRunningCall(null),
    gates: null,
    functions: new Map(),
    objects: new Map(),
    defined: new Map(),
    lastAsk: 0,
  }
  state.send({ t: 'hello', version: PROTOCOL_VERSION })
  const queue: HostFrame[] = []
  let draining = false
  return async (frames) => {
    queue.push(...frames)
    if (draining) return
    draining = true
    let since = nowMs()
    for (let frame = queue.shift(); frame !== undefined; frame = queue.shift()) {
      // One answer at a time, so that what runs because of it is known to be its call's.
      if (frame.t === 'answer') await takeAnswer(state, frame)
      else receive(state, frame)
      if (nowMs() - since < TURN_MS) continue
      await new Promise<void>((resolve) => atEndOfTurn(resolve))
      since = nowMs()
    }
    draining = false
  }
}

function receive(state: GuestState, frame: Exclude<HostFrame, AnswerFrame>): void {
  switch (frame.t) {
    case 'call':
      startCall(state, frame)
      break
    case 'cancel':
      cancel(state, frame.id)
      break
    case 'define':
      defineFunctions(state, frame)
      break
    case 'ping':
      state.send({ t: 'pong' })
      break
    case 'load':
      void load(state, frame)
  }
}

async function load(state: GuestState, frame: LoadFrame): Promise<void> {
  state.running = createRunningCall(frame.running)
  state.gates = frame.gates
  watchTimers(state.running, () => state.storage.getStore()?.frame.id ?? 0)
  installGuestClock({
    offsetMs: frame.clockOffset / 1000,
    pinned: () => {
      const call = state.storage.getStore()
      if (call === undefined || call.frame.mode === 'present') return undefined
      call.usedPresent = true
      return Math.floor(call.frame.asOf / 1000)
    },
  })
  const print = (level: LogLevel, message: string) =>
    state.send({ t: 'log', id: state.storage.getStore()?.frame.id ?? 0, level, message, fields: {} })
  redirectOutput(print)
  limitProcess({ feature: () => state.storage.getStore()?.frame.feature, print })
  bindModule({ ...state.definitions.exports, db: createAmbientDb(state.storage) })
  const loaded = await loadFiles(frame.files, state.definitions)
  state.functions = loaded.functions
  state.objects = loaded.objects
  const { drafts, exported, problems, files } = loaded
  state.send({ t: 'loaded', drafts, exported, problems, files })
}

function defineFunctions(state: GuestState, { functions, names }: DefineFrame): void {
  for (const [id, name] of names) state.definitions.rename(state.objects.get(id), name)
  for (const as of functions) {
    const fn = state.functions.get(as.definition)
    if (fn !== undefined) state.defined.set(as.feature, { fn, as })
  }
}

/** Binds "fabra" to this very process for everything that is imported from now on. */
function bindModule(exports: Record<string, unknown> & { readonly db: DbHandle }): void {
  Bun.plugin({
    name: 'fabra',
    setup(build) {
      build.module('fabra', () => ({ exports, loader: 'object' }))
    },
  })
}

function startCall(state: GuestState, frame: CallFrame): void {
  if (!enter(state.gates, frame.slot)) return
  const defined = state.defined.get(frame.feature)
  if (defined === undefined) {
    const error: CallFailure = { code: 'internal', message: `No function of the name "${frame.feature}" is loaded.` }
    state.send({ t: 'result', id: frame.id, texts: null, error })
    return
  }
  const { fn, as } = defined
  const call = openCall(state, frame)
  const keys = frame.keys?.map((key) => keyValue(as, key))
  const key = keys ?? keyValue(as, frame.key ?? [])
  const done = (value: unknown) => finish(state, call, resultOf(state, call, as, value))
  const fail = (error: unknown) => finish(state, call, { t: 'result', id: frame.id, ...failureOf(error) })
  let given: unknown
  try {
    given = state.running.during(frame.id, () => state.storage.run(call, fn, key as never, createCallContext(call) as never))
  } catch (error) {
    fail(error)
    return
  }
  if (isThenable(given)) given.then(done, fail)
  else done(given)
}

function resultOf({ definitions }: GuestState, { frame }: Call, as: DefinedFunction, value: unknown): ResultFrame {
  const of = { t: 'result', id: frame.id } as const
  if (frame.keys === undefined) return { ...of, ...outcomeOf(definitions.encode, as, value) }
  return { ...of, texts: null, ...batchOutcomeOf(definitions.encode, as, value, frame.keys.length) }
}

function openCall(state: GuestState, frame: CallFrame): Call {
  const call: Call = {
    frame,
    inputs: frame.inputs ?? frame.keys?.map(() => ({})) ?? {},
    controller: null,
    ended: false,
    usedPresent: false,
    ask: (question) => {
      const ask = ++state.lastAsk
      const waiting = Promise.withResolvers<DbResult | ReadPart>()
      state.pendingRequests.set(ask, { id: frame.id, waiting })
      state.send({ t: 'ask', id: frame.id, ask, question })
      return waiting.promise
    },
    log: (level, message, fields) => state.send({ t: 'log', id: frame.id, level, message, fields }),
  }
  state.calls.set(frame.id, call)
  return call
}

function finish(state: GuestState, call: Call, result: ResultFrame): void {
  if (call.ended) return
  call.ended = true
  state.calls.delete(call.frame.id)
  state.send(call.usedPresent ? { ...result, usedPresent: true } : result)
}

function cancel(state: GuestState, id: number): void {
  const call = state.calls.get(id)
  if (call === undefined) return
  call.ended = true
  state.calls.delete(id)
  call.controller?.abort(new DOMException('The computation was cancelled: nobody waits for it any more.', 'AbortError'))
}

async function takeAnswer(state: GuestState, frame: AnswerFrame): Promise<void> {
  const asked = state.pendingRequests.get(frame.ask)
  if (asked === undefined) return
  state.pendingRequests.delete(frame.ask)
  await state.running.resuming(asked.id, () => {
    if (frame.error) {
      const { code, message, hint } = frame.error
      asked.waiting.reject(new FabraError(code, message, hint === undefined ? {} : { hint }))
    } else asked.waiting.resolve(frame.rows ?? frame.part ?? { text: undefined, eventAt: null })
  })
}

function keyValue({ key }: DefinedFunction, texts: readonly string[]): unknown {
  const columns = key.map(({ name, type }, i) => [name, type, texts[i] ?? ''] as const)
  const typed = (type: KeyType, text: string): unknown => {
    if (type !== 'int') return text
    const number = Number(text)
    return Number.isSafeInteger(number) ? number : BigInt(text)
  }
  const only = columns.length === 1 ? columns[0] : undefined
  if (only) return typed(only[1], only[2])
  return Object.fromEntries(columns.map(([name, type, text]) => [name, typed(type, text)]))
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
