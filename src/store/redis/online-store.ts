import type { Micros } from '../../clock.ts'
import { createDoubts, DoubtedRows, type DoubtKind, MAY_BE_OWED } from '../ports/doubts.ts'
import type { Erasure } from '../ports/erasure.ts'
import type { OnlineStore, StoredValue, StoredWrite } from '../ports/online-store.ts'
import { bucketOf, hashKey, originLetter, readRecord, recordBody, recordHead } from './format/record.ts'
import { RowCache } from './format/row-cache.ts'
import { type Layout, layoutOf, type Row, readRow } from './format/row-layout.ts'
import { FORGET, RESTORE_ERASURES, WRITE } from './format/scripts.ts'
import { INCOMPLETE, Integrity, NOT_LOOKED_AT } from './integrity/integrity.ts'
import type { RedisConnection } from './redis.ts'

/** Writes in one script: Redis answers nobody else meanwhile, so it takes less than a millisecond. */
const WRITES_A_SCRIPT = 100
/** Keys in one script that puts erasures back. */
const ERASURES_A_SCRIPT = 50
/** Scripts under way for one caller. */
const SCRIPTS_AT_ONCE = 4

/** A sorted set of the keys forgotten of late, by the time of their erasure: how processes hear of each other's. */
const ERASURES = 'fabra:fences'
const ERASURES_KEPT_FOR: Micros = 2 * 86_400_000_000

type OnProblem = (message: string, cause: unknown) => void

/**
 * Latest values in Redis, shared by all processes. How they lie there is told in record.ts. They have no time to live: a pushed value may be
 * the only one there ever is, and an erasure must outlast every late write. Computed ones leave by a sweep, see online-sweep.ts.
 */
export function createRedisOnlineStore(connection: RedisConnection, onProblem: OnProblem = () => undefined): OnlineStore {
  // A plan asks with the same list object every time.
  const layouts = new WeakMap<readonly string[], Layout>()
  const rowCache = new RowCache()
  const doubts = createDoubts(teller(onProblem))
  const integrity = new Integrity(connection, doubts)

  function layoutFor(fields: readonly string[]): Layout {
    let layout = layouts.get(fields)
    if (!layout) {
      layout = layoutOf(fields)
      layouts.set(fields, layout)
    }
    return layout
  }

  return {
    read(entity, keys, fields, use) {
      if (keys.length === 0 || fields.length === 0) return keys.map(() => [])
      const layout = layoutFor(fields)
      const hashes = new Array<string>(keys.length)
      for (let k = 0; k < keys.length; k++) hashes[k] = hashKey(entity, keys[k] as string)
      const { ended } = doubts
      return connection.readHashes(hashes, layout.buckets, (answers, from, isSure, answeredAt) => {
        const mayLack = !isSure || doubts.isAny || doubts.ended !== ended
        const isDoubted = use !== undefined && (mayLack || answeredAt > doubts.trustedUntil)
        const isKept = use === 'serving' && !isDoubted
        const rows: Row[] = new Array(hashes.length)
        for (let k = 0; k < rows.length; k++) {
          const answer = answers[from + k] as Buffer
          rows[k] = isKept ? rowCache.take(layout, hashes[k] as string, answer) : readRow(layout, answer.toString())
        }
        if (isDoubted) throw new DoubtedRows(isSure && !doubts.has('lost') ? rows : undefined, !mayLack)
        return rows
      })
    },
    lastRead: (entity, key, fields) => rowCache.find(layoutFor(fields), hashKey(entity, key)),
    async write(writes) {
      const refused: number[] = []
      const erasures: Erasure[] = []
      const replacedForeign: number[] = []
      const winner: { index: number; value: StoredValue }[] = []
      const batches = connection.spansSlots ? inBatches(writes) : byHash(writes)
      await atOnce(connection.spansSlots ? SCRIPTS_AT_ONCE : WRITES_A_SCRIPT, batches, async (batch) => {
        const { keys, args } = scriptInput(batch.map((index) => writes[index] as StoredWrite))
        const [refusals, foreign] = (await integrity.written(connection.run(WRITE, keys, args))) as [(number | string)[], number[]]
        const indexOf = (position: number | string | undefined) => batch[Number(position) - 1] as number
        for (const position of foreign) replacedForeign.push(indexOf(position))
        for (let i = 0; i < refusals.length; i += 3) {
          const index = indexOf(refusals[i])
          refused.push(index)
          const { entity, key, field } = writes[index] as StoredWrite
          if (refusals[i + 1] !== '') erasures.push({ entity, entityKey: key, at: Number(refusals[i + 1]) })
          const value = refusals[i + 2] === '' ? undefined : readRecord(`${recordHead(field)}${refusals[i + 2]}`, recordHead(field))
          if (value) winner.push({ index, value })
        }
      })
      return { refused: refused.sort((a, b) => a - b), erasures, replacedForeign, winner }
    },
    async forget({ entity, entityKey, at }) {
      // Told first: should the rest fail, whoever hears of it only lets go of what was to be forgotten anyway.
      await connection.send('ZADD', ERASURES, at, JSON.stringify([entity, entityKey]))
      await connection.send('ZREMRANGEBYSCORE', ERASURES, '-inf', at - ERASURES_KEPT_FOR)
      return Number(await connection.run(FORGET, [hashKey(entity, entityKey)], [at]))
    },
    async addErasures(erasures) {
      await atOnce(SCRIPTS_AT_ONCE, inGroups(erasures, connection.spansSlots ? ERASURES_A_SCRIPT : 1), async (some) => {
        const keys = some.map(({ entity, entityKey }) => hashKey(entity, entityKey))
        await connection.run(
          RESTORE_ERASURES,
          keys,
          some.map(({ at }) => at),
        )
      })
    },
    async erasuresSince(at) {
      const entries = (await connection.send('ZRANGEBYSCORE', ERASURES, at, '+inf', 'WITHSCORES')) as string[]
      return Array.from({ length: entries.length / 2 }, (_, i) => {
        const [entity, entityKey] = JSON.parse(entries[2 * i] as string) as [string, string]
        return { entity, entityKey, at: Number(entries[2 * i + 1]) }
      })
    },
    filled: (fields) => integrity.filled(fields),
    markFilled: (field) => integrity.markFilled(field),
    doubts,
    isShared: true,
    look: (fields) => integrity.look(fields),
    restore: (fill) => integrity.restore(fill),
    async close() {
      await connection.close()
    },
  }
}

