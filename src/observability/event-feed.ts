/**
 * Events as they happen, for those who watch: numbered, so that who lost the connection can go on behind the last one seen, and bounded, so that
 * who does not keep up misses some and is told.
 */
export interface FeedEvent {
  readonly number: number
  readonly kind: string
  readonly data: unknown
}

/** Events kept for those who come again. */
const KEPT = 512

export class EventFeed {
  /** Numbers of another start say nothing here. */
  readonly epoch: string
  private readonly kept: FeedEvent[] = []
  private readonly watchers = new Set<() => void>()
  private last = 0
  private closed = false

  constructor(epoch: string) {
    this.epoch = epoch
  }

  get watching(): number {
    return this.watchers.size
  }

  /** Number of the newest event; 0: there is none yet. */
  get newest(): number {
    return this.last
  }

  add(kind: string, data: unknown): void {
    this.last++
    this.kept.push({ number: this.last, kind, data })
    if (this.kept.length > KEPT) this.kept.shift()
    for (const wake of this.watchers) wake()
  }

  /** Nothing comes any more. */
  get isClosed(): boolean {
    return this.closed
  }

  close(): void {
    this.closed = true
    for (const wake of this.watchers) wake()
  }

  /** @param wake Called after each event, and at the end. @returns ends the watching. */
  watch(wake: () => void): () => void {
    this.watchers.add(wake)
    return () => this.watchers.delete(wake)
  }

  /** Those behind a number, and how many between are gone. */
  after(number: number): { readonly events: readonly FeedEvent[]; readonly missed: number } {
    const oldest = this.kept[0]?.number ?? this.last + 1
    return { events: this.kept.slice(Math.max(0, number + 1 - oldest)), missed: Math.max(0, oldest - number - 1) }
  }
}
