/** Rows that come into history, and keys that leave it: in one transaction each, which sees every erasure and every equal push that was there before. */
import type { HistoryRow } from '../../ports/offline-store.ts'
import { PostgresSqlError } from '../connection/errors.ts'
import type { Postgres, Statements } from '../connection/postgres.ts'
import { asArrays, asPoints, locksOf } from './history-append.ts'
import { copyRows, NOT_NUMBERED, partsOf } from './history-copy.ts'
import type { KnownLayout } from './history-layout.ts'
import { createHistoryPartitions } from './history-partitions.ts'
import { type HistoryLayout, hasPacked } from './history-rows.ts'
import * as sql from './history-write-sql.ts'
import { type NumberedVersion, versionsOf } from './versions-of.ts'

export interface HistoryWrites {
  /** @returns indexes of pushed rows that history had. @throws SqlError */
  append(rows: readonly HistoryRow[], timeoutMs: number): Promise<readonly number[]>
  /** @returns how many rows went. @throws SqlError */
  forget(
    features: readonly string[],
    erasure: { readonly entity: string; readonly entityKey: string; readonly at: number },
  ): Promise<number>
}

export interface HistoryWritesOptions {
  readonly postgres: Postgres
  readonly layout: KnownLayout
  /** Picks this writer's mark among a few: writers that share one wait for each other. */
  readonly random: () => number
  readonly onProblem: (message: string, cause: unknown) => void
}

/** Somebody waits. */
const FORGET_MS = 5_000
const WRITERS = 64
/** Two writers in each other's way, or a month of history that came to be in this moment. */
const TRY_AGAIN = ['40P01', '40001', '23514']
const ATTEMPTS = 3

export function createHistoryWrites({ postgres, layout, random, onProblem }: HistoryWritesOptions): HistoryWrites {
  const partitions = {
    plain: createHistoryPartitions(postgres, 'feature_history', onProblem),
    packed: createHistoryPartitions(postgres, 'history_packed', onProblem),
  }
  const writer = Math.floor(random() * WRITERS)
  /** Of appends of this process, among all: two that have the same wait for each other. */
  const place = Math.floor(random() * 2 ** 31)
  const numbered = new Set<string>()
  /** The highest seq that this process sent: what it sends up to it may be there. */
  let sent = 0

  const appendTo = async (where: HistoryLayout, rows: readonly HistoryRow[], leftMs: () => number): Promise<readonly number[]> => {
    const isPacked = hasPacked(where)
    await (isPacked ? partitions.packed : partitions.plain).make(rows, leftMs() / 2)
    const pushed = rows.filter(({ origin }) => origin === 'pushed')
    const mark = rows.reduce((highest, { seq }) => Math.max(highest, seq), 0)
    const suspicions = { mayRepeat: pushed.length > 0, mayBeThere: rows.some(({ seq }) => seq <= sent) }
    const text = sql.append(where, suspicions)
    sent = Math.max(sent, mark)
    const parts = isPacked && !suspicions.mayBeThere ? partsOf(rows) : { inserted: rows, copied: [] }
    const pieces = await asArrays(parts.inserted)
    return repeated(
      async () => {
        const unnumbered = isPacked ? versionsOf(rows).filter(({ name }) => !numbered.has(name)) : []
        const repeats = await postgres.transaction({ timeoutMs: leftMs(), settings: sql.APPEND_SETTINGS }, async (statements) => {
          const before = [
            ...(isPacked ? [statements.run(sql.lockAppends(suspicions), [place])] : []),
            statements.run(sql.SHARE_ERASURES),
            ...(pushed.length > 0 ? [statements.run(sql.LOCK_PUSHED, [locksOf(pushed)])] : []),
            ...(unnumbered.length > 0 ? [statements.run(sql.NUMBER_VERSIONS, columnsOf(unnumbered))] : []),
          ]
          const appending = pieces.map((piece) => statements.run(text, piece))
          await allOf([...before, ...appending, statements.run(sql.MARK, [writer, mark])])
          // After those that look for their equals: they are not among what comes with them.
          if (!(await copyRows(statements, parts.copied))) {
            for (const piece of await asArrays(parts.copied)) await statements.run(text, piece)
          }
          const counts = await Promise.all(appending)
          const isComplete = counts.reduce((sum, { count }) => sum + count, 0) === parts.inserted.length
          return isComplete || pushed.length === 0 ? [] : await repeatedOf(statements, where, rows)
        })
        for (const { name } of unnumbered) numbered.add(name)
        return repeats
      },
      () => numbered.clear(),
    )
  }

  return {
    append(rows, timeoutMs) {
      const endsAt = performance.now() + timeoutMs
      return layout.within((where) => appendTo(where, rows, () => Math.max(1, endsAt - performance.now())))
    },
    forget: (features, { entity, entityKey, at }) =>
      layout.within((where) =>
        repeated(() =>
          postgres.transaction({ timeoutMs: FORGET_MS }, async (statements) => {
            await statements.run(sql.LOCK_ERASURES)
            await statements.run(sql.INSERT_ERASURE, [entity, entityKey, at])
            if (features.length === 0) return 0
            await statements.run(sql.INSERT_FEATURE_ERASURES, [features, entityKey, at])
            let gone = 0
            for (const text of sql.forgetKey(where)) gone += (await statements.run(text, [features, entityKey])).count
            return gone
          }),
        ),
      ),
  }
}

function columnsOf(versions: readonly NumberedVersion[]): [string[], string[]] {
  return [versions.map(({ feature }) => feature), versions.map(({ fingerprint }) => fingerprint)]
}

/** Indexes of the pushed rows that the append of this transaction left out as repeats. */
async function repeatedOf(statements: Statements, where: HistoryLayout, rows: readonly HistoryRow[]): Promise<number[]> {
  const indexes = [...rows.keys()].filter((i) => rows[i]?.origin === 'pushed')
  const found = await statements.run(sql.repeated(where), asPoints(indexes.flatMap((i) => rows[i] ?? [])))
  return found.rows.flatMap(([n]) => indexes[Number(n)] ?? [])
}

/** All are answered before any may throw: they share a connection. */
async function allOf(running: readonly Promise<unknown>[]): Promise<void> {
  const answers = await Promise.allSettled(running)
  for (const answer of answers) if (answer.status === 'rejected') throw answer.reason
}

/** Once more when another transaction was in the way: this one was taken back whole. */
async function repeated<T>(work: () => Promise<T>, onNotNumbered?: () => void): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const state = error instanceof PostgresSqlError ? error.state : null
      const isNotNumbered = state === NOT_NUMBERED && onNotNumbered !== undefined
      if (isNotNumbered) onNotNumbered()
      const again = isNotNumbered || (state !== null && TRY_AGAIN.includes(state))
      if (!again || attempt === ATTEMPTS) throw error
    }
  }
}
