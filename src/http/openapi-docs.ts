/** What /openapi.json says about each route and shape. Kept beside the routes; a test holds every answer to these schemas. */
import { errorCodes } from '../errors.ts'
import type { RouteDocs } from './route.ts'

type Json = Record<string, unknown>

export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })
const nullable = (type: string): Json => ({ type: [type, 'null'] })
export const list = (items: Json): Json => ({ type: 'array', items })
export const object = (properties: Json, optional: readonly string[] = []): Json => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
})
export const ok = (description: string, schema: Json): Json => ({ description, content: { 'application/json': { schema } } })
export const failures = (...statuses: readonly (readonly [status: string, description: string])[]): Json =>
  Object.fromEntries(statuses.map(([status, description]) => [status, ok(description, ref('Error'))]))
export const query = (name: string, description: string): Json => ({
  name,
  in: 'query',
  required: false,
  description,
  schema: { type: 'string' },
})

const status: Json = { type: 'string', enum: ['fresh', 'stale', 'default', 'missing', 'error'] }
const servedFrom: Json = { type: ['string', 'null'], enum: ['online', 'computed', 'last_good', 'default', null] }
const valueFields: Json = {
  value: {},
  status,
  served_from: servedFrom,
  freshness_ms: { ...nullable('integer'), description: 'Age in milliseconds; null when unknown.' },
  event_timestamp: { ...nullable('string'), format: 'date-time' },
  oldest_input_timestamp: {
    type: 'string',
    format: 'date-time',
    description: 'Derived features: the oldest value they were computed from.',
  },
}
const described: Json = { description: nullable('string'), owner: nullable('string'), tags: list({ type: 'string' }) }

