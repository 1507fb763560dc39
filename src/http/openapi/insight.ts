/** What /openapi.json says about what the server tells of itself. */
import type { RouteDocs } from '../route.ts'
import {
  described,
  figures,
  insightParts,
  noNumber,
  noPlace,
  noText,
  number,
  orNull,
  pairOfQuantiles,
  states,
  steps,
  text,
  time,
  whole,
} from './insight-parts.ts'
import { failures, type Json, list, nullable, object, ok, query, ref } from './schema.ts'

const scopes = list({ type: 'string', enum: ['read', 'train', 'write', 'admin'] })

const traffic: Json = object({
  requests_per_second: number,
  values_per_second: number,
  errors_per_second: number,
  latency_ms: pairOfQuantiles,
  states: orNull(states, 'Null before the first read.'),
  age_ms: pairOfQuantiles,
  callers: {
    type: ['array', 'null'],
    items: object({ key: text, requests_per_second: number, p99_ms: noNumber, fresh_share: noNumber }),
    description: 'By name of the key; null to who lacks the scope `admin`.',
  },
  hour: object({
    from: time,
    step_ms: number,
    requests_per_second: steps,
    p50_ms: steps,
    p99_ms: steps,
    fresh_share: steps,
    age_p50_ms: steps,
    errors_per_second: steps,
    latency: object({ edges_ms: list(number), counts: list(list(whole)) }),
  }),
})

const names = (what: string) => orNull(list(text), `${what} by name; null: all.`)
const sees = orNull(object({ features: names('Features'), entities: names('Entities') }), 'What the key is confined to; null: it sees all.')

export const insightSchemas: Json = {
  ...insightParts,
  Me: object({
    key: orNull(object({ name: text, scopes, sees }), 'Null where no key is asked for.'),
    scopes: described(scopes, 'What requests like this one may do.'),
    mode: { type: 'string', enum: ['laptop', 'production'] },
    project: text,
    version: text,
    statistics: { type: 'boolean', description: 'Whether figures of reads are kept.' },
    started_at: time,
    now: time,
    coverage: ref('Coverage'),
  }),
  Overview: object({
    now: time,
    started_at: time,
    traffic: orNull(traffic, 'Of the last minute, and `hour` of what came before; null where statistics are off.'),
    features: described(states, 'Counts of features by the worst that they show.'),
    stores: list(
      object({
        role: { type: 'string', enum: ['online', 'offline'] },
        technology: text,
        state: described(text, '`ok`, or why not.'),
        size_bytes: noNumber,
        keys: nullable('integer'),
      }),
    ),
    memory_bytes: described(whole, 'Of the process that answers.'),
    attention: list(
      object({
        feature: text,
        state: ref('State'),
        reason: ref('Reason'),
        reads_per_second: noNumber,
        trend: orNull(
          object({ step_ms: whole, values: list(noNumber) }),
          'Of what the reason tells, over the last day; over the last hour, where the server is young. Null: nothing is known of it, or there are fifty before it.',
        ),
      }),
    ),
    coverage: ref('Coverage'),
  }),
  Change: object({
    at: time,
    kind: { type: 'string', enum: ['version', 'source', 'push', 'key', 'start'] },
    subject: described(noText, 'Null: the name of a key, to who lacks the scope `admin`.'),
    message: text,
    version_number: nullable('integer'),
    rows: nullable('integer'),
    place: noPlace,
  }),
  FeatureStatistics: object({
    feature: text,
    entity: text,
    now: time,
    window_ms: number,
    coverage: ref('Coverage'),
    ...figures,
    keys_in_use: nullable('integer'),
    over_time: object({
      from: time,
      step_ms: number,
      ...Object.fromEntries(
        [
          'reads_per_second',
          'null_share',
          'fresh_share',
          'error_share',
          'age_p50_ms',
          'age_p99_ms',
          'latency_p50_ms',
          'latency_p99_ms',
        ].map((name) => [name, steps]),
      ),
      columns: list(object({ name: text, p10: steps, p50: steps, p90: steps })),
      runs: list(object({ at: time, duration_ms: whole, keys: whole, failed: whole })),
      versions: list(object({ at: time, number: nullable('integer'), version: text })),
    }),
    against: orNull(
      object({
        training_set: text,
        made_at: time,
        columns: list(object({ name: text, psi: noNumber, distribution: ref('Distribution') })),
      }),
    ),
  }),
}

export const meDoc: RouteDocs = {
  operationId: 'getMe',
  summary: 'Whose key the request carries, what it may do, and what server this is.',
  responses: { 200: ok('Who asks, and whom.', ref('Me')) },
}

export const overviewDoc: RouteDocs = {
  operationId: 'getOverview',
  summary: 'Traffic of the last hour, features by state, stores, and what wants attention and why.',
  responses: { 200: ok('The whole at a glance.', ref('Overview')), ...failures(['422', 'A parameter is wrong.']) },
}

export const changesDoc: RouteDocs = {
  operationId: 'listChanges',
  summary: 'Versions of features, loads of sources, pushes, keys and starts, newest first.',
  parameters: [query('since', 'Only changes since this time.'), query('limit', 'At most this many, 100 by default.')],
  responses: {
    200: ok('Changes.', object({ changes: list(ref('Change')), known_since: described(time, 'Nothing is known of before.') })),
    ...failures(['422', 'A parameter is wrong.']),
  },
}

export const featureStatisticsDoc: RouteDocs = {
  operationId: 'getFeatureStatistics',
  summary: 'How one feature is read: distributions, ages, latencies and states, now and over time.',
  parameters: [
    query('window', '`1h` (default), `24h`, `7d` or `30d`.'),
    query(
      'against',
      'Id of a training set of this process, made of 200 rows or more: how its values were spread, and the PSI of those served now.',
    ),
  ],
  responses: {
    200: ok('Figures.', ref('FeatureStatistics')),
    ...failures(['404', 'No such feature.'], ['422', 'A parameter is wrong.']),
  },
}
