import type { AsyncLocalStorage } from 'node:async_hooks'
import type { DbResult } from '../compute/db.ts'
import type { ReadPart } from '../compute/reader.ts'
import { nameOf } from '../definition/draft.ts'
import { parseExact } from '../definition/value.ts'
import { FabraError } from '../errors.ts'
import type { CallFrame, LogLevel, RuntimeRequest } from './frames.ts'

/** One running call of a user's function, and the way back to the host. */
export interface Call {
  readonly frame: CallFrame
  /** Of many keys, a list beside them. */
  readonly inputs: Readonly<Record<string, unknown>> | readonly Readonly<Record<string, unknown>>[]
  controller: AbortController | null
  ended: boolean
  usedPresent: boolean
  ask(question: RuntimeRequest): Promise<DbResult | ReadPart>
  log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void
}

export type CallStorage = AsyncLocalStorage<Call>

/** `db` as user code sees it. */
export interface DbHandle {
  query(sql: string, ...params: unknown[]): Promise<Record<string, unknown>[]>
  fetchval(sql: string, ...params: unknown[]): Promise<unknown>
  fetchrow(sql: string, ...params: unknown[]): Promise<Record<string, unknown> | null>
}

/** The `db` of `import { db } from "fabra"`: whatever computation the code runs in, it reads as of that computation's time. */
export function createAmbientDb(storage: CallStorage): DbHandle {
  return createDb(() => {
    const call = storage.getStore()
    if (call !== undefined) return call
    throw new FabraError('feature_failed', 'db was used outside a feature function.', {
      hint: 'Use db only while a feature is computed, not at the top level of the file, in a timer or in an event handler. Inside a function the context has it too: (key, { db }) => …',
    })
  })
}

/** Second argument of a user's function. Getters, so that a function pays only for what it takes. */
export function createCallContext(call: Call): object {
  const own = () => call
  return {
    get db() {
      return createDb(own)
    },
    get get() {
      return (part: unknown) => getPart(call, part)
    },
    get inputs() {
      return call.inputs
    },
    /** A Date of the computation: whole milliseconds, rounded down, so it never sees later than the row. */
    get asOf() {
      return new Date(Math.floor(call.frame.asOf / 1000))
    },
    get signal() {
      call.controller ??= new AbortController()
      return call.controller.signal
    },
    get log() {
      return createLog(call)
    },
  }
}

function createDb(current: () => Call): DbHandle {
  const run = async (sql: unknown, params: unknown[]) => {
    const call = current()
    if (typeof sql !== 'string') throw new TypeError(`db takes the SQL text first, got ${sql === null ? 'null' : typeof sql}.`)
    const result = await ask(call, { kind: 'query', sql, params: params.map(plainParam) })
    return result as DbResult
  }
  return Object.freeze({
    async query(sql: string, ...params: unknown[]) {
      const { columns, rows } = await run(sql, params)
      return rows.map((row) => rowObject(columns, row))
    },
    async fetchval(sql: string, ...params: unknown[]) {
      const { rows } = await run(sql, params)
      return rows[0]?.[0] ?? null
    },
    async fetchrow(sql: string, ...params: unknown[]) {
      const { columns, rows } = await run(sql, params)
      return rows[0] === undefined ? null : rowObject(columns, rows[0])
    },
  })
}

function rowObject(columns: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (const [i, name] of columns.entries()) {
    // A column called "__proto__" must stay a column.
    if (name === '__proto__') Object.defineProperty(object, name, { value: row[i], enumerable: true, writable: true, configurable: true })
    else object[name] = row[i]
  }
  return object
}

/** Times travel as text, undefined as NULL; what cannot be bound is named here, where the author's stack is. */
function plainParam(value: unknown, index: number): unknown {
  if (value === null) return null
  if (Array.isArray(value)) return Array.from(value, (item) => plainParam(item, index))
  if (['string', 'number', 'bigint', 'boolean'].includes(typeof value)) return value
  const which = `Parameter ${index + 1} of the query`
  if (value === undefined) throw new TypeError(`${which} is undefined. Is a name misspelt? Give null where there is no value.`)
  if (!(value instanceof Date)) {
    throw new TypeError(
      `${which} is ${typeof value === 'object' ? 'an object' : `a ${typeof value}`}. Bind texts, numbers, booleans, Dates or lists of them.`,
    )
  }
  if (Number.isNaN(value.getTime())) throw new TypeError(`${which} is an invalid Date.`)
  return value.toISOString()
}

async function getPart(call: Call, part: unknown): Promise<unknown> {
  const name = typeof part === 'string' ? part : nameOf(part)
  if (name === undefined) {
    throw new TypeError('get() takes a feature, or the name of one such as "spend.avg_30d".')
  }
  const { text } = (await ask(call, { kind: 'get', name })) as ReadPart
  return text === undefined ? null : parseExact(text)
}

async function ask(call: Call, question: RuntimeRequest): Promise<DbResult | ReadPart> {
  if (call.ended) {
    throw new FabraError('feature_failed', `The computation of "${call.frame.feature}" has ended; db and get cannot be used any more.`, {
      hint: 'Await every promise the function starts.',
    })
  }
  const asked = new Error()
  try {
    return await call.ask(question)
  } catch (error) {
    // The answer came from elsewhere; the author looks for the line that asked.
    if (error instanceof Error) error.stack = `${error.name}: ${error.message}\n${(asked.stack ?? '').split('\n').slice(1).join('\n')}`
    throw error
  }
}

function createLog(call: Call): object {
  const at =
    (level: LogLevel) =>
    (message: unknown, fields: unknown = {}) =>
      call.log(level, typeof message === 'string' ? message : Bun.inspect(message), plainFields(fields))
  return Object.freeze({ debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') })
}

function plainFields(fields: unknown): Record<string, unknown> {
  if (typeof fields !== 'object' || fields === null) return { value: Bun.inspect(fields) }
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    plain[name] = value === null || ['string', 'number', 'boolean', 'bigint'].includes(typeof value) ? value : Bun.inspect(value)
  }
  return plain
}
