/**
 * Queries that calls of one moment make with the same text and other parameters, as one statement:
 *
 *   - a call that is alone is run as it is, at the end of the turn in which it came;
 *   - while statements of a text run, what comes gathers, for a moment at most; one call that comes alone meanwhile goes by itself;
 *   - after a statement of many nothing runs for as long as it took: what one more call adds to a statement is little beside what a statement costs;
 *   - calls that ask the very same get one answer of a statement that begins after all of them;
 *   - what fails in company is parted, and run alone in the end: the poisoned call gets its own error, and its neighbours their answers;
 *   - each call keeps its own deadline, and a text that takes too long in company goes alone for a while.
 */
import { createDeadlines } from '../../collections/deadlines.ts'
import { type ResultRows, type SourceEngine, SqlError, type SqlValue } from '../../store/ports/source-engine.ts'
import { type QueryCall, WaitingCall } from './merged-call.ts'
import { listText, type SetForm, signatureOf } from './set-form.ts'

/** Statements of one text at once: of one for many calls, and one for a single call. Two halves of a set cost twice what it costs. */
const MAX_RUNNING = 2
/** Then what gathers goes all the same: those that run may be slow for a reason of their own. */
const GATHER_MS = 50
/** So long a single call waits for company while others run. */
const ALONE_MS = 2
/** Rest after a statement of many: as long as it took, and none after a shorter one, since that is over before those it answered ask again. */
const SHORTEST_REST_MS = 2
const LONGEST_REST_MS = 5
/** Fewer are not many: what they would wait is more than they save. */
const MANY = 4
const MAX_SET = 1_000
/** What fails in fewer is run one by one. */
const SMALL_SET = 8
/** No statement of the same calls would do better. */
const OVER: ReadonlySet<SqlError['kind']> = new Set(['unavailable', 'interrupted'])
/** Nor one that asks the very same. */
const SAME_FOR_ALL: ReadonlySet<SqlError['kind']> = new Set(['syntax', 'binding', 'runtime'])
/** After a set that took too long. */
const APART_MS = 60_000

/** What is run for one call, and over many. */
export interface Mergeable {
  readonly text: string
  /** Every call asks the same: it takes no values, not even a time. */
  readonly isSame: boolean
  /** Null: only one by one. Kept by whoever makes it. */
  form(signature: string): Promise<SetForm | null>
}

/** The calls of one statement whose values have the same types. */
interface Group {
  readonly statement: Mergeable
  readonly signature: string
  waiting: WaitingCall[]
  running: number
  isScheduled: boolean
  timer: ReturnType<typeof setTimeout> | undefined
  /** When it comes. This and the others by `performance.now()`. */
  timerAt: number
  restsUntil: number
  apartUntil: number
}

export class MergedQueries {
  private readonly engine: Pick<SourceEngine, 'dialect' | 'query' | 'queryOver'>
  private readonly groups = new WeakMap<Mergeable, Map<string, Group>>()
  private readonly deadlines = createDeadlines()
  /** Whose first text failed. */
  private readonly failed = new WeakSet<SetForm>()

  constructor(engine: Pick<SourceEngine, 'dialect' | 'query' | 'queryOver'>) {
    this.engine = engine
  }

  /** @throws SqlError as the engine does for the call alone */
  query(statement: Mergeable, call: QueryCall): Promise<ResultRows> {
    const signature = signatureOf(call.values, this.engine.dialect)
    const group = signature === null ? undefined : this.groupOf(statement, `${call.at.mode} ${signature}`, signature)
    if (!group || performance.now() < group.apartUntil) {
      const { signal, timeoutMs } = call.at
      return this.engine.query(statement.text, call.bound, { signal, timeoutMs })
    }
    const one = new WaitingCall(call, this.deadlines)
    group.waiting.push(one)
    this.schedule(group)
    return one.rows
  }

  private groupOf(statement: Mergeable, id: string, signature: string): Group {
    const groups = this.groups.get(statement) ?? new Map<string, Group>()
    this.groups.set(statement, groups)
    const known = groups.get(id)
    if (known) return known
    const group: Group = {
      statement,
      signature,
      waiting: [],
      running: 0,
      isScheduled: false,
      timer: undefined,
      timerAt: 0,
      restsUntil: 0,
      apartUntil: 0,
    }
    groups.set(id, group)
    return group
  }

  private schedule(group: Group): void {
    const [first] = group.waiting
    if (group.isScheduled || first === undefined) return
    const startAt = startOf(group, first)
    const pauseMs = startAt - performance.now()
    if (pauseMs > 0) {
      if (group.timer !== undefined && group.timerAt <= startAt) return
      clearTimeout(group.timer)
      group.timerAt = startAt
      group.timer = setTimeout(() => {
        group.timer = undefined
        this.schedule(group)
      }, pauseMs)
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
      const startedAt = performance.now()
      void this.run(group, calls).finally(() => {
        group.running--
        const now = performance.now()
        // Rows of the past are computed for nobody who asks the next thing at once.
        const isMany = calls.length >= MANY && calls[0]?.at.mode === 'present'
        if (isMany && now - startedAt >= SHORTEST_REST_MS) group.restsUntil = now + Math.min(LONGEST_REST_MS, now - startedAt)
        this.schedule(group)
      })
    }
    this.schedule(group)
  }

