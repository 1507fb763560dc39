/** Figures of features: of all in one answer (in the catalogue), and everything that is known of one. */
import type { Feature } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'
import { WINDOWS_MS } from '../../observability/step-series.ts'
import type { TrainingReport } from '../../training/job.ts'
import { queryOf } from '../address.ts'
import { againstJson } from '../insight/against-json.ts'
import { healthOf, healthOfAll } from '../insight/feature-health.ts'
import { coverageOf, featureFiguresJson, overTimeJson, WINDOWS, windowOf } from '../insight/figures-json.ts'
import { jsonResponse } from '../json-response.ts'
import { featureStatisticsDoc } from '../openapi/insight.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters } from '../query.ts'
import type { Call, Route } from '../route.ts'
import type { FeatureFigures, FeatureStatistics, OverTime } from '../wire.ts'

const MOST_RUNS = 500
/** What one asks for who does not say. */
const DEFAULT_WINDOW = WINDOWS[0] ?? '1h'

export function statisticsRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/features/:name/statistics',
      scope: 'read',
      confinable: true,
      docs: featureStatisticsDoc,
      answer: (call) => statistics(options, call),
    },
  ]
}

/** By feature: what the catalogue tells besides. */
export async function figuresOfAll(options: HttpOptions, window: string, tellsText: boolean): Promise<ReadonlyMap<string, FeatureFigures>> {
  const { serving, insight, clock } = options
  const windowMs = windowOf(window, 'statistics')
  await insight.freshen()
  const now = clock.now()
  const all = healthOfAll({ serving, insight, clock, tellsText })
  return new Map(all.map((health) => [health.feature.name, featureFiguresJson(health, windowMs, insight, now)]))
}

async function statistics(options: HttpOptions, call: Call): Promise<Response> {
  const { serving, insight, clock } = options
  const query = knownParameters(queryOf(call.request), ['window', 'against'])
  const windowMs = windowOf(query.get('window') ?? DEFAULT_WINDOW, 'window')
  const feature = wholeFeature(options, call.param('name'))
  const planned = serving().planned.get(feature.name)
  if (!planned) throw new FabraError('internal', `Feature ${feature.name} was not planned.`)
  const set = setOf(options, query.get('against'), feature)
  await insight.freshen()
  insight.statistics?.fold()
  const health = healthOf(planned, { insight, clock, tellsText: call.tellsText })
  const now = clock.now()
  const answer: FeatureStatistics = {
    feature: feature.name,
    entity: feature.entity,
    now: formatTime(now),
    window_ms: windowMs,
    coverage: coverageOf(insight),
    ...featureFiguresJson(health, windowMs, insight, now),
    keys_in_use: insight.keysInUse(feature),
    over_time: await overTime(options, feature, windowMs),
    against: set && againstJson(feature.name, health.figures, set),
  }
  return jsonResponse(answer)
}

/** @throws FabraError not_found */
function setOf({ insight }: HttpOptions, id: string | null, feature: Feature): TrainingReport | null {
  if (id === null) return null
  const set = insight.trainingSets().find((one) => one.id === id)
  if (set?.samples.some((sample) => sample.feature === feature.name)) return set
  throw new FabraError(
    'not_found',
    `No training set ${JSON.stringify(id.slice(0, 80))} with ${feature.name} to compare with is known here.`,
    {
      hint: 'Sets made by this process are in GET /v1/training-sets; the values of the last eight with 200 rows and more are kept.',
    },
  )
}

/** A column stands for its feature. @throws FabraError unknown_feature */
export function wholeFeature({ serving }: HttpOptions, name: string): Feature {
  const feature = serving().planOne(name).refs[0]?.feature
  if (feature) return feature
  throw new FabraError('unknown_feature', `No feature "${name}".`)
}

async function overTime({ insight, runs, clock }: HttpOptions, feature: Feature, windowMs: number): Promise<OverTime> {
  const from = clock.now() - windowMs * 1_000
  const ended = (await runs.list({ feature: feature.name, limit: MOST_RUNS })).filter((run) => run.startedAt >= from)
  const figures = overTimeJson(insight.statistics?.of(feature.name), windowMs, clock.now())
  return {
    ...(figures ?? nothingOver(windowMs, clock.now())),
    runs: ended
      .toReversed()
      .flatMap(({ startedAt, finishedAt, keys, failed }) =>
        finishedAt === null ? [] : [{ at: formatTime(startedAt), duration_ms: Math.round((finishedAt - startedAt) / 1_000), keys, failed }],
      ),
    versions: insight.changes
      .versionsOf(feature.name)
      .filter(({ since }) => since >= from)
      .map(({ since, number, fingerprint }) => ({ at: formatTime(since), number, version: fingerprint }))
      .reverse(),
  }
}

function nothingOver(windowMs: number, now: number): Omit<OverTime, 'runs' | 'versions'> {
  const empty: Pick<OverTime, 'reads_per_second' | 'null_share' | 'fresh_share' | 'error_share'> = {
    reads_per_second: [],
    null_share: [],
    fresh_share: [],
    error_share: [],
  }
  const more = { age_p50_ms: [], age_p99_ms: [], latency_p50_ms: [], latency_p99_ms: [], columns: [] }
  return { from: formatTime(now - windowMs * 1_000), step_ms: WINDOWS_MS.includes(windowMs) ? 60_000 : 0, ...empty, ...more }
}
