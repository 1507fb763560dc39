/** Events of the feed as one client is told them: filtered, without what its key may not see, and numbered so that it can come again. */
import { formatTime } from '../../definition/time.ts'
import type { FeedEvent } from '../../observability/event-feed.ts'
import type { RequestSample } from '../../observability/request-samples.ts'
import type { Run } from '../../refresh/runs.ts'
import type { HttpOptions } from '../options.ts'
import type { HelloEvent, RequestEvent, RequestsEvent, StateEvent } from '../wire.ts'
import { round } from './figures-json.ts'
import { runJson } from './runs-json.ts'

export const KINDS: readonly string[] = ['requests', 'runs', 'states']
/** Of one message. */
const MOST_REQUESTS = 50

export interface EventFilter {
  readonly kinds: readonly string[]
  /** Or a feature set; null: all. */
  readonly feature: string | null
  readonly slowerThanMs: number | null
  readonly notFresh: boolean
  readonly failed: boolean
  /** Names of keys, ids of entities, and what functions threw. */
  readonly tellsIds: boolean
  /** Which features and sets the client may see; null: all. */
  readonly sees: ((name: string) => boolean) | null
}

export class EventWriter {
  private readonly options: Pick<HttpOptions, 'serving' | 'insight' | 'clock'>
  private readonly filter: EventFilter
  private last: number
  private total: number
  private oneIn: number
  private missed = 0

  /** @param lastId Of the last event that the client saw; null: it comes for the first time. */
  constructor(options: Pick<HttpOptions, 'serving' | 'insight' | 'clock'>, filter: EventFilter, lastId: string | null) {
    const { feed, statistics } = options.insight
    this.options = options
    this.filter = filter
    this.total = statistics?.total ?? 0
    this.oneIn = statistics?.oneIn ?? 1
    const [epoch, number] = lastId?.split('-') ?? []
    const isOurs = epoch === feed.epoch && /^\d+$/.test(number ?? '') && Number(number) <= feed.newest
    this.last = isOurs ? Number(number) : feed.newest
    if (lastId !== null && !isOurs) this.missed = 1
  }

  hello(): string {
    const { insight, clock } = this.options
    const hello: HelloEvent = { now: formatTime(clock.now()), requests: insight.statistics !== null, one_in: this.oneIn }
    const gap = this.missed > 0 ? this.message('gap', { missed_at_least: this.missed }) : ''
    return `retry: 2000\n${this.message('hello', hello)}${gap}`
  }

  /** What happened since it was asked last; empty: nothing that this client wants. */
  next(): string {
    const { feed, statistics } = this.options.insight
    const { events, missed } = feed.after(this.last)
    const parts: string[] = []
    this.last = feed.newest
    if (missed > 0) parts.push(this.message('gap', { missed_at_least: missed }))
    if (statistics && statistics.oneIn !== this.oneIn) {
      this.oneIn = statistics.oneIn
      parts.push(this.hello())
    }
    for (const event of events) parts.push(this.eventText(event))
    if (this.filter.kinds.includes('requests')) parts.push(this.requests(events))
    return parts.join('')
  }

  private eventText({ kind, data }: FeedEvent): string {
    const { kinds, feature, sees } = this.filter
    if (kind === 'request' || (sees && !sees((data as Run | StateEvent).feature))) return ''
    if (kind === 'run' && kinds.includes('runs')) {
      // Reasons may name the parts of a feature: who may not see everything finds them where they are looked through.
      const run = sees ? { ...(data as Run), error: null, fault: null } : (data as Run)
      if (feature !== null && run.feature !== feature) return ''
      const known = this.options.serving().registry.features.get(run.feature)
      return this.message('run', runJson(run, known, this.options.insight, this.filter.tellsIds))
    }
    if (kind !== 'state' || !kinds.includes('states')) return ''
    const event = sees ? { ...(data as StateEvent), reason: null } : (data as StateEvent)
    return feature !== null && event.feature !== feature ? '' : this.message('state', event)
  }

  private requests(events: readonly FeedEvent[]): string {
    const { statistics } = this.options.insight
    const total = (statistics?.total ?? 0) - this.total
    this.total = statistics?.total ?? 0
    const samples = events.flatMap(({ kind, data }) =>
      kind === 'request' && this.wants(data as RequestSample) ? [data as RequestSample] : [],
    )
    if (samples.length === 0 && (total === 0 || this.filter.sees)) return ''
    const event: RequestsEvent = {
      one_in: this.oneIn,
      // How much else is asked for is told to those who may see it.
      total: this.filter.sees ? samples.length : total,
      requests: samples.slice(-MOST_REQUESTS).map((sample) => this.requestJson(sample)),
    }
    return this.message('requests', event)
  }

  private wants({ askedFor, ms, states, errorCode }: RequestSample): boolean {
    const { feature, slowerThanMs, notFresh, failed, sees } = this.filter
    if (sees && !askedFor.every(sees)) return false
    if (feature !== null && !askedFor.some((name) => name === feature || name.startsWith(`${feature}.`))) return false
    if (slowerThanMs !== null && ms <= slowerThanMs) return false
    if (failed && errorCode === null) return false
    return !notFresh || errorCode !== null || Object.keys(states).some((state) => state !== 'fresh')
  }

  private requestJson(sample: RequestSample): RequestEvent {
    const { tellsIds, sees } = this.filter
    const { entity, waitedFor } = sample
    const isWaitTold = !sees || waitedFor === null || sees(waitedFor.replace(/^compute:/, ''))
    return {
      at: formatTime(sample.at),
      key: tellsIds ? sample.caller : null,
      asked_for: [...sample.askedFor],
      rows: sample.rows,
      ms: round(sample.ms) ?? 0,
      states: { ...sample.states },
      entity: tellsIds && entity ? { entity: entity.entity, key: JSON.parse(entity.json) as Record<string, unknown> } : null,
      error_code: sample.errorCode,
      waited_for: isWaitTold ? waitedFor : null,
      waited_ms: round(sample.waitedMs),
      is_outlier: sample.isOutlier,
    }
  }

  private message(kind: string, data: unknown): string {
    return `id: ${this.options.insight.feed.epoch}-${this.last}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`
  }
}
