import type { Micros } from '../../src/clock.ts'
import { type Computed, type ComputeRow, type Executor, listOf } from '../../src/compute/executor.ts'
import type { Reader } from '../../src/compute/reader.ts'
import type { Feature } from '../../src/definition/model.ts'
import { encodeValue } from '../../src/definition/value.ts'
import { type ErrorCode, FabraError } from '../../src/errors.ts'

/** What user code is given for one row. */
export interface Call {
  readonly key: string
  readonly asOf: Micros
  readonly inputs: Readonly<Record<string, unknown>>
  readonly mode: 'present' | 'past'
  /** What the executor was given. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** The value that would be served; null when missing. */
  get(name: string): Promise<unknown>
}

/** User code: one value, an object of all columns, or one of the answers below. May throw, never return, return late. */
export type Body = (call: Call) => unknown

/** The query gave no row. */
export const NO_ROW = Symbol('no row')

export interface Programme {
  readonly executor: Executor
  /** From now on. */
  set(feature: string, body: Body): void
  /** Rows computed so far, of one feature and key, of one feature, or of all. */
  count(feature?: string, key?: string): number
  /** Calls of the executor so far, each with its number of rows. */
  batches(feature: string): readonly number[]
}

/** Stands for the user's code: its answers, delays, failures and hangs are the test's. Everything else is real. */
export function createProgramme(reader: () => Reader): Programme {
  const bodies = new Map<string, Body>()
  const counts = new Map<string, number>()
  const batches = new Map<string, number[]>()
  const bump = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)

  async function computeRow(feature: Feature, row: ComputeRow, options: Parameters<Executor['compute']>[2]): Promise<Computed> {
    for (const name of ['', feature.name, `${feature.name}/${row.key.encoded}`]) bump(name)
    let oldestInputAt: Micros | null = null
    const call: Call = {
      key: row.key.encoded,
      asOf: row.asOf,
      inputs: row.inputs ?? {},
      mode: options.mode,
      signal: options.signal,
      timeoutMs: options.timeoutMs,
      async get(name) {
        const from = { feature, key: row.key, asOf: row.asOf, mode: options.mode, signal: options.signal }
        const part = await reader().read(name, { ...from, timeoutMs: options.timeoutMs, chain: [...options.chain, feature.name] })
        if (part.eventAt !== null) oldestInputAt = Math.min(oldestInputAt ?? part.eventAt, part.eventAt)
        return part.text === undefined ? null : JSON.parse(part.text)
      },
    }
    try {
      const value = await (bodies.get(feature.name) ?? (() => 1))(call)
      if (value === NO_ROW) return { kind: 'missing' }
      return { kind: 'value', texts: textsOf(feature, value), oldestInputAt }
    } catch (error) {
      return { kind: 'error', error: error instanceof FabraError ? error : failure('feature_failed') }
    }
  }

  return {
    executor: {
      compute(feature, rows, options) {
        batches.set(feature.name, [...(batches.get(feature.name) ?? []), rows.length])
        const answering = async (row: ComputeRow, i: number) => {
          const computed = await computeRow(feature, row, options)
          options.onAnswer?.(i, computed)
          return computed
        }
        return Promise.all(listOf(rows).map(answering))
      },
    },
    set: (feature, body) => bodies.set(feature, body),
    count: (feature, key) => counts.get(feature === undefined ? '' : key === undefined ? feature : `${feature}/${key}`) ?? 0,
    batches: (feature) => batches.get(feature) ?? [],
  }
}

export function failure(code: ErrorCode): FabraError {
  return new FabraError(code, `It failed as ${code}.`, { hint: 'Mend it.' })
}

/** Never answers, whatever is asked of it. */
export const hang: Body = () => new Promise(() => undefined)

export const fail: Body = () => {
  throw failure('feature_failed')
}

function textsOf(feature: Feature, value: unknown): string[] {
  return feature.columns.map((column) => {
    const part = column.name === null ? value : (value as Record<string, unknown>)[column.name]
    return encodeValue(column.type ?? 'json', part)
  })
}
