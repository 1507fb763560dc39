/**
 * Traces as the rest of Fabra makes them. Nobody who has no tracer does anything for one: what can be traced is wrapped once, at the start
 * (traced.ts), and only where there is one. What stands behind it is open-telemetry.ts, loaded where traces are asked for.
 */

/** What is told of a piece of work: never the id of an entity, a value or the text of a query. */
export type SpanFacts = Readonly<Record<string, string | number | boolean>>

export interface SpanStart {
  readonly name: string
  /** `client`: another system does it, a database for instance. Default `internal`. */
  readonly kind?: 'internal' | 'server' | 'client'
  readonly facts?: SpanFacts
  /** Told of it and of everything within it. */
  readonly passedOn?: SpanFacts
}

/** Something under way that more may become a part of. */
export interface Work {
  /** Somebody asked to see it. */
  readonly isTraced: boolean
}

export interface Span {
  tell(facts: SpanFacts): void
  fail(reason: string): void
}

export interface Tracer {
  /**
   * A part of what is under way, over when its promise is; outside of any work it is not told of. What it throws fails it.
   * @param askedToo Other work that waits for it.
   */
  part<T>(start: SpanStart, run: (span: Span | null) => T, askedToo?: readonly Work[]): T
  /** Work of its own, which is a part of nothing. */
  root<T>(start: SpanStart, run: (span: Span) => T): T
  /** Work for somebody else, and a part of what the headers of the request say it is. */
  serve<T>(headers: Headers, start: SpanStart, run: (span: Span) => T): T
  /** What is under way, for what goes on in another turn of the event loop; null: nothing. */
  current(): Work | null
  within<T>(work: Work, run: () => T): T
  /** Of what is under way, for log lines and for whoever is asked next (`traceparent`). */
  context(): { readonly traceId: string; readonly spanId: string; readonly headers: Readonly<Record<string, string>> } | null
  /** Sends what has not been sent. Never rejects. */
  close(timeoutMs: number): Promise<void>
}
