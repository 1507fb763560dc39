import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Db } from '../db.ts'
import type { ComputeOptions, ComputeRow } from '../executor.ts'
import type { CallHost } from '../function-runner.ts'
import type { Reader } from '../reader.ts'

export interface RowHostOptions {
  readonly db: Db
  readonly reader: Reader
  /** Called with the declared sources that a function has read through `db`, each time. */
  readonly onRead: (feature: Feature, sources: readonly string[]) => void
}

/** `db` and `get` of one call: as of its row's time, within its deadline. */
export interface RowHost extends CallHost {
  /** Oldest event timestamp among the parts that were read. */
  oldest(): number | null
  /** Whether a part's own failure said this; such words may be shown. */
  saidByPart(message: string): boolean
  /** Aborts what is still being asked. */
  end(): void
}

export function createRowHost(
  options: RowHostOptions,
  feature: Feature,
  row: ComputeRow,
  batch: ComputeOptions,
  deadlineAt: number,
): RowHost {
  let oldest: number | null = null
  let ended: AbortController | null = null
  let open = 0
  const said: string[] = []
  // Its own alone: a call that is given up ends, and with it what it asks. A signal for both costs more than the question does here.
  const signal = () => {
    ended ??= new AbortController()
    return ended.signal
  }
  return {
    async query(sql, params, form) {
      const timeoutMs = Math.max(1, Math.ceil(deadlineAt - performance.now()))
      open += 1
      try {
        const at = { asOf: row.asOf, mode: batch.mode, form, signal: signal(), timeoutMs }
        const { columns, rows, sources } = await options.db.query(sql, params, at)
        options.onRead(feature, sources)
        return { columns, rows }
      } finally {
        open -= 1
      }
    },
    async get(name) {
      open += 1
      try {
        const chain = [...batch.chain, feature.name]
        const timeoutMs = Math.max(1, Math.ceil(deadlineAt - performance.now()))
        const from = { feature, key: row.key, asOf: row.asOf, mode: batch.mode, chain, isLook: batch.isLook, signal: signal(), timeoutMs }
        const part = await options.reader.read(name, from)
        if (part.eventAt !== null) oldest = Math.min(oldest ?? part.eventAt, part.eventAt)
        return part
      } catch (error) {
        if (error instanceof FabraError) said.push(error.message)
        throw error
      } finally {
        open -= 1
      }
    },
    oldest: () => oldest,
    saidByPart: (message) => said.includes(message),
    end() {
      // To abort costs as much as the question; nearly always nothing is being asked any more.
      if (open > 0) ended?.abort()
    },
  }
}

/** Of a call for many keys: a part is one key's. */
export function withoutParts(host: RowHost): RowHost {
  return {
    ...host,
    async get(name) {
      throw new FabraError(
        'feature_failed',
        `get("${name}") cannot be used by a function that takes many keys: nobody knows which is meant.`,
        {
          hint: 'Read what all keys need with one query by db, or leave batch out.',
        },
      )
    },
  }
}
