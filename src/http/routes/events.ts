/** GET /v1/events: requests, runs and states as they happen, as server-sent events. */
import { FabraError } from '../../errors.ts'
import { queryOf } from '../address.ts'
import { type EventFilter, EventWriter, KINDS } from '../insight/event-writer.ts'
import { stateWatchOf } from '../insight/state-watch.ts'
import { eventsDoc } from '../openapi/insight-pages.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters } from '../query.ts'
import type { Call, Route } from '../route.ts'

const PARAMETERS = ['kinds', 'feature', 'slower_than_ms', 'not_fresh', 'failed']
/** At once; each costs some work for every request that is looked at. */
const MOST_WATCHERS = 64
const TELL_MS = 500
/** Proxies let go of a connection on which nothing is said. */
const HEARTBEAT_MS = 15_000
/** Then the client comes again, and its key is looked at anew. */
const LONGEST_MS = 600_000
const HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }

export function eventRoutes(options: HttpOptions): readonly Route[] {
  const states = stateWatchOf(options)
  return [
    {
      method: 'GET',
      path: '/v1/events',
      scope: 'read',
      confinable: true,
      docs: eventsDoc,
      answer(call) {
        const filter = filterOf(options, call)
        if (options.insight.feed.watching >= MOST_WATCHERS)
          throw new FabraError('overloaded', `${MOST_WATCHERS} clients watch already.`, { hint: 'Close one of them, or ask again later.' })
        if (call.request.method === 'HEAD') return new Response(null, { headers: HEADERS })
        // Nothing may happen for long.
        call.server?.timeout(call.request, 0)
        const writer = new EventWriter(options, filter, call.request.headers.get('last-event-id'))
        return new Response(streamOf(options, writer, states.hold()), { headers: HEADERS })
      },
    },
  ]
}

/** @throws FabraError invalid_input, unknown_feature */
function filterOf(options: HttpOptions, call: Call): EventFilter {
  const { serving } = options
  const query = knownParameters(queryOf(call.request), PARAMETERS)
  const kinds = query.get('kinds')?.split(',') ?? KINDS
  for (const kind of kinds)
    if (!KINDS.includes(kind))
      throw new FabraError('invalid_input', `No events are "${kind.slice(0, 40)}".`, { hint: `Write some of ${KINDS.join(', ')}.` })
  const feature = query.get('feature')
  if (feature !== null && !serving().registry.featureSets.has(feature)) serving().planOne(feature)
  const slower = query.get('slower_than_ms')
  const slowerThanMs = slower === null ? null : Number(slower)
  if (slowerThanMs !== null && !(slowerThanMs >= 0))
    throw new FabraError('invalid_input', 'slower_than_ms is not a number of milliseconds.', { hint: 'Write slower_than_ms=5.' })
  const flag = (name: string) => query.get(name) === 'true'
  return {
    kinds,
    feature,
    slowerThanMs,
    notFresh: flag('not_fresh'),
    failed: flag('failed'),
    tellsIds: call.may('admin'),
    sees: seesOf(options, call),
  }
}

/** Null: everything. */
function seesOf({ serving }: HttpOptions, { holder }: Call): EventFilter['sees'] {
  if (holder === null || holder.allowed === null) return null
  return (name) => {
    const { features, featureSets } = serving().registry
    return featureSets.has(name) || features.has(name.split('.')[0] ?? name)
  }
}

/** Who does not read is written to no more, and misses what the feed does not keep. */
function streamOf({ insight }: HttpOptions, writer: EventWriter, letGo: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const begun = performance.now()
  let said = begun
  let timer: Timer | undefined
  let unwatch: () => void = () => undefined
  const end = () => {
    clearInterval(timer)
    unwatch()
    letGo()
  }
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const say = (text: string) => {
          if (text === '') return
          said = performance.now()
          controller.enqueue(encoder.encode(text))
        }
        say(writer.hello())
        const tick = () => {
          if (insight.feed.isClosed || performance.now() - begun > LONGEST_MS) {
            end()
            controller.close()
            return
          }
          if ((controller.desiredSize ?? 1) <= 0) return
          say(writer.next())
          if (performance.now() - said > HEARTBEAT_MS) say(': here\n\n')
        }
        timer = setInterval(tick, TELL_MS)
        timer.unref()
        unwatch = insight.feed.watch(() => {
          if (insight.feed.isClosed) tick()
        })
      },
      cancel: end,
    },
    { highWaterMark: 16 },
  )
}