const DOUBT_TEXTS: Readonly<Record<DoubtKind, readonly [begin: string, end: string]>> = {
  lost: ['Redis may have lost values; until they are back, history is asked', 'Redis holds what it should hold.'],
  refused: ['Redis refuses writes; until it takes them, history is asked', 'Redis takes writes.'],
  owed: [
    'Redis lacks values that this process has recorded; until they are there, history is asked',
    'Redis has what this process owed to it.',
  ],
  owed_by_others: [
    'Redis lacks values that another process has recorded; until they are there, history is asked',
    'Redis has what other processes owed to it.',
  ],
}

/** Bad news once, and good news where there was bad. */
function teller(onProblem: OnProblem): (kind: DoubtKind, why: string | null) => void {
  const reported = new Set<DoubtKind>()
  let wasWhole = false
  return (kind, why) => {
    if (kind === 'lost' && why === null) wasWhole = true
    // A process that starts, a command too, fills what is not there yet: that is no news.
    if (why === INCOMPLETE && !wasWhole) return
    if (why === NOT_LOOKED_AT || why === MAY_BE_OWED || (why === null ? !reported.delete(kind) : reported.has(kind))) return
    const [begin, end] = DOUBT_TEXTS[kind]
    if (why === null) return onProblem(end, undefined)
    reported.add(kind)
    onProblem(`${begin}.`, new Error(why))
  }
}

function scriptInput(writes: readonly StoredWrite[]): { keys: string[]; args: (string | number)[] } {
  const keys: string[] = []
  const args: (string | number)[] = []
  for (const { entity, key, field, value, after } of writes) {
    keys.push(hashKey(entity, key))
    const head = recordHead(field)
    const versions = field.includes('@') ? head.slice(0, head.indexOf('@') + 1) : head
    args.push(
      bucketOf(field),
      head,
      value.eventAt,
      value.availableAt,
      value.seq,
      recordBody(value),
      versions,
      after === 'other_origin' ? originLetter(value.origin) : (after ?? ''),
    )
  }
  return { keys, args }
}

/** Indexes of the writes, some at a time. */
function* inBatches(writes: readonly StoredWrite[]): Generator<number[]> {
  for (let from = 0; from < writes.length; from += WRITES_A_SCRIPT) {
    yield Array.from({ length: Math.min(WRITES_A_SCRIPT, writes.length - from) }, (_, i) => from + i)
  }
}

function* inGroups<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size)
}

/** In a cluster a script has the keys of one slot, and only those of one hash are sure to be. */
function byHash(writes: readonly StoredWrite[]): Iterable<number[]> {
  const batches = new Map<string, number[]>()
  for (const [i, { entity, key }] of writes.entries()) {
    const hash = hashKey(entity, key)
    const batch = batches.get(hash)
    if (batch) batch.push(i)
    else batches.set(hash, [i])
  }
  return batches.values()
}

/** Runs a task for each item, so many at a time. Rejects with the first failure, after those under way have ended. */
async function atOnce<Item>(limit: number, items: Iterable<Item>, task: (item: Item) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]()
  let failed = false
  const work = async () => {
    for (let next = rest.next(); !failed && !next.done; next = rest.next()) {
      try {
        await task(next.value)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const workers = await Promise.allSettled(Array.from({ length: limit }, work))
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason
}
