/**
 * Values pushed from outside. They are durable before they are visible, and a push that was refused is neither, ever. They end in one defined
 * state, in whatever order and however often they come:
 *
 *   - a row that history already has (same key, event timestamp and value) is told as a duplicate and not written again,
 *   - of rows with the same key and event timestamp the one accepted last wins,
 *   - an older event goes to history and never replaces a newer one,
 *   - events behind the fence of a forgotten key are dropped.
 *
 * A push is decided in turn with all others, so that two equal rows on their way at once are told apart; its commit is shared with whatever
 * comes meanwhile. A row that repeats one of a push under way is answered when that one is durable; where that one is refused, it is decided
 * anew. Nearly always the online store alone tells that a row is new: it holds the newest event of its key. That a row is there already only
 * history can tell, so rows that are no newer are looked up there; it also stands in while the online store is down. Where history has a row
 * of a key that the online store does not know, a process died between the two, and the key is shown again.
 */
import type { Clock, Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Entity, Feature } from '../definition/model.ts'
import { FabraError, isUnavailable } from '../errors.ts'
import { type OfflineStore, RefusedRows } from '../store/ports/offline-store.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import { PATIENCE_MS } from '../store/recording/history-queue.ts'
import { fromHistoryText, toHistoryText } from '../store/recording/history-text.ts'
import type { RecordedLot, RecordedWrite } from '../store/recording/recorded-write.ts'
import type { Recorder } from '../store/recording/recorder.ts'
import { inTime } from './in-time.ts'
import { createKnownRows, type Known, type KnownRows, type Newest, type Recording } from './known-rows.ts'
import { asRefusal, notRecorded, outcomeUnknown } from './push-errors.ts'
import { type PushedRow, readPushedRows } from './push-rows.ts'

/** Rows that may wait for their turn; more are refused as overloaded. */
const MAX_WAITING_ROWS = 100_000
/** Rows decided in one turn. */
const MAX_TURN_ROWS = 20_000
/** A request is decided anew when another, whose rows it repeats, was refused. */
const MAX_DECISIONS = 3

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
   * Answers within five seconds.
   * @throws FabraError naming the row that is wrong; overloaded or store_unavailable: nothing is recorded, nor will be; outcome_unknown: it may be,
   * and sending it again is safe.
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

interface Waiting extends Recording {
  readonly feature: Feature
  readonly entity: Entity
  readonly rows: readonly PushedRow[]
  /** By `performance.now()`. */
  readonly deadlineAt: number
  /** Rows that were recorded before this decision; decided anew, they look like repeats. */
  recorded: number
  decisions: number
  lot: RecordedLot | undefined
  answered: boolean
  answer(receipt: PushReceipt): void
  fail(error: unknown): void
}

/** What a decision makes of a request. */
interface Decision {
  readonly receipt: { accepted: number; duplicates: number; fenced: number }
  readonly writes: RecordedWrite[]
  /** Of each write, which row of the request it is. */
  readonly places: number[]
  readonly begun: [id: string, row: Known][]
  /** Requests under way that have rows which this one repeats. */
  readonly repeated: Set<Recording>
}