  /** Answers each of them, whatever it takes. Never rejects. */
  private async run(group: Group, calls: readonly WaitingCall[]): Promise<void> {
    const [first] = calls
    if (calls.length === 1 && first) return this.runAlone(group, first)
    try {
      if (group.statement.isSame) return await this.runOnce(group.statement, calls)
      const form = await group.statement.form(group.signature)
      if (form) return await this.runSet(form, calls)
      group.apartUntil = Number.POSITIVE_INFINITY
    } catch (error) {
      if (!(error instanceof SqlError) || OVER.has(error.kind) || (group.statement.isSame && SAME_FOR_ALL.has(error.kind))) {
        for (const call of calls) call.reject(error)
        return
      }
      if (error.kind === 'runtime' && calls.length > SMALL_SET) return this.part(group, calls)
      if (error.kind !== 'runtime') group.apartUntil = error.kind === 'timeout' ? performance.now() + APART_MS : Number.POSITIVE_INFINITY
    }
    await Promise.all(calls.map((call) => this.runAlone(group, call)))
  }

  private async part(group: Group, calls: readonly WaitingCall[]): Promise<void> {
    const open = calls.filter(({ isSettled }) => !isSettled)
    const middle = Math.ceil(open.length / 2)
    for (const half of [open.slice(0, middle), open.slice(middle)]) if (half.length > 0) await this.run(group, half)
  }

  private async runAlone({ statement }: Group, call: WaitingCall): Promise<void> {
    if (call.isSettled) return
    const timeoutMs = Math.max(1, call.deadlineAt - performance.now())
    try {
      call.resolve(await this.engine.query(statement.text, call.bound, { signal: call.at.signal, timeoutMs }))
    } catch (error) {
      call.reject(error)
    }
  }

  /** @throws SqlError, and then none of them is answered. */
  private async runOnce({ text }: Mergeable, calls: readonly WaitingCall[]): Promise<void> {
    const [first] = calls
    if (first === undefined) return
    const rows = await this.engine.query(text, first.bound, { signal: stopWhenSettled(calls), timeoutMs: patience(calls) })
    for (const call of calls) answer(call, rows)
  }

  /** @throws SqlError, and then none of them is answered. */
  private async runSet(form: SetForm, calls: readonly WaitingCall[]): Promise<void> {
    if (form.other === null || this.failed.has(form)) return this.runText(form, form.other ?? form.text, calls)
    try {
      await this.runText(form, form.text, calls)
    } catch (error) {
      if (!(error instanceof SqlError) || OVER.has(error.kind) || error.kind === 'timeout') throw error
      this.failed.add(form)
      await this.runText(form, form.other, calls)
    }
  }

  private async runText(form: SetForm, text: string, calls: readonly WaitingCall[]): Promise<void> {
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
    await this.engine.queryOver(take, text, list, { signal: stopWhenSettled(calls), timeoutMs: patience(calls) })
    if (isTwofold) throw new SqlError('internal', 'A call has more than one row.', null)
    for (const [i, call] of calls.entries()) {
      const row = answers[i]
      answer(call, { columns: form.columns, rows: row ? [row] : [] })
    }
  }
}

/** When the calls that wait may start. By `performance.now()`. */
function startOf({ running, waiting, restsUntil }: Group, { askedAt }: WaitingCall): number {
  if (running === 0) return restsUntil
  return askedAt + (running < MAX_RUNNING && waiting.length === 1 ? ALONE_MS : GATHER_MS)
}

/** Half of what the first of them has left: if it is not enough, there is time to run them alone. */
function patience(calls: readonly WaitingCall[]): number {
  const least = calls.reduce((time, { deadlineAt }) => Math.min(time, deadlineAt), Number.POSITIVE_INFINITY)
  return Math.max(1, (least - performance.now()) / 2)
}

/** By a statement that is over: there is nothing to abort any more. */
function answer(call: WaitingCall, rows: ResultRows): void {
  call.onSettled = undefined
  call.resolve(rows)
}

/** Aborts when nobody waits for any of them. */
function stopWhenSettled(calls: readonly WaitingCall[]): AbortSignal {
  const controller = new AbortController()
  let open = 0
  const onSettled = () => {
    open -= 1
    if (open === 0) controller.abort()
  }
  for (const call of calls) {
    if (call.isSettled) continue
    open += 1
    call.onSettled = onSettled
  }
  if (open === 0) controller.abort()
  return controller.signal
}
