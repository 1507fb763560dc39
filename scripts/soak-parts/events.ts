import { amountOf } from './definitions.ts'

/** As for pushes: a write is to be seen by everybody after this time. */
const VISIBLE_AFTER_MS = 1_000

/** The events of each key: what was sent, what was refused, and when what was acknowledged. */
export class Events {
  checked = 0
  private readonly sent = new Map<string, { begun: number; refused: number; readonly acknowledged: number[] }>()

  begin(key: string): void {
    this.of(key).begun++
  }

  end(key: string, status: number): void {
    if (status === 200) this.of(key).acknowledged.push(performance.now())
    else if (status === 503 || status === 429) this.of(key).refused++
  }

  /** @param asOf When the value is from: what was acknowledged a second before is in it. @returns what is wrong with it. */
  check(key: string, value: unknown, asOf: number): string | undefined {
    this.checked++
    const { n, total } = value as { n: number; total: number }
    const { begun, refused, acknowledged } = this.of(key)
    const least = acknowledged.filter((at) => at < asOf - VISIBLE_AFTER_MS).length
    if (total !== n * amountOf(key)) return `${key}: ${JSON.stringify(value)} is not a sum of its events`
    if (n < least) return `${key}: ${n} events, ${least} were acknowledged more than a second before`
    if (n > begun - refused) return `${key}: ${n} events, ${begun - refused} were sent`
    return undefined
  }

  private of(key: string) {
    const known = this.sent.get(key) ?? { begun: 0, refused: 0, acknowledged: [] }
    this.sent.set(key, known)
    return known
  }
}
