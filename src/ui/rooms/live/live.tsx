import { useSignal } from '@preact/signals'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import type { HelloEvent, Overview, RequestEvent } from '../../../http/wire.ts'
import { place, setQuery } from '../../core/address.ts'
import type { Failure } from '../../core/ask.ts'
import { useData } from '../../core/data.ts'
import { onKey } from '../../core/keys.ts'
import { follow } from '../../core/stream.ts'
import { number, rate } from '../../core/words.ts'
import { CopyAs } from '../../parts/copy.tsx'
import { FailureNote, Note } from '../../parts/note.tsx'
import { Callers, Failing, Slow } from './aside.tsx'
import { HeatMap } from './heat-map.tsx'
import { Requests } from './requests.tsx'

const MOST_KEPT = 300
const SLOW_MS = 5

export function LivePage() {
  const { query } = place.value
  const path = pathOf(query)
  const live = useLive(path)
  const overview = useData<Overview>('/v1/overview').value?.traffic ?? null
  const words = (query.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  const shown = live.requests.filter((request) => words.every((word) => textOf(request).includes(word)))
  return (
    <>
      <div class="head">
        <h1 class="hide">Live</h1>
        <Filters
          of={live.requests}
          sampling={live.hello === null ? '' : samplingWords(live.hello, overview?.requests_per_second ?? null)}
        />
        <div class="acts">
          <button aria-pressed={live.isPaused} aria-keyshortcuts="p" onClick={live.pause}>
            {live.isPaused ? `go on (${number(live.waiting)} wait)` : 'pause'}
          </button>
          <CopyAs path={path} cli="fabra runs --json" />
        </div>
      </div>
      {live.failure && live.failure.status >= 400 && <FailureNote of={live.failure} />}
      {live.failure?.status === 0 && (
        <p class="soft" role="status">
          {live.failure.message} It is followed again by itself.
        </p>
      )}
      {overview && <HeatMap of={overview.hour} p50={overview.latency_ms.p50} p99={overview.latency_ms.p99} />}
      <div class="cols c84">
        <section class="flush">
          {live.hello?.requests === false ? (
            <Note title="Statistics are off (FABRA_STATISTICS=off).">Requests are not told.</Note>
          ) : (
            <Requests of={shown} all={live.requests.length} />
          )}
        </section>
        <div>
          <Failing of={live.requests} />
          <Slow of={live.requests} />
          <Callers of={overview} />
        </div>
      </div>
    </>
  )
}

function pathOf(query: URLSearchParams): string {
  const asked = new URLSearchParams({ kinds: 'requests' })
  if (query.has('slow')) asked.set('slower_than_ms', String(SLOW_MS))
  if (query.has('not_fresh')) asked.set('not_fresh', 'true')
  return `/v1/events?${asked}`
}

/** @param of Those that are kept: of them it is told how many a filter would leave. */
function Filters({ of, sampling }: { of: readonly RequestEvent[]; sampling: string }) {
  const { query } = place.value
  const toggle = (name: string) => () => setQuery({ [name]: query.has(name) ? null : '1' })
  return (
    <div class="pills">
      <input
        type="search"
        class="w28"
        placeholder="key, feature, entity, code"
        aria-label="filter"
        value={query.get('q') ?? ''}
        onInput={(event) => setQuery({ q: event.currentTarget.value })}
      />
      <button class="pill" aria-pressed={query.has('slow')} onClick={toggle('slow')}>
        slower than {SLOW_MS} ms <span class="soft">{number(of.filter(({ ms }) => ms > SLOW_MS).length)}</span>
      </button>
      <button class="pill" aria-pressed={query.has('not_fresh')} onClick={toggle('not_fresh')}>
        not fresh <span class="soft">{number(of.filter(isNotFresh).length)}</span>
      </button>
      <span class="soft">{sampling}</span>
    </div>
  )
}

function isNotFresh({ states, error_code }: RequestEvent): boolean {
  return error_code !== null || Object.entries(states).some(([state, count]) => state !== 'fresh' && count > 0)
}

function samplingWords({ one_in }: HelloEvent, perSecond: number | null): string {
  const all = perSecond === null ? '' : `, ${rate(perSecond)}/s in all`
  return one_in <= 1 ? `every request shown${all}` : `1 of ${number(one_in)} requests shown${all}`
}

export function textOf(request: RequestEvent): string {
  const key = request.entity ? `${request.entity.entity} ${Object.values(request.entity.key).join(' ')}` : ''
  return `${request.key ?? ''} ${request.asked_for.join(' ')} ${key} ${request.error_code ?? ''} ${request.waited_for ?? ''}`.toLowerCase()
}

function useLive(path: string) {
  const requests = useSignal<readonly RequestEvent[]>([])
  const hello = useSignal<HelloEvent | null>(null)
  const failure = useSignal<Failure | null>(null)
  const isPaused = useSignal(false)
  const held = useRef<RequestEvent[]>([])
  const waiting = useSignal(0)
  const pause = () => {
    isPaused.value = !isPaused.value
    if (isPaused.value) return
    requests.value = [...held.current, ...requests.value].slice(0, MOST_KEPT)
    held.current = []
    waiting.value = 0
  }
  useEffect(() => {
    requests.value = []
    return follow(path, {
      onEvent({ kind, data }) {
        if (kind === 'hello') hello.value = data
        if (kind !== 'requests') return
        const newest = data.requests.toReversed()
        if (isPaused.value) {
          held.current = [...newest, ...held.current].slice(0, MOST_KEPT)
          waiting.value = held.current.length
        } else requests.value = [...newest, ...requests.value].slice(0, MOST_KEPT)
      },
      onState(state) {
        failure.value = state
      },
    })
  }, [path])
  useLayoutEffect(() => onKey('p', pause))
  return { requests: requests.value, hello: hello.value, failure: failure.value, isPaused: isPaused.value, waiting: waiting.value, pause }
}
