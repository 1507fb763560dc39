/**
 * Queries that calls of one moment make with the same text and other parameters, as one statement:
 *
 *   - a call that is alone is run as it is, at the end of the turn in which it came;
 *   - while two statements of a text run, what comes gathers, for a moment at most;
 *   - what fails in company is parted, and run alone in the end: the poisoned call gets its own error, and its neighbours their answers;
 *   - each call keeps its own deadline, and a text that takes too long in company goes alone for a while.
 */
import { type ResultRows, type SourceEngine, SqlError, type SqlValue } from '../../store/ports/source-engine.ts'
import type { DbOptions } from '../db.ts'
import { listText, type SetForm, signatureOf } from './set-form.ts'

/** Statements of one text at once. */
const MAX_RUNNING = 2
/** Then what gathers goes all the same: those that run may be slow for a reason of their own. */
const GATHER_MS = 50
const MAX_SET = 1_000
/** What fails in fewer is run one by one. */
const SMALL_SET = 8
const MAX_TIMER_MS = 2 ** 31 - 1
/** After a set that took too long. */
const APART_MS = 60_000

/** What is run for one call, and over many. */
export interface Mergeable {
  readonly text: string
  /** Null: only one by one. Kept by whoever makes it. */
  form(signature: string): Promise<SetForm | null>
}

export interface QueryCall {
  /** Of each placeholder of the text. */
  readonly values: readonly SqlValue[]
  /** The parameters of the statement as it is run alone. */
  readonly bound: readonly SqlValue[]
  readonly at: DbOptions
}

interface Waiting extends QueryCall {
  /** By `performance.now()`. */
  readonly deadlineAt: number
  isSettled: boolean
  resolve(rows: ResultRows): void
  reject(error: unknown): void
}

/** The calls of one statement whose values have the same types. */
interface Group {
  readonly statement: Mergeable
  readonly signature: string
  waiting: Waiting[]
  running: number
  isScheduled: boolean
  timer: ReturnType<typeof setTimeout> | undefined
  /** By `performance.now()`. */
  apartUntil: number
}

export class MergedQueries {
  private readonly engine: Pick<SourceEngine, 'dialect' | 'query' | 'queryOver'>
  private readonly groups = new WeakMap<Mergeable, Map<string, Group>>()

  constructor(engine: Pick<SourceEngine, 'dialect' | 'query' | 'queryOver'>) {
    this.engine = engine
  }

  /** @throws SqlError as the engine does for the call alone */
  query(statement: Mergeable, call: QueryCall): Promise<ResultRows> {
    const signature = signatureOf(call.values, this.engine.dialect)
    const group = signature === null ? undefined : this.groupOf(statement, `${call.at.mode} ${signature}`, signature)
    if (!group || performance.now() < group.apartUntil) return this.engine.query(statement.text, call.bound, call.at)
    const { promise, resolve, reject } = Promise.withResolvers<ResultRows>()
    const { signal, timeoutMs } = call.at
    const settle = (how: () => void) => {
      if (one.isSettled) return
      one.isSettled = true
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      how()
    }
    const one: Waiting = {
      ...call,
      deadlineAt: performance.now() + timeoutMs,
      isSettled: false,
      resolve: (rows) => settle(() => resolve(rows)),
      reject: (error) => settle(() => reject(error)),
    }
    const onAbort = () => one.reject(new SqlError('interrupted', 'The statement was given up.', null))
    const late = () => one.reject(new SqlError('timeout', `The statement took longer than ${Math.round(timeoutMs)} ms.`, null))
    const timer = setTimeout(late, Math.min(timeoutMs, MAX_TIMER_MS))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    group.waiting.push(one)
    this.schedule(group)
    return promise
  }

  private groupOf(statement: Mergeable, id: string, signature: string): Group {
    const groups = this.groups.get(statement) ?? new Map<string, Group>()
    this.groups.set(statement, groups)
    const known = groups.get(id)
    if (known) return known
    const group: Group = { statement, signature, waiting: [], running: 0, isScheduled: false, timer: undefined, apartUntil: 0 }
    groups.set(id, group)
    return group
  }

