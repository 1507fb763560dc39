/**
 * The far end of the frames: loads the user's files and runs their functions. It knows nothing of stores, HTTP or the pool; it may be
 * terminated at any instant, so it holds nothing worth keeping.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { DbResult } from '../compute/db.ts'
import type { CallFailure } from '../compute/function-runner.ts'
import type { ReadPart } from '../compute/reader.ts'
import { declaredType } from '../definition/declared-type.ts'
import type { Feature, KeyType, Registry } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import { type Call, type CallStorage, createAmbientDb, createCallContext, type DbHandle } from './call-context.ts'
import type { Definitions, GuestFunction } from './definitions-port.ts'
import type { AnswerFrame, CallFrame, GuestFrame, HostFrame, LoadFrame, LogLevel, ResultFrame } from './frames.ts'
import { createOutbox, PROTOCOL_VERSION } from './frames.ts'
import { enter } from './gates.ts'
import { installGuestClock } from './guest-clock.ts'
import { limitProcess, RefusedEffect } from './guest-limits.ts'
import { redirectOutput } from './guest-process.ts'
import { loadFiles } from './loader.ts'
import { createRunningCall, type RunningCall, watchTimers } from './running-call.ts'

interface GuestState {
  readonly send: (frame: GuestFrame) => void
  readonly storage: CallStorage
  readonly calls: Map<number, Call>
  readonly asks: Map<number, { readonly id: number; readonly waiting: PromiseWithResolvers<DbResult | ReadPart> }>
  readonly definitions: Definitions
  running: RunningCall
  gates: Int32Array | null
  registry: Registry | null
  functions: ReadonlyMap<string, GuestFunction>
  lastAsk: number
}

/** @returns what to call with every message from the host. */
export function startGuest(
  definitions: Definitions,
  post: (frames: readonly GuestFrame[]) => void,
): (frames: readonly HostFrame[]) => Promise<void> {
  const state: GuestState = {
    send: createOutbox(post),
    storage: new AsyncLocalStorage(),
    calls: new Map(),
    asks: new Map(),
    definitions,
    running: createRunningCall(null),
    gates: null,
    registry: null,
    functions: new Map(),
    lastAsk: 0,
  }
  state.send({ t: 'hello', version: PROTOCOL_VERSION })
  const queue: HostFrame[] = []
  let draining = false
  return async (frames) => {
    queue.push(...frames)
    if (draining) return
    draining = true
    for (let frame = queue.shift(); frame !== undefined; frame = queue.shift()) {
      // One answer at a time, so that what runs because of it is known to be its call's.
      if (frame.t === 'answer') await takeAnswer(state, frame)
      else receive(state, frame)
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
  state.registry = loaded.registry
  state.functions = loaded.functions
  state.send({ t: 'loaded', registry: loaded.registry, problems: loaded.problems, files: loaded.files })
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
  const fn = state.functions.get(frame.feature)
  const feature = state.registry?.features.get(frame.feature)
  const entity = feature && state.registry?.entities.get(feature.entity)
  if (fn === undefined || feature === undefined || entity === undefined) {
    const error: CallFailure = { code: 'internal', message: `No function of the name "${frame.feature}" is loaded.` }
    state.send({ t: 'result', id: frame.id, texts: null, error })
    return
  }
  const call = openCall(state, frame)
  const key = keyValue(entity.key.map((column, i) => [column.name, column.type, frame.key[i] ?? ''] as const))
  let given: unknown
  try {
    given = state.running.during(frame.id, () => state.storage.run(call, fn, key as never, createCallContext(call) as never))
  } catch (error) {
    finish(state, call, failure(call, error))
    return
  }
  if (isThenable(given)) {
    given.then(
      (value) => finish(state, call, outcome(state, call, feature, value)),
      (error) => finish(state, call, failure(call, error)),
    )
  } else finish(state, call, outcome(state, call, feature, given))
}

function openCall(state: GuestState, frame: CallFrame): Call {
  const call: Call = {
    frame,
    inputs: frame.inputs ?? {},
    controller: null,
    ended: false,
    usedPresent: false,
    ask: (question) => {
      const ask = ++state.lastAsk
      const waiting = Promise.withResolvers<DbResult | ReadPart>()
      state.asks.set(ask, { id: frame.id, waiting })
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
  const asked = state.asks.get(frame.ask)
  if (asked === undefined) return
  state.asks.delete(frame.ask)
  await state.running.resuming(asked.id, () => {
    if (frame.error) {
      const { code, message, hint } = frame.error
      asked.waiting.reject(new FabraError(code, message, hint === undefined ? {} : { hint }))
    } else asked.waiting.resolve(frame.rows ?? frame.part ?? { text: undefined, eventAt: null })
  })
}

/** The function's value as one text per column. */
function outcome(state: GuestState, call: Call, feature: Feature, value: unknown): ResultFrame {
  const id = call.frame.id
  try {
    if (value === undefined) {
      throw new FabraError('wrong_type', 'the function returned nothing.', {
        hint: 'Return a value, or null when it is known that there is none.',
      })
    }
    const first = feature.columns[0]
    if (first?.name === null) return { t: 'result', id, texts: [state.definitions.encode(declaredType(first) ?? 'json', value)] }
    return { t: 'result', id, texts: encodeColumns(state, feature, value) }
  } catch (error) {
    if (error instanceof FabraError) return { t: 'result', id, texts: null, error: callFailure(error) }
    return failure(call, error)
  }
}

function encodeColumns(state: GuestState, feature: Feature, value: unknown): string[] {
  const names = feature.columns.map((column) => column.name ?? '')
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FabraError('wrong_type', `expected an object with ${names.join(', ')}, got ${describe(value)}.`, {
      hint: 'Return an object with one property per declared column.',
    })
  }
  return feature.columns.map((column) => {
    const part: unknown = Object.hasOwn(value, column.name ?? '') ? (value as Record<string, unknown>)[column.name ?? ''] : undefined
    if (part === undefined) {
      throw new FabraError('wrong_type', `the object it returned has no "${column.name}".`, {
        hint: `Return ${names.join(', ')}; null where nothing is known.`,
      })
    }
    try {
      return state.definitions.encode(declaredType(column) ?? 'json', part)
    } catch (error) {
      if (!(error instanceof FabraError)) throw error
      throw new FabraError(error.code, `column "${column.name}": ${error.message}`, error.hint === undefined ? {} : { hint: error.hint })
    }
  })
}

/** An error of ours that passed through the user's function keeps its code; anything else is the function's own failure. */
function failure(call: Call, error: unknown): ResultFrame {
  const thrown = error instanceof Error ? userStack(error) : `thrown: ${Bun.inspect(error)}`
  const base: CallFailure = error instanceof FabraError ? callFailure(error) : { code: 'feature_failed', message: '' }
  const shown = error instanceof RefusedEffect
  return { t: 'result', id: call.frame.id, texts: null, error: shown ? { ...base, thrown, shown } : { ...base, thrown } }
}

/** The stack down to where Fabra called the function. */
export function userStack(error: Error): string {
  const head = `${error.name}: ${error.message}`
  const lines = (error.stack ?? head).split('\n')
  const boundary = lines.findIndex((line) => line.includes('node:async_hooks'))
  const own = boundary < 0 ? lines : lines.slice(0, boundary)
  const cause = error.cause === undefined ? '' : `\n  cause: ${Bun.inspect(error.cause)}`
  return `${own.join('\n')}${cause}`
}

function callFailure(error: FabraError): CallFailure {
  return error.hint === undefined
    ? { code: error.code, message: error.message }
    : { code: error.code, message: error.message, hint: error.hint }
}

function keyValue(columns: readonly (readonly [name: string, type: KeyType, text: string])[]): unknown {
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

function describe(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}
