import type { Clock } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { RecordedLot } from '../store/recording/recorded-write.ts'
import type { Recorder } from '../store/recording/recorder.ts'
import { inTime } from './in-time.ts'
import { decidePush, type PushDecision } from './push-decision.ts'
import { outcomeUnknown } from './push-errors.ts'
import { type PushRequest, refusalOf } from './push-request.ts'
import type { RowCacheReader } from './row-cache-reader.ts'
import type { RowsUnderWay } from './rows-under-way.ts'

/** Rows decided in one turn. */
const MAX_TURN_ROWS = 20_000
/** A request is decided anew when another, whose rows it repeats, was refused. */
const MAX_DECISIONS = 3

export interface PushTurnsOptions {
  readonly recorder: Pick<Recorder, 'erasures' | 'push'>
  readonly known: RowCacheReader
  readonly underWay: RowsUnderWay
  readonly clock: Clock
  /** Called with the keys that have another value now. */
  readonly onPushed: (feature: Feature, keys: ReadonlyMap<string, EntityKey>) => void
}

/** Decides on requests turn by turn, and sees each decision to its end. A turn does not wait for the commits of those before it. */
export class PushTurns {
  private readonly options: PushTurnsOptions
  private readonly waiting: PushRequest[] = []
  /** Decided, and not at their end. */
  private readonly settling = new Set<Promise<void>>()
  private running: Promise<void> | undefined

  constructor(options: PushTurnsOptions) {
    this.options = options
  }

  add(request: PushRequest): void {
    this.waiting.push(request)
    this.start()
  }

  /** Resolves when no request is under way. */
  async idle(): Promise<void> {
    while (this.running || this.settling.size > 0) await Promise.all([this.running, ...this.settling])
  }

  private start(): void {
    this.running ??= this.takeTurns().finally(() => {
      this.running = undefined
    })
  }

  private async takeTurns(): Promise<void> {
    while (this.waiting.length > 0) {
      // Requests that arrive in the same turn of the event loop go along.
      await new Promise((resolve) => setImmediate(resolve))
      const turn = this.take()
      if (turn.length === 0) continue
      try {
        await this.decide(turn)
      } catch (error) {
        for (const one of turn) if (!one.lot) one.fail(refusalOf(one, error, this.options.underWay))
      }
    }
  }

  /** The requests of the next turn. */
  private take(): PushRequest[] {
    const { waiting } = this
    const turn: PushRequest[] = []
    let count = 0
    for (let next = waiting[0]; next && (turn.length === 0 || count + next.rows.length <= MAX_TURN_ROWS); next = waiting[0]) {
      waiting.shift()
      if (next.answered) continue
      turn.push(next)
      count += next.rows.length
    }
    return turn
  }

  /** Decides on each row of one turn; answers come when all of them are durable, and the next turn does not wait for that. */
  private async decide(turn: readonly PushRequest[]): Promise<void> {
    const { recorder, known, underWay, clock } = this.options
    const deadlineAt = turn.reduce((least, one) => Math.min(least, one.deadlineAt), Number.POSITIVE_INFINITY)
    const caches = await inTime(known.read(turn), deadlineAt)
    // From here to `recorder.push` nothing else can be accepted, and nobody gives up.
    const now = clock.now()
    const open = turn.filter((one) => !one.answered)
    const decisions = open.map((one) => decidePush(one, caches.get(one.field), now, recorder.erasures))
    const lots = recorder.push(
      decisions.map(({ writes }) => writes),
      deadlineAt,
    )
    for (const [i, decision] of decisions.entries()) {
      const one = open[i] as PushRequest
      one.lot = lots[i]
      for (const [row, accepted] of decision.begun) underWay.begin(one.field, row, accepted)
      const settled = this.settle(one, lots[i] as RecordedLot, decision).finally(() => this.settling.delete(settled))
      this.settling.add(settled)
    }
  }

  /** Sees a decision to its end, also when nobody waits for it any more. */
  private async settle(one: PushRequest, lot: RecordedLot, decision: PushDecision): Promise<void> {
    const { known, underWay, onPushed } = this.options
    const { receipt, writes, places, begun, repeated } = decision
    const others = repeated.size === 0 ? null : Promise.all([...repeated].map((other) => other.lot?.recorded))
    others?.catch(() => undefined)
    try {
      const repeats = await lot.recorded
      one.recorded += writes.length - repeats.length
      if (repeats.length > 0) {
        const keys = new Set(repeats.flatMap((w) => writes[w]?.key.encoded ?? []))
        await known.showAgain(one.feature, one.entity, keys).catch(throwUnknown)
      }
      if (writes.length > 0) onPushed(one.feature, new Map(writes.map(({ key }) => [key.encoded, key])))
    } catch (error) {
      return one.fail(refusalOf(one, error, underWay, places))
    } finally {
      for (const [row, accepted] of begun) underWay.end(one.field, row, accepted)
    }
    try {
      if (others !== null) await others
    } catch (error) {
      this.decideAnew(one, error)
      return
    }
    one.answer({ accepted: one.recorded, duplicates: receipt.duplicates - (one.recorded - receipt.accepted), fenced: receipt.fenced })
  }

  /** A request whose rows this one repeats was refused: they are nowhere. */
  private decideAnew(one: PushRequest, error: unknown): void {
    if (one.answered) return
    if (++one.decisions >= MAX_DECISIONS) {
      one.fail(refusalOf(one, error, this.options.underWay))
      return
    }
    one.lot = undefined
    this.waiting.unshift(one)
    this.start()
  }
}

function throwUnknown(error: unknown): never {
  throw outcomeUnknown(error)
}