  private schedule(group: Group): void {
    if (group.isScheduled || group.waiting.length === 0) return
    if (group.running >= MAX_RUNNING) {
      group.timer ??= setTimeout(() => this.start(group), GATHER_MS)
      return
    }
    group.isScheduled = true
    queueMicrotask(() => {
      group.isScheduled = false
      this.start(group)
    })
  }

  private start(group: Group): void {
    clearTimeout(group.timer)
    group.timer = undefined
    const calls = group.waiting.splice(0, MAX_SET).filter(({ isSettled }) => !isSettled)
    if (calls.length > 0) {
      group.running++
      void this.run(group, calls).finally(() => {
        group.running--
        this.schedule(group)
      })
    }
    this.schedule(group)
  }

  /** Answers each of them, whatever it takes. Never rejects. */
  private async run(group: Group, calls: readonly Waiting[]): Promise<void> {
    const [first] = calls
    if (calls.length === 1 && first) return this.runAlone(group, first)
    try {
      const form = await group.statement.form(group.signature)
      if (form) return await this.runSet(form, calls)
      group.apartUntil = Number.POSITIVE_INFINITY
    } catch (error) {
      const isOver = error instanceof SqlError && (error.kind === 'unavailable' || error.kind === 'interrupted')
      if (isOver || !(error instanceof SqlError)) {
        for (const call of calls) call.reject(error)
        return
      }
      if (error.kind === 'runtime' && calls.length > SMALL_SET) return this.part(group, calls)
      if (error.kind !== 'runtime') group.apartUntil = error.kind === 'timeout' ? performance.now() + APART_MS : Number.POSITIVE_INFINITY
    }
    await Promise.all(calls.map((call) => this.runAlone(group, call)))
  }

  private async part(group: Group, calls: readonly Waiting[]): Promise<void> {
    const open = calls.filter(({ isSettled }) => !isSettled)
    const middle = Math.ceil(open.length / 2)
    for (const half of [open.slice(0, middle), open.slice(middle)]) if (half.length > 0) await this.run(group, half)
  }

  private async runAlone({ statement }: Group, call: Waiting): Promise<void> {
    if (call.isSettled) return
    const timeoutMs = Math.max(1, call.deadlineAt - performance.now())
    try {
      call.resolve(await this.engine.query(statement.text, call.bound, { signal: call.at.signal, timeoutMs }))
    } catch (error) {
      call.reject(error)
    }
  }

  /** @throws SqlError, and then none of them is answered. */
  private async runSet(form: SetForm, calls: readonly Waiting[]): Promise<void> {
    const answers: (readonly SqlValue[] | undefined)[] = new Array(calls.length)
    let isTwofold = false
    const take = (rows: readonly (readonly SqlValue[])[]) => {
      for (const row of rows) {
        const at = Number(row[0])
        isTwofold ||= answers[at] !== undefined
        answers[at] = row.slice(2)
      }
    }
    const list = {
      types: form.types,
      keys: form.types.map((_, k) => calls.map(({ values }) => listText(values[k] ?? null))),
      asOf: calls.map(({ at }) => at.asOf),
    }
    const stopping = stopWhenSettled(calls)
    try {
      await this.engine.queryOver(take, form.text, list, { signal: stopping.signal, timeoutMs: patience(calls) })
    } finally {
      stopping.end()
    }
    if (isTwofold) throw new SqlError('internal', 'A call has more than one row.', null)
    for (const [i, call] of calls.entries()) {
      const row = answers[i]
      call.resolve({ columns: form.columns, rows: row ? [row] : [] })
    }
  }
}

/** Half of what the first of them has left: if it is not enough, there is time to run them alone. */
function patience(calls: readonly Waiting[]): number {
  const least = calls.reduce((time, { deadlineAt }) => Math.min(time, deadlineAt), Number.POSITIVE_INFINITY)
  return Math.max(1, (least - performance.now()) / 2)
}

/** Aborts when nobody waits for any of them. */
function stopWhenSettled(calls: readonly Waiting[]): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController()
  const look = () => {
    if (calls.every(({ isSettled, at }) => isSettled || at.signal.aborted)) controller.abort()
  }
  for (const { at } of calls) at.signal.addEventListener('abort', look, { once: true })
  return {
    signal: controller.signal,
    end() {
      for (const { at } of calls) at.signal.removeEventListener('abort', look)
    },
  }
}