export const schemas: Json = {
  Error: object({
    error: object(
      { code: { type: 'string', enum: errorCodes }, message: { type: 'string' }, hint: { type: 'string' }, request_id: { type: 'string' } },
      ['hint'],
    ),
  }),
  EntityKey: { type: 'object', description: 'Key columns by name.', additionalProperties: { type: ['string', 'integer'] } },
  FeatureValue: object({ feature: { type: 'string' }, entity: ref('EntityKey'), ...valueFields }, ['oldest_input_timestamp']),
  EntityFeatures: object({
    entity: ref('EntityKey'),
    features: list(object({ feature: { type: 'string' }, ...valueFields, error: { type: 'object' } }, ['oldest_input_timestamp', 'error'])),
  }),
  BatchRequest: object(
    {
      features: { ...list({ type: 'string' }), description: 'Names of features, `spend.avg_30d` for one column. Or give feature_set.' },
      feature_set: { type: 'string' },
      rows: {
        ...list({ type: 'object' }),
        description:
          "Key columns and request inputs, by name. What has to be computed has the feature's timeout, else 1 s, and 20 ms more for each further row, up to 10 s.",
      },
      max_age: { type: 'string', description: 'Oldest age served for this request: "30s", "5m", "1h".' },
    },
    ['features', 'feature_set', 'max_age'],
  ),
  TrainingRequest: object(
    {
      features: list({ type: 'string' }),
      feature_set: { type: 'string' },
      rows: list({ type: 'object' }),
      labels_sql: { type: 'string' },
      ...Object.fromEntries(['timestamp', 'timezone', 'method', 'snapshot', 'format'].map((name) => [name, { type: 'string' }])),
      ...Object.fromEntries(
        ['as_served', 'latest_knowledge', 'deterministic', 'with_status', 'with_event_timestamp', 'fresh'].map((name) => [
          name,
          { type: 'boolean' },
        ]),
      ),
    },
    [
      ...['features', 'feature_set', 'rows', 'labels_sql', 'timestamp', 'timezone', 'method', 'snapshot', 'format', 'as_served'],
      ...['latest_knowledge', 'deterministic', 'with_status', 'with_event_timestamp', 'fresh'],
    ],
  ),
  TrainingReport: object({
    id: { type: 'string' },
    state: { type: 'string', enum: ['running', 'done', 'failed'] },
    progress: { type: 'number', description: 'From 0 to 1.' },
    rows: nullable('integer'),
    resumed: {
      type: 'integer',
      description: 'Values taken over from a run of the same set that was interrupted: one for each feature and row.',
    },
    dataset_hash: nullable('string'),
    features: list(
      object({
        feature: { type: 'string' },
        fingerprint: { type: 'string' },
        method: { type: 'string', enum: ['recompute', 'replay', 'history'] },
        how: nullable('string'),
        seconds: nullable('number'),
      }),
    ),
    summary: {
      ...list(
        object({
          column: { type: 'string' },
          feature: { type: 'string' },
          method: { type: 'string', enum: ['recompute', 'replay', 'history'] },
          values: { type: 'integer', description: 'Rows with a value that is not null.' },
          null: { type: 'integer' },
          default: { type: 'integer', description: 'Rows without a value that got the default.' },
          missing: { type: 'integer' },
          seconds: nullable('number'),
        }),
      ),
      description: 'Of every column that comes from a feature; empty until all are computed.',
    },
    warnings: {
      ...list(object({ subject: { type: 'string' }, message: { type: 'string' }, hint: { type: 'string' } })),
      description: 'What is legal, but seldom meant.',
    },
    pace: {
      ...object({
        feature: { type: 'string' },
        rows: nullable('integer'),
        rows_per_second: nullable('integer'),
        seconds_left: nullable('integer'),
      }),
      type: ['object', 'null'],
      description: 'What is being computed right now.',
    },
    metadata: { type: ['object', 'null'], description: 'As in the finished file.' },
  }),
  BatchResponse: object(
    {
      features: list({ type: 'string' }),
      results: list(
        object({
          entity: ref('EntityKey'),
          values: list({}),
          statuses: list(status),
          served_from: list(servedFrom),
          freshness_ms: list(nullable('integer')),
        }),
      ),
      errors: list(
        object(
          {
            row: { type: 'integer' },
            feature: { type: 'string' },
            code: { type: 'string' },
            message: { type: 'string' },
            hint: { type: 'string' },
          },
          ['hint'],
        ),
      ),
    },
    ['errors'],
  ),
  Feature: object(
    {
      name: { type: 'string' },
      entity: { type: 'string' },
      kind: { type: 'string', enum: ['sql', 'function', 'pushed'] },
      type: nullable('string'),
      columns: { type: 'object', additionalProperties: nullable('string') },
      refresh: nullable('string'),
      max_staleness_ms: nullable('number'),
      look_back_ms: nullable('number'),
      inputs: { type: 'object', additionalProperties: { type: 'string' } },
      default: {},
      history: { type: 'string', enum: ['changes', 'all', 'off'] },
      version: { type: 'string' },
      ...described,
    },
    ['type', 'columns'],
  ),
  Entity: object({ name: { type: 'string' }, key: { type: 'object', additionalProperties: { type: 'string' } }, ...described }),
  Source: object({
    name: { type: 'string' },
    timestamp: nullable('string'),
    delay_ms: nullable('number'),
    available: nullable('string'),
    until: nullable('string'),
    id: nullable('string'),
    timezone: { type: 'string' },
    static: { type: 'boolean' },
    ...described,
  }),
  Run: object({
    id: { type: 'string' },
    feature: { type: 'string' },
    reason: { type: 'string', enum: ['schedule', 'request', 'new version'] },
    started_at: { type: 'string', format: 'date-time' },
    finished_at: { ...nullable('string'), format: 'date-time' },
    duration_ms: nullable('integer'),
    keys: { type: 'integer', description: 'Keys computed.' },
    changed: { type: 'integer', description: 'Keys whose value is another than before.' },
    failed: { type: 'integer' },
    skipped: { type: 'integer', description: 'Keys left out since no such key can be: empty, too long, or of another type.' },
    error: { ...nullable('string'), description: 'The first failure; else why keys were left out.' },
  }),
  History: object({
    feature: { type: 'string' },
    entity: ref('EntityKey'),
    history: list(
      object(
        {
          value: {},
          missing: { const: true, description: 'From then on nothing was known.' },
          event_timestamp: { type: 'string', format: 'date-time' },
          available_at: { type: 'string', format: 'date-time' },
          created_at: { type: 'string', format: 'date-time' },
          origin: { type: 'string', enum: ['computed', 'pushed', 'backfill'] },
        },
        ['value', 'missing'],
      ),
    ),
  }),
  FeatureSet: object({ name: { type: 'string' }, features: list({ type: 'string' }), ...described }),
}

