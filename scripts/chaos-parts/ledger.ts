/** What was acknowledged when, and which answers contradict it. */

/** A write is to be seen by everybody after this time. */
const VISIBLE_AFTER_MS = 1_000

interface Write {
  /** Undefined: a deletion. */
  readonly value: number | undefined
  state: 'under way' | 'acknowledged' | 'refused' | 'unknown'
  acknowledgedAt: number
}

export interface Contradiction {
  readonly key: string
  readonly answered: number | undefined
  readonly expected: string
  readonly at: number
}

/** Of each key the writes in the order of their event times: the newest that was acknowledged counts. */
export class Ledger {
  readonly contradictions: Contradiction[] = []
  checked = 0
  private readonly writes = new Map<string, Write[]>()

  begin(key: string, value: number | undefined): Write {
    const write: Write = { value, state: 'under way', acknowledgedAt: Number.POSITIVE_INFINITY }
    const known = this.writes.get(key)
    if (known) known.push(write)
    else this.writes.set(key, [write])
    return write
  }

  /** @param status Of the answer to the push; 0: there was none. */
  end(write: Write, status: number): void {
    write.state = status === 200 ? 'acknowledged' : status === 503 || status === 429 ? 'refused' : 'unknown'
    if (status === 200) write.acknowledgedAt = performance.now()
  }

  /** @param askedAt When the request left: what was acknowledged a second before must show. */
  check(key: string, answered: number | undefined, askedAt: number): void {
    this.checked++
    const writes = this.writes.get(key) ?? []
    const newest = writes.findLastIndex(({ acknowledgedAt }) => acknowledgedAt < askedAt - VISIBLE_AFTER_MS)
    const found = writes.findLastIndex(({ value, state }, i) => i >= newest && value === answered && state !== 'refused')
    if (found >= 0 || (newest < 0 && answered === undefined)) return
    const last = writes[newest]
    const since = last ? `, acknowledged ${(askedAt - last.acknowledgedAt).toFixed(0)} ms before` : ''
    const expected = `${last?.value ?? 'nothing'}${since}, or one of ${writes.length - 1 - newest} later`
    this.contradictions.push({ key, answered, expected: `${expected} (${this.originOf(key, answered, newest)})`, at: askedAt })
  }

  /** Where an answer that contradicts may come from. */
  private originOf(key: string, answered: number | undefined, newest: number): string {
    const isThat = ({ value }: Write) => value === answered
    const writes = this.writes.get(key) ?? []
    const older = writes.slice(0, Math.max(0, newest)).findLast(isThat)
    if (older) return `an older one, ${older.state}`
    const later = writes.find(isThat)
    if (later) return `a later one, ${later.state}`
    const [other] = [...this.writes].find(([, writes]) => writes.some(isThat)) ?? []
    return answered === undefined ? 'nothing' : other === undefined ? 'of nobody' : `of ${other}`
  }
}

export type { Write }
