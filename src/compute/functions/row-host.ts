import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { CellForm, Db, DbOptions } from '../db.ts'
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
  // Its own alone: a call that is given up ends, and with it what it asks. A signal for both costs more than the question does here.
  const requests = new Set<QueryRequest>()
  let ended: AbortController | null = null
  let parts = 0
  const said: string[] = []
  return {
    async query(sql, params, form) {
      const timeoutMs = Math.max(1, Math.ceil(deadlineAt - performance.now()))
      const at = new QueryRequest(row.asOf, batch.mode, form, timeoutMs)
      requests.add(at)
      try {
        const { columns, rows, sources } = await options.db.query(sql, params, at)
        options.onRead(feature, sources)
        return { columns, rows }
      } finally {
        requests.delete(at)
      }
    },
    async get(name) {
      parts += 1
      ended ??= new AbortController()
      try {
        const chain = [...batch.chain, feature.name]
        const timeoutMs = Math.max(1, Math.ceil(deadlineAt - performance.now()))
        const { signal } = ended
        const from = { feature, key: row.key, asOf: row.asOf, mode: batch.mode, chain, isLook: batch.isLook, signal, timeoutMs }
        const part = await options.reader.read(name, from)
        if (part.eventAt !== null) oldest = Math.min(oldest ?? part.eventAt, part.eventAt)
        return part
      } catch (error) {
        if (error instanceof FabraError) said.push(error.message)
        throw error
      } finally {
        parts -= 1
      }
    },
    oldest: () => oldest,
    saidByPart: (message) => said.includes(message),
    end() {
      // To abort costs as much as the question; nearly always nothing is being asked any more.
      for (const request of requests) request.end()
      if (parts > 0) ended?.abort()
    },
  }
}

/** A question of a call. Its signal is made for whoever looks at it: to make one and to listen to it is a tenth of what a question costs. */
class QueryRequest implements DbOptions {
  readonly asOf: DbOptions['asOf']
  readonly mode: DbOptions['mode']
  readonly form: CellForm
  readonly timeoutMs: number
  private controller: AbortController | undefined
  private tell: (() => void) | undefined
  private isEnded = false

  constructor(asOf: DbOptions['asOf'], mode: DbOptions['mode'], form: CellForm, timeoutMs: number) {
    this.asOf = asOf
    this.mode = mode
    this.form = form
    this.timeoutMs = timeoutMs
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.isEnded) this.controller.abort()
    }
    return this.controller.signal
  }

  whenGivenUp(tell: () => void): void {
    if (this.isEnded) tell()
    else this.tell = tell
  }

  end(): void {
    this.isEnded = true
    this.tell?.()
    this.controller?.abort()
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