export function createPusher(options: PusherOptions): Pusher {
  const { online, offline, recorder, clock, onPushed } = options
  const waiting: Waiting[] = []
  /** Accepted and on their way to the stores, by feature, key and event time: no store needs to know them yet. */
  const underWay = new Map<string, Known>()
  /** Decided, and not at their end. */
  const settling = new Set<Promise<void>>()
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
    const one: Waiting = {
      feature,
      entity,
      rows: pushed,
      deadlineAt: performance.now() + PATIENCE_MS,
      recorded: 0,
      decisions: 0,
      lot: undefined,
      answered: false,
      answer: resolve,
      fail: reject,
    }
    const timer = setTimeout(() => giveUp(one), PATIENCE_MS)
    waiting.push(one)
    waitingRows += pushed.length
    takeTurnsNow()
    try {
      return await promise
    } finally {
      one.answered = true
      clearTimeout(timer)
      waitingRows -= pushed.length
    }
  }

  function giveUp(one: Waiting): void {
    one.answered = true
    const isRefused = one.lot === undefined || one.lot.giveUp()
    one.fail(isRefused && !isPartlyKnown(one) ? notRecorded('it did not answer in time', undefined) : outcomeUnknown(undefined))
  }

  /** Some of its rows are recorded, or are on their way with another request: what becomes of them is as unknown as that. */
  function isPartlyKnown(one: Waiting): boolean {
    return one.recorded > 0 || one.rows.some((row) => (underWay.get(idOf(one.feature, row))?.of ?? one) !== one)
  }

  /** @param places Of the rows that were sent to the store. */
  function refusal(one: Waiting, error: unknown, places?: readonly number[]): unknown {
    const isSure = error instanceof RefusedRows ? one.recorded === 0 : !isPartlyKnown(one)
    return isSure ? asRefusal(error, places) : outcomeUnknown(error)
  }

  function takeTurnsNow(): void {
    turns ??= takeTurns().finally(() => {
      turns = undefined
    })
  }

  async function takeTurns(): Promise<void> {
    while (waiting.length > 0) {
      // Requests that arrive in the same turn of the event loop go along.
      await new Promise((resolve) => setImmediate(resolve))
      const turn: Waiting[] = []
      let count = 0
      for (let next = waiting[0]; next && (turn.length === 0 || count + next.rows.length <= MAX_TURN_ROWS); next = waiting[0]) {
        waiting.shift()
        if (next.answered) continue
        turn.push(next)
        count += next.rows.length
      }
      if (turn.length === 0) continue
      try {
        await decide(turn)
      } catch (error) {
        for (const one of turn) if (!one.lot) one.fail(refusal(one, error))
      }
    }
  }

  /** Decides on each row of one turn; answers come when all of them are durable, and the next turn does not wait for that. */
  async function decide(turn: readonly Waiting[]): Promise<void> {
    const deadlineAt = turn.reduce((least, one) => Math.min(least, one.deadlineAt), Number.POSITIVE_INFINITY)
    const known = await inTime(Promise.all([...groupByField(turn).values()].map(readKnownRows)), deadlineAt)
    // From here to `recorder.push` nothing else can be accepted, and nobody gives up.
    const states = new Map(known.map((state) => [state.field, state]))
    const now = clock.now()
    const open = turn.filter((one) => !one.answered)
    const decisions = open.map((one) => decideOne(one, states.get(fieldOf(one.feature)), now))
    const lots = recorder.push(
      decisions.map(({ writes }) => writes),
      deadlineAt,
    )
    for (const [i, decision] of decisions.entries()) {
      const one = open[i] as Waiting
      one.lot = lots[i]
      for (const [id, row] of decision.begun) underWay.set(id, row)
      const settled = settle(one, lots[i] as RecordedLot, decision).finally(() => settling.delete(settled))
      settling.add(settled)
    }
  }

  function decideOne(one: Waiting, state: KnownRows | undefined, now: Micros): Decision {
    const { feature, entity, rows } = one
    const decision: Decision = {
      receipt: { accepted: 0, duplicates: 0, fenced: 0 },
      writes: [],
      places: [],
      begun: [],
      repeated: new Set(),
    }
    const { receipt, writes } = decision
    for (const [place, row] of rows.entries()) {
      const value = toHistoryText(feature, row.texts)
      const repeated = state?.repeatOf(row, value)
      if (recorder.erasures.isErased(entity.name, row.key.encoded, row.eventAt)) receipt.fenced++
      else if (repeated) {
        receipt.duplicates++
        if (repeated.of && repeated.of !== one) decision.repeated.add(repeated.of)
      } else {
        receipt.accepted++
        const availableAt = Math.max(now, state?.availableAt(row) ?? now)
        const accepted = { value, availableAt, eventAt: row.eventAt, of: one }
        state?.accept(row, accepted)
        writes.push(asWrite({ feature, entity, row }, availableAt))
        decision.places.push(place)
        decision.begun.push([idOf(feature, row), accepted])
      }
    }
    return decision
  }

  /** Sees a decision to its end, also when nobody waits for it any more. */
  async function settle(one: Waiting, lot: RecordedLot, { receipt, writes, places, begun, repeated }: Decision): Promise<void> {
    const others = Promise.all([...repeated].map((other) => other.lot?.recorded))
    others.catch(() => undefined)
    try {
      await lot.recorded
      one.recorded += writes.length
      if (writes.length > 0) onPushed(one.feature, new Map(writes.map(({ key }) => [key.encoded, key])))
    } catch (error) {
      return one.fail(refusal(one, error, places))
    } finally {
      for (const [id, row] of begun) if (underWay.get(id) === row) underWay.delete(id)
    }
    try {
      await others
    } catch (error) {
      if (one.answered) return
      if (++one.decisions >= MAX_DECISIONS) return one.fail(refusal(one, error))
      one.lot = undefined
      waiting.unshift(one)
      return takeTurnsNow()
    }
    one.answer({ accepted: one.recorded, duplicates: receipt.duplicates - (one.recorded - receipt.accepted), fenced: receipt.fenced })
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
    const rows = await offline.latestOf(feature.name, feature.fingerprint, keys)
    return new Map(keys.map((key, i) => [key, rows[i]]))
  }

  /** What the stores hold at the event times of these rows. */
  async function readKnownRows({ feature, entity, rows }: Group): Promise<KnownRows> {
    const keys = [...new Map(rows.map((row) => [row.key.encoded, row])).keys()]
    // What arrives while the stores are asked may be missed by both questions.
    const arriving = rows.map((row) => ({ row, known: underWay.get(idOf(feature, row)) }))
    const newest = await newestOf(feature, entity, keys)
    const late = rows.filter((row) => row.dated && isLate(row, newest.get(row.key.encoded)))
    const known = createKnownRows(feature, newest, (row) => underWay.get(idOf(feature, row)))
    for (const { row, known: one } of arriving) if (one) known.add(row.key.encoded, one)
    if (late.length === 0) return known
    const points = late.map((row) => ({ entityKey: row.key.encoded, eventAt: row.eventAt }))
    const found = (await offline.rowsAt(feature.name, feature.fingerprint, points)).filter((row) => row !== undefined)
    for (const row of found) known.add(row.entityKey, row)
    await showAgain(feature, entity, [...new Set(found.map((row) => row.entityKey).filter((key) => newest.get(key) === undefined))])
    return known
  }

  /** What history has of these keys and the online store does not: whoever recorded it died before it was shown. */
  async function showAgain(feature: Feature, entity: Entity, keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return
    const rows = (await offline.latestOf(feature.name, feature.fingerprint, keys)).filter((row) => row !== undefined)
    await recorder.show(
      rows.map(({ entityKey, value, eventAt, availableAt, seq, origin }) => ({
        entity: entity.name,
        key: entityKey,
        field: fieldOf(feature),
        value: { texts: fromHistoryText(feature, value), eventAt, availableAt, token: seq, origin, oldestInputAt: null },
      })),
    )
  }

  async function idle(): Promise<void> {
    while (turns || settling.size > 0) await Promise.all([turns, ...settling])
  }

  return { push, idle }
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
