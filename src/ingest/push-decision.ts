import type { Micros } from '../clock.ts'
import type { Erasures } from '../store/recording/erasures.ts'
import { toHistoryText } from '../store/recording/history-text.ts'
import type { RecordedWrite } from '../store/recording/recorded-write.ts'
import type { PushRequest } from './push-request.ts'
import type { PushedRow } from './push-rows.ts'
import type { AcceptedRow, Recording, RowCache } from './row-cache.ts'

/** What is made of a request. */
export interface PushDecision {
  readonly receipt: { accepted: number; duplicates: number; fenced: number }
  readonly writes: RecordedWrite[]
  /** Of each write: which row of the request it is, the row itself, and as what it was accepted. */
  readonly places: number[]
  readonly begun: [row: PushedRow, accepted: AcceptedRow][]
  /** Requests under way that have rows which this one repeats. */
  readonly repeated: Set<Recording>
}

/** Decides on each row of a request: erased, a repeat, or new. @param known What is known at the times of its rows; later requests see what is accepted here. */
export function decidePush(request: PushRequest, known: RowCache | undefined, now: Micros, erasures: Erasures): PushDecision {
  const { feature, entity, rows } = request
  const decision: PushDecision = {
    receipt: { accepted: 0, duplicates: 0, fenced: 0 },
    writes: [],
    places: [],
    begun: [],
    repeated: new Set(),
  }
  const { receipt } = decision
  for (const [place, row] of rows.entries()) {
    const value = toHistoryText(feature, row.texts)
    const repeated = known?.repeatOf(row, value)
    if (erasures.isErased(entity.name, row.key.encoded, row.eventAt)) receipt.fenced++
    else if (repeated) {
      receipt.duplicates++
      if (repeated.of && repeated.of !== request) decision.repeated.add(repeated.of)
    } else {
      receipt.accepted++
      const availableAt = Math.max(now, known?.availableAt(row) ?? now)
      const accepted = { value, availableAt, eventAt: row.eventAt, of: request }
      known?.accept(row, accepted)
      decision.writes.push(asWrite(request, row, availableAt))
      decision.places.push(place)
      decision.begun.push([row, accepted])
    }
  }
  return decision
}

function asWrite({ feature, entity }: PushRequest, row: PushedRow, availableAt: Micros): RecordedWrite {
  const value = { texts: row.texts, eventAt: row.eventAt, availableAt, origin: 'pushed' as const, oldestInputAt: null }
  return { feature, entity, key: row.key, value }
}
