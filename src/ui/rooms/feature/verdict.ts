/** The page in one sentence: since when, why, what happens next. */
import type { FeatureStatistics, Run } from '../../../http/wire.ts'
import type { ListedFeature } from '../../core/catalogue.ts'
import { ageOf, now } from '../../core/now.ts'
import { placeText } from '../../core/reasons.ts'
import { age, NONE, number, plural, roughly, took } from '../../core/words.ts'
import { intervalWord } from '../../parts/time.tsx'

export interface Verdict {
  readonly first: string
  readonly rest: string
}

export function verdictOf(feature: ListedFeature, runs: readonly Run[]): Verdict | null {
  if (!feature.state) return null
  return { first: beginning(feature), rest: [...reasons(feature), next(feature, runs)].filter(Boolean).join(' ') }
}

function beginning({ state, reason, refreshed }: ListedFeature): string {
  const since = reason?.since ? ` since ${age(ageOf(reason.since))}` : ''
  switch (state) {
    case 'fresh':
      return reason ? `Fresh, but worth a look${since}.` : 'Fresh.'
    case 'stale':
      return `Stale${since}.`
    case 'error':
      return `Failing${since}.`
    case 'default':
      return 'The default is served: there is nothing else yet.'
    default:
      return refreshed?.running ? 'No values yet.' : 'Nothing is there to serve.'
  }
}

function reasons({ reason, further_reasons }: ListedFeature): string[] {
  return [...(reason ? [reason] : []), ...(further_reasons ?? [])].map(({ message, place }) => {
    const sentence = /[.!?]$/.test(message) ? message : `${message}.`
    return place ? `${sentence} (${placeText(place)})` : sentence
  })
}

function next({ refreshed, refresh }: ListedFeature, [last]: readonly Run[]): string {
  if (refreshed?.running) {
    const { done, keys } = refreshed.running
    return `A run is under way: ${number(done)} of ${plural(keys, 'key')}.`
  }
  if (refresh === 'realtime') return 'Computed in every request.'
  if (!last?.next_at) return ''
  const inMs = Date.parse(last.next_at) - now()
  return inMs > 0 ? `Next run in ${roughly(inMs)}.` : 'A run is due.'
}

/** What kind of feature it is: `float of User · SQL, every 5m, stale served up to 1h · owner risk`. */
export function kindWords(feature: ListedFeature): string {
  const how =
    feature.kind === 'pushed'
      ? 'pushed'
      : `${feature.kind === 'sql' ? 'SQL' : 'a function'}, ${feature.refresh === 'realtime' ? 'in the request' : everyWord(feature.refresh)}`
  const stale = feature.max_staleness_ms === null ? '' : `, stale served up to ${intervalWord(feature.max_staleness_ms)}`
  return how + stale
}

function everyWord(refresh: string | null): string {
  if (refresh === null) return ''
  return /^\d/.test(refresh) && !refresh.includes(' ') ? `every ${refresh}` : `at ${refresh}`
}

export function ageFigure(feature: ListedFeature): [figure: string, of: string] {
  if (feature.refresh === 'realtime') return ['0s', 'computed in the request']
  const { refreshed } = feature
  if (!refreshed) return [NONE, '']
  const of = refreshed.interval_ms === null ? '' : `of ${intervalWord(refreshed.interval_ms, refreshed.is_learnt)}`
  return [refreshed.at === null ? (feature.state === 'fresh' ? 'no run' : 'never') : age(ageOf(refreshed.at)), of]
}

/** Where runs of the window are told of: their median. */
export function usualTook({ over_time }: FeatureStatistics): string {
  const times = over_time.runs.map(({ duration_ms }) => duration_ms).sort((a, b) => a - b)
  return took(times[Math.floor(times.length / 2)] ?? null)
}
