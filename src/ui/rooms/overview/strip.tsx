import type { Overview, StateCounts, StoreState, Traffic } from '../../../http/wire.ts'
import { ageOf } from '../../core/now.ts'
import { coverageWord, me, seesWords } from '../../core/session.ts'
import { age, bytes, number, percent, rate, took } from '../../core/words.ts'
import { CursorGroup } from '../../parts/cursor.tsx'
import { Mark } from '../../parts/mark.tsx'
import { Note } from '../../parts/note.tsx'
import { Trend } from '../../parts/strip.tsx'

/** @param of Null: it tells of more than the key sees. */
export function Strip({ of }: { of: Overview | null }) {
  if (of === null) {
    return (
      <div class="strip">
        <div class="cell">
          <Note title={`This key sees ${seesWords() ?? 'everything'}.`}>
            Traffic, stores and what changed tell of more than that, and are shown to keys that see everything.
          </Note>
        </div>
      </div>
    )
  }
  return (
    <CursorGroup cls="strip">
      {of.traffic ? (
        <TrafficFigures of={of.traffic} />
      ) : (
        <div class="cell">
          <Note title="Statistics are off (FABRA_STATISTICS=off).">Requests, latency and ages at serve are not kept.</Note>
        </div>
      )}
      <div class="cell">
        <div class="label">stores</div>
        <dl class="kv">
          {of.stores.map((store) => (
            <Store key={store.role} of={store} />
          ))}
          <dt>up</dt>
          <dd>
            {age(ageOf(of.started_at))}, {me.value?.version}
          </dd>
          {coverageWord() && (
            <>
              <dt>figures</dt>
              <dd>of {coverageWord()}</dd>
            </>
          )}
        </dl>
      </div>
    </CursorGroup>
  )
}

function TrafficFigures({ of }: { of: Traffic }) {
  const { hour } = of
  const spanMs = hour.step_ms * hour.requests_per_second.length
  const latency = split(of.latency_ms.p50)
  const fresh = of.states ? of.states.fresh / total(of.states) : null
  return (
    <>
      <Trend
        label="requests"
        series={hour.requests_per_second}
        spanMs={spanMs}
        write={(v) => `${rate(v)}/s`}
        sub={`${rate(of.values_per_second)} values/s`}
      >
        {rate(of.requests_per_second)}
        <small>/s</small>
      </Trend>
      <Trend label="latency" series={hour.p99_ms} spanMs={spanMs} write={(v) => `${took(v)} p99`} sub={callers(of)}>
        {latency[0]}
        <small>{latency[1]} p50</small>
        <span class="two">{split(of.latency_ms.p99)[0]}</span>
        <small>{split(of.latency_ms.p99)[1]} p99</small>
      </Trend>
      <Trend
        label="fresh at serve"
        series={hour.fresh_share}
        spanMs={spanMs}
        write={(v) => `${percent(v)} %`}
        sub={<Others of={of.states} />}
      >
        {percent(fresh)}
        <small>%</small>
      </Trend>
      <Trend
        label="age at serve"
        series={hour.age_p50_ms}
        spanMs={spanMs}
        write={(v) => `${age(v)} median`}
        sub={`p99 ${age(of.age_ms.p99)}`}
      >
        {age(of.age_ms.p50)}
        <small>median</small>
      </Trend>
      <Trend label="errors" series={hour.errors_per_second} spanMs={spanMs} write={(v) => `${rate(v)}/s`} sub="requests and values">
        {rate(of.errors_per_second)}
        <small>/s</small>
      </Trend>
    </>
  )
}

function split(ms: number | null): [value: string, unit: string] {
  const [value = '–', unit = ''] = took(ms).split(' ')
  return [value, unit]
}

function total(states: StateCounts): number {
  return Object.values(states).reduce((sum, count) => sum + count, 0) || 1
}

function Others({ of }: { of: StateCounts | null }) {
  if (!of) return <>nothing read in the last minute</>
  const shown = (['error', 'stale', 'missing', 'default'] as const).filter((state) => of[state] > 0)
  if (shown.length === 0) return <>all of it</>
  return (
    <>
      {shown.map((state) => (
        <span key={state} class="part">
          <Mark of={state} /> {percent(of[state] / total(of))} %
        </span>
      ))}
    </>
  )
}

function callers({ callers: of, requests_per_second }: Traffic): string {
  const [first] = of ?? []
  if (!first || requests_per_second === 0) return 'of requests'
  return `${first.key} ${Math.round((first.requests_per_second / requests_per_second) * 100)} % of requests`
}

const TECHNOLOGIES: Readonly<Record<string, string>> = { duckdb: 'DuckDB', postgres: 'PostgreSQL', redis: 'Redis', memory: 'memory' }

export function technologyWord({ technology }: StoreState): string {
  return TECHNOLOGIES[technology] ?? technology
}

function Store({ of }: { of: StoreState }) {
  const facts = [of.size_bytes === null ? null : bytes(of.size_bytes), of.keys === null ? null : `${number(of.keys)} keys`]
  const isOk = of.state === 'ok'
  return (
    <>
      <dt>{technologyWord(of)}</dt>
      <dd title={of.state}>
        <Mark of={isOk ? 'fresh' : 'error'} word={of.state} /> {isOk ? facts.filter(Boolean).join(', ') || 'ok' : of.state}
      </dd>
    </>
  )
}