const keyQuery = [
  query(
    'entity_id',
    "The key, for entities with one key column; or use the key columns' own names. Inputs of the feature go beside it by name.",
  ),
  query('max_age', 'Oldest age served for this request: 30s, 5m, 1h, 1d.'),
]

export const featureValueDoc: RouteDocs = {
  operationId: 'getFeature',
  summary: 'One feature of one entity key, with its age and where it came from.',
  parameters: keyQuery,
  responses: {
    200: ok('The value, fresh, stale, default or missing.', ref('FeatureValue')),
    ...failures(
      ['404', 'No such feature.'],
      ['422', 'The key or an input is wrong.'],
      ['500', 'The feature gave a value of the wrong type.'],
      ['502', 'The feature failed.'],
      ['503', 'A store cannot be reached.'],
      ['504', 'The feature did not finish in time.'],
    ),
  },
}
export const featuresBatchDoc: RouteDocs = {
  operationId: 'getFeatures',
  summary: 'Many features of many entity keys: one result per row, in order.',
  requestBody: { required: true, content: { 'application/json': { schema: ref('BatchRequest') } } },
  responses: {
    200: ok('One result per row. A feature that fails has status error and an entry in errors.', ref('BatchResponse')),
    ...failures(['404', 'A name is unknown.'], ['413', 'The body is too large.'], ['422', 'The body or a row is wrong.']),
  },
}
export const entityFeaturesDoc: RouteDocs = {
  operationId: 'getEntityFeatures',
  summary: 'Every feature of one entity key. Entities with several key columns: `-` for the id, the columns in the query.',
  parameters: [query('max_age', 'Oldest age served for this request: 30s, 5m, 1h, 1d.')],
  responses: {
    200: ok('All features of the key.', ref('EntityFeatures')),
    ...failures(['404', 'No such entity.'], ['422', 'The key is wrong.']),
  },
}
export const refreshDoc: RouteDocs = {
  operationId: 'refreshFeature',
  summary: 'Compute a feature again now, for the keys given or for all keys in use. Answers when the run has ended.',
  requestBody: { required: false, content: { 'application/json': { schema: object({ rows: list({ type: 'object' }) }, ['rows']) } } },
  responses: {
    200: ok('What the run did.', ref('Run')),
    ...failures(
      ['404', 'No such feature.'],
      ['409', 'Its values are pushed or computed in every request.'],
      ['422', 'The body or a row is wrong.'],
    ),
  },
}
export const runsDoc: RouteDocs = {
  operationId: 'listRuns',
  summary: 'What refreshes did, newest first.',
  parameters: [query('feature', 'Only runs of this feature.'), query('limit', 'At most this many, 50 by default.')],
  responses: {
    200: ok('Runs.', object({ runs: list(ref('Run')) })),
    ...failures(['404', 'No such feature.'], ['422', 'A parameter is wrong.']),
  },
}
export const historyDoc: RouteDocs = {
  operationId: 'getHistory',
  summary: 'Recorded values of one key, newest first.',
  parameters: [
    query('entity_id', "The key, for entities with one key column; or use the key columns' own names."),
    query('from', 'Earliest event timestamp, RFC 3339 with a zone.'),
    query('to', 'Latest event timestamp.'),
    query('limit', 'At most this many, 100 by default.'),
  ],
  responses: {
    200: ok('Recorded values.', ref('History')),
    ...failures(['404', 'No such feature.'], ['422', 'The key or a time is wrong.']),
  },
}
export const featuresDoc = catalogueDoc('listFeatures', 'All features.', 'features', 'Feature')
export const entitiesDoc = catalogueDoc('listEntities', 'All entities.', 'entities', 'Entity')
export const sourcesDoc = catalogueDoc('listSources', 'All sources.', 'sources', 'Source')
export const featureSetsDoc = catalogueDoc('listFeatureSets', 'All feature sets.', 'feature_sets', 'FeatureSet')
export const healthDoc: RouteDocs = {
  operationId: 'health',
  summary: 'The process is up.',
  responses: { 200: ok('Up.', object({ status: { const: 'ok' } })) },
}
const ready = object(
  {
    status: { type: 'string', enum: ['ready', 'degraded', 'not_ready'] },
    stores: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Each store: `ok`, or what is wrong with it. In development, and for every valid key.',
    },
  },
  ['stores'],
)
export const readyDoc: RouteDocs = {
  operationId: 'ready',
  summary: 'The definitions are loaded, and requests are served. Where a store is sick, `degraded`.',
  responses: { 200: ok('Ready, or degraded.', ready), 503: ok('The definitions are not ready yet, or the server stops.', ready) },
}
export const metricsDoc: RouteDocs = {
  operationId: 'metrics',
  summary: 'Figures of this process, for Prometheus.',
  responses: { 200: { description: "Prometheus' text format.", content: { 'text/plain': { schema: { type: 'string' } } } } },
}
export const openApiDoc: RouteDocs = {
  operationId: 'openapi',
  summary: 'This description.',
  responses: { 200: ok('OpenAPI 3.1.', { type: 'object' }) },
}

