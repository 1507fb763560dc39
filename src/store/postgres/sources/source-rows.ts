/**
 * Rows appended by request go into the user's own table, in one transaction with what has to be remembered of them: keys of requests, and when
 * values must be up with them. Any number of processes append at once.
 */
import type { Source } from '../../../definition/model.ts'
import { FabraError } from '../../../errors.ts'
import { SqlError } from '../../ports/source-engine.ts'
import type { AppendOutcome, AppendRequest, SourceRows } from '../../ports/source-rows.ts'
import { PostgresSqlError } from '../connection/errors.ts'
import type { Postgres, Statements } from '../connection/postgres.ts'
import { appendGroup, seenBefore } from './source-rows-append.ts'
import { convertAll, FORGET_KEYS, LIST_ARRIVALS, SETTLE } from './source-rows-sql.ts'
import { type AppendTable, asking, findAppendTable } from './source-rows-table.ts'

export interface PostgresSourceRowsOptions {
  /** May write users' tables. Not closed here. */
  readonly postgres: Postgres
  /** Of this process, among all. */
  readonly writer: string
}

const READ_MS = 10_000
const WRITE_MS = 15_000
const FORGET_KEYS_EVERY = 1_000
const ATTEMPTS = 3
const ASK_AGAIN_MS = 100
const TRANSACTION_ID = 'SELECT txid_current()'
/** `in progress` while the connection that is lost to us lives on at the server. */
const TRANSACTION_STATUS = 'SELECT txid_status($1::bigint)'

/** Of sources in a database of their own: what has to be remembered of rows could not be written together with them. */
export function createDistantSourceRows(): SourceRows {
  return {
    table: async () => ({ kind: 'elsewhere', columns: [] }),
    firstUnfit: async () => undefined,
    append: () => Promise.reject(new SqlError('binding', 'The tables are in another database.', null)),
    arrivals: async () => [],
    settle: async () => undefined,
  }
}

export function createPostgresSourceRows({ postgres, writer }: PostgresSourceRowsOptions): SourceRows {
  let keysRemembered = 0
  /** Found at the start: of processes that may be gone. */
  let inherited: readonly string[] = []
  /** As requests were read by them; found anew where they turn out to have changed. */
  const tables = new WeakMap<Source, AppendTable>()

  const append = async (requests: readonly AppendRequest[], leftMs: () => number): Promise<readonly AppendOutcome[]> => {
    let done: { readonly outcomes: readonly AppendOutcome[]; readonly id: string } | undefined
    try {
      return await postgres.transaction({ timeoutMs: leftMs() }, async (statements) => {
        const asked = statements.run(TRANSACTION_ID)
        asked.catch(() => undefined)
        const outcomes = await appendAll(statements, requests)
        done = { outcomes, id: String((await asked).rows[0]?.[0]) }
        return outcomes
      })
    } catch (error) {
      if (done && error instanceof PostgresSqlError && error.inCommit) {
        if (await wasCommitted(postgres, done.id, { error, leftMs })) return done.outcomes
        throw new PostgresSqlError('unavailable', error.state, error.message, null, error)
      }
      if (!isRefusal(error)) throw error
      // One of them is at fault, not its neighbours.
      if (requests.length === 1) return [{ kind: 'refused', repeats: [], why: `${error.message}.` }]
      const middle = Math.ceil(requests.length / 2)
      const first = await half(requests.slice(0, middle), leftMs)
      return [...first, ...(await half(requests.slice(middle), leftMs))]
    }
  }
  /** The other half may be written whatever becomes of this one. */
  const half = async (requests: readonly AppendRequest[], leftMs: () => number): Promise<readonly AppendOutcome[]> => {
    try {
      return await again(() => append(requests, leftMs))
    } catch (error) {
      return requests.map(() => ({ kind: 'failed', repeats: [], error }))
    }
  }

  async function appendAll(statements: Statements, requests: readonly AppendRequest[]): Promise<AppendOutcome[]> {
    const seen = await seenBefore(statements, requests)
    const written = requests.filter((request) => !seen.has(request))
    keysRemembered += written.filter(({ idempotency }) => idempotency !== null).length
    const groups = [...Map.groupBy(written, ({ source }) => source.name).entries()]
    // Always in one order: processes that wait for each other must not do so in a circle.
    groups.sort(([a], [b]) => (a < b ? -1 : 1))
    const repeats = new Map<AppendRequest, readonly boolean[]>()
    for (const [, group] of groups)
      for (const [one, found] of await appendGroup(statements, group, { tables, writer })) repeats.set(one, found)
    if (keysRemembered >= FORGET_KEYS_EVERY && requests[0]) {
      await statements.run(FORGET_KEYS, [requests[0].arrivedAt])
      keysRemembered = 0
    }
    return requests.map((request) => seen.get(request) ?? { kind: 'appended', repeats: repeats.get(request) ?? [] })
  }

  return {
    async table(source) {
      const table = await findAppendTable(asking(postgres), source)
      if (table) tables.set(source, table)
      return table && { kind: table.kind, columns: table.columns.map(({ name, type }) => ({ name, type })) }
    },
    firstUnfit: (type, texts) => firstUnfit(postgres, type, texts),
    append(requests, { timeoutMs = WRITE_MS } = {}) {
      const endsAt = performance.now() + timeoutMs
      return again(() => append(requests, () => Math.max(1, endsAt - performance.now())))
    },
    async arrivals() {
      const { rows } = await postgres.run(LIST_ARRIVALS, [], { timeoutMs: READ_MS, readOnly: true })
      inherited = rows.map(([id]) => String(id))
      return rows.map(([, source, visibleAt]) => ({ source: String(source), visibleAt: Number(visibleAt) }))
    },
    async settle(before) {
      await postgres.run(SETTLE, [before, writer, inherited], { timeoutMs: WRITE_MS })
    },
  }
}

