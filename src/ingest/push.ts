/**
 * Values pushed from outside. They end in one defined state, in whatever order and however often they come:
 *
 *   - a row that history already has (same key, event timestamp and value) is told as a duplicate and not written again,
 *   - of rows with the same key and event timestamp the one accepted last wins,
 *   - an older event goes to history and never replaces a newer one,
 *   - events behind the fence of a forgotten key are dropped.
 *
 * A push is decided in turn with all others, so that two equal rows on their way at once are told apart; its commit is shared with whatever
 * comes meanwhile. Nearly always the online store alone tells that a row is new: it holds the newest event of its key. That a row is there
 * already only history can tell: a process may have died between the two. So rows that are no newer are looked up in history, which also stands in while the online store is down: what is durable there is accepted.
 */
import type { Clock, Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Entity, Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import { toHistoryText } from '../store/history-text.ts'
import type { HistoryRow, OfflineStore } from '../store/offline-store.ts'
import type { OnlineStore } from '../store/online-store.ts'
import { isUnavailable } from '../store/owed-writes.ts'
import { fieldOf, type RecordedWrite, type Recorder } from '../store/recorder.ts'
import { type PushedRow, readPushedRows } from './push-rows.ts'

/** Rows that may wait for their turn; more are refused as overloaded. */
const MAX_WAITING_ROWS = 100_000
/** Rows decided in one turn. */
const MAX_TURN_ROWS = 20_000

export interface PushReceipt {
  /** Rows that are new and now durable. */
  readonly accepted: number
  /** Rows that history had already. */
  readonly duplicates: number
  /** Rows of forgotten keys, from before they were forgotten: dropped. */
  readonly fenced: number
}

export interface Pusher {
  /**
   * All rows or none; durable when it resolves.
   * @throws FabraError naming the row that is wrong; overloaded; store_unavailable (then some may be recorded: safe to send again).
   */
  push(feature: Feature, rows: readonly unknown[]): Promise<PushReceipt>
  /** Resolves when no push is under way. */
  idle(): Promise<void>
}

export interface PusherOptions {
  readonly online: OnlineStore
  readonly offline: OfflineStore
  readonly recorder: Recorder
  readonly clock: Clock
  readonly entityOf: (feature: Feature) => Entity
  /** Called with the keys that have another value now. */
  readonly onPushed: (feature: Feature, keys: ReadonlyMap<string, EntityKey>) => void
}

interface Waiting {
  readonly feature: Feature
  readonly entity: Entity
  readonly rows: readonly PushedRow[]
  resolve(receipt: PushReceipt): void
  reject(error: unknown): void
}

export function createPusher(options: PusherOptions): Pusher {
  const { online, offline, recorder, clock, onPushed } = options
  const waiting: Waiting[] = []
  /** Accepted and on their way to the stores, by feature, key and event time: no store needs to know them yet. */
  const underWay = new Map<string, Known>()
  let waitingRows = 0
  let turns: Promise<void> | undefined

  async function push(feature: Feature, rows: readonly unknown[]): Promise<PushReceipt> {
    const entity = options.entityOf(feature)
    if (waitingRows + rows.length > MAX_WAITING_ROWS) {
      throw new FabraError('overloaded', `${waitingRows} pushed rows are waiting to be written.`, {
        hint: 'Send less at a time, and again in a moment.',
      })
    }
    const pushed = readPushedRows(feature, entity, rows, clock.now())
    const { promise, resolve, reject } = Promise.withResolvers<PushReceipt>()
    waiting.push({ feature, entity, rows: pushed, resolve, reject })
    waitingRows += pushed.length
    turns ??= takeTurns().finally(() => {
      turns = undefined
    })
    return promise
  }

  async function takeTurns(): Promise<void> {
    while (waiting.length > 0) {
      // Requests that arrive in the same turn of the event loop go along.
      await new Promise((resolve) => setImmediate(resolve))
      const turn: Waiting[] = []
      let count = 0
      for (let next = waiting[0]; next && (turn.length === 0 || count + next.rows.length <= MAX_TURN_ROWS); next = waiting[0]) {
        turn.push(next)
        count += next.rows.length
        waiting.shift()
      }
      try {
        await decide(turn)
      } catch (error) {
        for (const one of turn) one.reject(toldSafe(error))
      } finally {
        waitingRows -= count
      }
    }
  }

  /** Decides on each row of one turn; answers come when all of them are durable, and the next turn does not wait for that. */
  async function decide(turn: readonly Waiting[]): Promise<void> {
    const known = await Promise.all([...groupByField(turn).values()].map(knownOf))
    // From here to `record` nothing else can be accepted.
    const states = new Map(known.map((state) => [state.field, state]))
    const writes: RecordedWrite[] = []
    const begun: [id: string, row: Known][] = []
    const now = clock.now()
    const receipts = turn.map(({ feature, entity, rows }) => {
      const receipt = { accepted: 0, duplicates: 0, fenced: 0 }
      const state = states.get(fieldOf(feature))
      for (const row of rows) {
        if (recorder.fences.hides(entity.name, row.key.encoded, row.eventAt)) receipt.fenced++
        else if (state?.isRepeated(row, toHistoryText(feature, row.texts))) receipt.duplicates++
        else {
          receipt.accepted++
          const availableAt = Math.max(now, state?.availableAt(row) ?? now)
          writes.push(asWrite({ feature, entity, row }, availableAt))
          begun.push([idOf(feature, row), { value: toHistoryText(feature, row.texts), availableAt, eventAt: row.eventAt }])
        }
      }
      return receipt
    })
    for (const [id, row] of begun) underWay.set(id, row)
    const durable = writes.length === 0 ? recorder.flush() : recorder.record(writes, { durable: true })
    for (const [feature, of] of Map.groupBy(writes, (write) => write.feature))
      onPushed(feature, new Map(of.map(({ key }) => [key.encoded, key])))
    const arrived = () => {
      for (const [id, row] of begun) if (underWay.get(id) === row) underWay.delete(id)
    }
    void durable.finally(arrived).then(
      () => {
        for (const [i, one] of turn.entries()) one.resolve(receipts[i] ?? { accepted: 0, duplicates: 0, fenced: 0 })
      },
      (error: unknown) => {
        for (const one of turn) one.reject(toldSafe(error))
      },
    )
  }

  async function newestOf(feature: Feature, entity: Entity, keys: readonly string[]): Promise<Map<string, Newest | undefined>> {
    try {
      const values = await online.read(entity.name, keys, [fieldOf(feature)], 'deciding')
      return new Map(
        keys.map((key, i) => {
          const value = values[i]?.[0]
          return [key, value && { ...value, value: toHistoryText(feature, value.texts) }]
        }),
      )
    } catch (error) {
      if (!isUnavailable(error)) throw error
    }
    await recorder.flush()
    const rows = await offline.latestOf(feature.name, feature.fingerprint, keys)
    return new Map(keys.map((key, i) => [key, rows[i]]))
  }

  /** What the stores hold at the event times of these rows. */
  async function knownOf({ feature, entity, rows }: Group): Promise<KnownRows> {
    const keys = [...new Map(rows.map((row) => [row.key.encoded, row])).keys()]
    // What arrives while the stores are asked may be missed by both questions.
    const arriving = rows.map((row) => ({ row, known: underWay.get(idOf(feature, row)) }))
    const newest = await newestOf(feature, entity, keys)
    const late = rows.filter((row) => row.dated && isLate(row, newest.get(row.key.encoded)))
    const known = createKnownRows(feature, newest, (row) => underWay.get(idOf(feature, row)))
    for (const { row, known: one } of arriving) if (one) known.add(row.key.encoded, one)
    if (late.length === 0) return known
    // What was accepted and is not committed yet belongs to history too.
    await recorder.flush()
    const points = late.map((row) => ({ entityKey: row.key.encoded, eventAt: row.eventAt }))
    for (const row of await offline.rowsAt(feature.name, feature.fingerprint, points)) if (row) known.add(row.entityKey, row)
    return known
  }

  return { push, idle: async () => turns }
}

/** A failure leaves open whether the rows are there; sending them again does no harm. */
function toldSafe(error: unknown): unknown {
  if (!isUnavailable(error)) return error
  return new FabraError('store_unavailable', 'The rows could not be recorded: the offline store cannot be reached.', {
    hint: 'Send them again in a few seconds: rows with an event_timestamp that were recorded after all are told as duplicates.',
    cause: error,
  })
}

function asWrite({ feature, entity, row }: { feature: Feature; entity: Entity; row: PushedRow }, availableAt: Micros): RecordedWrite {
  const value = { texts: row.texts, eventAt: row.eventAt, availableAt, origin: 'pushed' as const, oldestInputAt: null }
  return { feature, entity, key: row.key, value }
}

interface Group {
  readonly feature: Feature
  readonly entity: Entity
  readonly rows: PushedRow[]
}

function groupByField(turn: readonly Waiting[]): Map<string, Group> {
  const groups = new Map<string, Group>()
  for (const { feature, entity, rows } of turn) {
    const group = groups.get(fieldOf(feature))
    if (!group) groups.set(fieldOf(feature), { feature, entity, rows: [...rows] })
    else for (const row of rows) group.rows.push(row)
  }
  return groups
}

/** Not newer than what the online store holds, so history may have it. What the online store lacks may have been evicted there. */
function isLate(row: PushedRow, newest: Newest | undefined): boolean {
  return newest === undefined || row.eventAt <= newest.eventAt
}

function idOf(feature: Feature, row: PushedRow): string {
  return `${fieldOf(feature)}\0${row.eventAt}\0${row.key.encoded}`
}

interface KnownRows {
  readonly field: string
  add(key: string, row: Known): void
  /** Notes the row as the last accepted of its key and time, unless it is just that already. */
  isRepeated(row: PushedRow, text: string | null): boolean
  /** A correction is available no earlier than what it corrects, whatever the clock does. */
  availableAt(row: PushedRow): Micros
}

interface Known {
  /** As history writes it. */
  readonly value: string | null
  readonly availableAt: Micros
  readonly eventAt: Micros
}

/** The newest value of a key. */
type Newest = Known & Pick<HistoryRow, 'origin'>

function createKnownRows(
  feature: Feature,
  newest: ReadonlyMap<string, Newest | undefined>,
  underWay: (row: PushedRow) => Known | undefined,
): KnownRows {
  const rows = new Map<string, Known>()
  const inThisTurn = new Map<string, Known>()
  const at = (key: string, eventAt: Micros) => `${eventAt} ${key}`
  const find = (row: PushedRow): Known | undefined => {
    const id = at(row.key.encoded, row.eventAt)
    return inThisTurn.get(id) ?? underWay(row) ?? rows.get(id)
  }
  const served = (row: PushedRow): Known | undefined => {
    const stored = newest.get(row.key.encoded)
    return stored?.eventAt !== row.eventAt || stored.origin === 'computed' ? undefined : stored
  }
  return {
    field: fieldOf(feature),
    add: (key, row) => void rows.set(at(key, row.eventAt), row),
    isRepeated(row, text) {
      const known = find(row)
      if (known && known.value === text) return true
      inThisTurn.set(at(row.key.encoded, row.eventAt), { value: text, availableAt: known?.availableAt ?? 0, eventAt: row.eventAt })
      return false
    },
    availableAt: (row) => Math.max(find(row)?.availableAt ?? 0, served(row)?.availableAt ?? 0),
  }
}