export const docsDoc: RouteDocs = {
  operationId: 'docs',
  summary: 'This description, to read and to try.',
  responses: { 200: { description: 'A page.', content: { 'text/html': { schema: { type: 'string' } } } } },
}

function catalogueDoc(operationId: string, summary: string, field: string, schema: string): RouteDocs {
  return { operationId, summary, responses: { 200: ok(summary, object({ [field]: list(ref(schema)) })) } }
}

const trainingQuery = [
  query('features', 'Features, columns of features and feature sets, with commas between them.'),
  query('format', '`parquet` (default), `arrow` (an IPC file), `csv` or `jsonl`.'),
  query('timestamp', 'Column of the times. Default `event_timestamp`.'),
  query('timezone', 'Zone of times that carry none; without it they are refused.'),
  query('method', '`recompute`, `replay` or `history` for all features.'),
  query('as_served', '`true`: what serving showed at the time, recorded values alone.'),
  query('latest_knowledge', '`true`: recorded values that arrived after the time count too.'),
  query('snapshot', 'Recorded values that were written after this time do not exist.'),
  query(
    'deterministic',
    '`true`: the same bytes for aggregates of floats too. PostgreSQL adds floats in the order of its plan: there they agree to 1e-9 and no closer.',
  ),
  query('with_status', '`true`: columns `<feature>__status`.'),
  query('with_event_timestamp', '`true`: columns `<feature>__event_timestamp`.'),
  query('fresh', '`true`: nothing is taken over from a run that was interrupted.'),
  query('explain', '`true`: nothing is made; the answer tells method, way and reason for each feature. Labels may be left out.'),
  query('labels_sql', 'A query over the sources that gives the labels; then there is no body. Needs the scope `train` besides.'),
]
const trainingFile: Json = { schema: { type: 'string', format: 'binary' } }
const trainingFiles: Json = {
  'application/vnd.apache.parquet': trainingFile,
  'text/csv': trainingFile,
  'application/x-ndjson': trainingFile,
}
export const trainingSetDoc: RouteDocs = {
  operationId: 'createTrainingSet',
  summary: "Labels in, features joined as of each row's own time, a file out.",
  parameters: trainingQuery,
  requestBody: { content: { ...trainingFiles, 'application/json': { schema: ref('TrainingRequest') } } },
  responses: {
    200: {
      description: 'One row per label row, in the same order; finished before its first byte is sent.',
      content: { ...trainingFiles, 'application/vnd.apache.arrow.file': trainingFile },
    },
    ...failures(
      ['404', 'No such feature.'],
      ['409', 'The past of a feature cannot be told.'],
      ['422', 'A row is wrong; the message names it.'],

      ['503', 'Too many training sets are being made. Try again later.'],
    ),
  },
}
export const trainingReportDoc: RouteDocs = {
  operationId: 'getTrainingSet',
  summary: 'How far a training set is, and how it was made. Its id is the x-request-id of the request.',
  responses: { 200: ok('The report.', ref('TrainingReport')), ...failures(['404', 'No such training set.']) },
}