/** The table does not take these rows: a constraint, or a text that its encoding lacks. */
function isRefusal(error: unknown): error is PostgresSqlError {
  return error instanceof PostgresSqlError && error.state !== null && /^(?:2[23]|44|54|P0)/.test(error.state)
}

/**
 * What became of a transaction whose COMMIT was not answered: the server knows, once it can be asked.
 * @throws FabraError outcome_unknown where it cannot in time.
 */
async function wasCommitted(
  postgres: Postgres,
  id: string,
  { error, leftMs }: { readonly error: unknown; readonly leftMs: () => number },
): Promise<boolean> {
  while (leftMs() > 1) {
    try {
      const { rows } = await postgres.run(TRANSACTION_STATUS, [id], { timeoutMs: leftMs(), readOnly: true })
      const status = rows[0]?.[0]
      if (status === 'committed' || status === 'aborted') return status === 'committed'
    } catch (failure) {
      if (!(failure instanceof SqlError)) throw failure
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(ASK_AGAIN_MS, leftMs())))
  }
  throw new FabraError('outcome_unknown', 'PostgreSQL did not answer in the middle of a commit: the rows may be in the table or not.', {
    hint: 'Send the same rows again where they have an id or an Idempotency-Key: what is there already is dropped. Else look first.',
    cause: error,
  })
}

/** Two transactions in each other's way: one was taken back whole. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const state = error instanceof PostgresSqlError ? error.state : null
      if (state === '42501') {
        throw new FabraError('not_appendable', "The source takes no rows: Fabra's database user may not insert into its table.", {
          hint: 'GRANT INSERT on the table to the user of FABRA_POSTGRES_URL.',
          cause: error,
        })
      }
      if ((state !== '40P01' && state !== '40001') || attempt === ATTEMPTS) throw error
    }
  }
}

/** Halves the texts until the first is found that the server does not take. */
async function firstUnfit(postgres: Postgres, type: string, texts: readonly (string | null)[]): Promise<number | undefined> {
  const fits = async (from: number, to: number) => {
    try {
      await postgres.run(convertAll(type), [texts.slice(from, to)], { timeoutMs: READ_MS, readOnly: true })
      return true
    } catch (error) {
      if (isRefusal(error)) return false
      throw error
    }
  }
  if (await fits(0, texts.length)) return undefined
  let [from, to] = [0, texts.length]
  while (to - from > 1) {
    const middle = from + Math.ceil((to - from) / 2)
    if (await fits(from, middle)) from = middle
    else to = middle
  }
  return from
}
