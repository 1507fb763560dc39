import type { Clock } from '../../clock.ts'
import { fieldOf } from '../../definition/feature-version.ts'
import { FabraError, isUnavailable } from '../../errors.ts'
import type { HistoryRow } from '../ports/offline-store.ts'
import type { OnlineStore, StoredWrite, WriteOutcome } from '../ports/online-store.ts'
import type { StoredBatch } from './foreign-writes.ts'
import type { HistoryPolicy } from './history-policy.ts'
import type { HistoryQueue } from './history-queue.ts'
import { toHistoryText } from './history-text.ts'
import type { PendingOnlineWrites } from './pending-online-writes.ts'
import { historyRow, type RecordedLot, type RecordedWrite } from './recorded-write.ts'
import type { NextSeq } from './sequence.ts'

/** A value that history has, on its way into the online store. */
interface VisibleWrite {
  readonly stored: StoredWrite
  /** Undefined: it was recorded before, perhaps by another process. */
  readonly write: RecordedWrite | undefined
}

/** Values that are durable first and visible after. */
export interface VisibleWrites {
  /** Each lot in history as a whole, then in the online store. @param deadlineAt By `performance.now()`. */
  push(lots: readonly (readonly RecordedWrite[])[], deadlineAt: number): readonly RecordedLot[]
  /** Values that history has already. */
  show(writes: readonly StoredWrite[]): Promise<void>
}

export interface VisibleWritesOptions {
  readonly online: Pick<OnlineStore, 'write'>
  readonly queue: Pick<HistoryQueue, 'add' | 'push'>
  readonly policy: HistoryPolicy
  readonly pendingOnline: Pick<PendingOnlineWrites, 'add'>
  readonly clock: Clock
  readonly nextSeq: NextSeq
  /** What the online store said of a batch: other processes may have written, too. */
  readonly onStored: (outcome: WriteOutcome, batch: StoredBatch) => void
  readonly onProblem: (message: string, cause: unknown) => void
}

const NOTHING: RecordedLot = { recorded: Promise.resolve([]), giveUp: () => true }
const NONE: ReadonlySet<number> = new Set()

export function createVisibleWrites(options: VisibleWritesOptions): VisibleWrites {
  const { online, queue, policy, pendingOnline, clock, nextSeq, onStored, onProblem } = options

  const makeVisible = inOneTurn(async (values: readonly VisibleWrite[]) => {
    const stored = values.map((value) => value.stored)
    try {
      const outcome = await online.write(stored)
      onStored(outcome, { stored, shown: values.map(({ write }) => write), suppressed: NONE })
    } catch (error) {
      if (!isUnavailable(error)) onProblem('What history has could not be written to the online store; it is owed to it.', error)
      await pendingOnline.add(stored).catch(throwUnknown)
    }
  })

  /** History has the row now; what is known of its key moves on. */
  const asVisible = (write: RecordedWrite, row: HistoryRow): VisibleWrite => {
    const { feature, entity, key } = write
    const { texts, eventAt, availableAt, origin, oldestInputAt } = write.value
    const judgement = policy.of(feature).judge(key.encoded, { eventAt, availableAt, origin, text: row.value, seq: row.seq })
    const { createdAt } = row
    if (judgement.rows.length > 1)
      queue.add(judgement.rows.slice(1).map((one) => historyRow(write, one, { createdAt, seq: nextSeq(createdAt) })))
    const value = { texts, eventAt, availableAt, seq: row.seq, origin, oldestInputAt }
    return { stored: { entity: entity.name, key: key.encoded, field: fieldOf(feature), value, after: judgement.after }, write }
  }

  return {
    push(lots, deadlineAt) {
      const createdAt = clock.now()
      return lots.map((writes) => {
        if (writes.length === 0) return NOTHING
        const rows = writes.map((write) => {
          const judged = { ...write.value, text: toHistoryText(write.feature, write.value.texts), seq: 0 }
          return historyRow(write, judged, { createdAt, seq: nextSeq(createdAt) })
        })
        const lot = queue.push(rows, deadlineAt)
        const recorded = lot.committed.then(async (repeats) => {
          const had = new Set(repeats)
          await makeVisible(writes.flatMap((write, w) => (had.has(w) ? [] : asVisible(write, rows[w] as HistoryRow))))
          return repeats
        })
        recorded.catch(() => undefined)
        return { recorded, giveUp: lot.giveUp }
      })
    },
    show: (writes) => makeVisible(writes.map((stored) => ({ stored, write: undefined }))),
  }
}

/** Items that come in one turn of the event loop are worked on together. */
function inOneTurn<Item>(work: (items: readonly Item[]) => Promise<void>): (items: readonly Item[]) => Promise<void> {
  let due: Item[] = []
  let underWay: Promise<void> | undefined
  return (items) => {
    for (const item of items) due.push(item)
    underWay ??= Promise.resolve().then(() => {
      const taken = due
      due = []
      underWay = undefined
      return taken.length === 0 ? undefined : work(taken)
    })
    return underWay
  }
}

function throwUnknown(error: unknown): never {
  throw new FabraError('outcome_unknown', 'History has the rows; that the online store lacks them could not be noted.', {
    hint: 'Send them again in a few seconds.',
    cause: error,
  })
}
