/** What /openapi.json says about reading features. */
import type { RouteDocs } from '../route.ts'
import { entityPage } from './entity-page.ts'
import { failures, type Json, list, nullable, object, ok, query, ref } from './schema.ts'

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

export const readSchemas: Json = {
  EntityKey: { type: 'object', description: 'Key columns by name.', additionalProperties: { type: ['string', 'integer'] } },
  FeatureValue: object({ feature: { type: 'string' }, entity: ref('EntityKey'), ...valueFields }, ['oldest_input_timestamp']),
  EntityFeatures: entityPage(ref('EntityKey'), valueFields),
  BatchRequest: object(
    {
      features: { ...list({ type: 'string' }), description: 'Names of features, `spend.avg_30d` for one column. Or give feature_set.' },
      feature_set: { type: 'string' },
      rows: {
        ...list({ type: 'object' }),
        description:
          "Key columns and request inputs, by name. What has to be computed has the feature's timeout, else the server's (1 s unless FABRA_REQUEST_TIMEOUT says otherwise), and 20 ms more for each further row, up to 10 s.",
      },
      max_age: { type: 'string', description: 'Oldest age served for this request: "30s", "5m", "1h".' },
      detailed: { type: 'boolean', description: 'Whether the answer tells types of the features and event times of the values, too.' },
    },
    ['features', 'feature_set', 'max_age', 'detailed'],
  ),
  BatchResponse: object(
    {
      features: list({ type: 'string' }),
      types: { ...list({ type: 'string' }), description: 'With `detailed`: types as they are declared, `int`, `list[string]`.' },
      results: list(
        object(
          {
            entity: ref('EntityKey'),
            values: list({}),
            statuses: list(status),
            served_from: list(servedFrom),
            freshness_ms: list(nullable('integer')),
            event_timestamps: { ...list({ ...nullable('string'), format: 'date-time' }), description: 'With `detailed`.' },
          },
          ['event_timestamps'],
        ),
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
    ['types', 'errors'],
  ),
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
    200: {
      description:
        'One result per row. A feature that fails has status error and an entry in errors. As an Arrow table, by Accept: key columns, a column a feature, then of each `<feature>__status`, `__served_from`, `__freshness_ms` and `__event_timestamp`; types and errors are JSON under `fabra` in the metadata of its schema.',
      content: {
        'application/json': { schema: ref('BatchResponse') },
        'application/vnd.apache.arrow.stream': { schema: { type: 'string', format: 'binary' } },
      },
    },
    ...failures(['404', 'A name is unknown.'], ['422', 'The body or a row is wrong.']),
  },
}
export const entityFeaturesDoc: RouteDocs = {
  operationId: 'getEntityFeatures',
  summary: 'Every feature of one entity key. Entities with several key columns: `-` for the id, the columns in the query.',
  parameters: [
    query('max_age', 'Oldest age served for this request: 30s, 5m, 1h, 1d.'),
    query('as_of', 'Values as of this past moment, as a training set would have them.'),
    query('history', 'With what is recorded of so long: 24h, 7d. Then also changes, rows in sources and last reads are told.'),
  ],
  responses: {
    200: ok('All features of the key.', ref('EntityFeatures')),
    ...failures(['404', 'No such entity.'], ['422', 'The key or a parameter is wrong.'], ['503', 'Too many look at the past. Try again.']),
  },
}
