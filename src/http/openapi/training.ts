/** What /openapi.json says about training sets. */
import type { RouteDocs } from '../route.ts'
import { described, noNumber, noText, noTime, orNull, text, time, whole } from './insight-parts.ts'
import { failures, type Json, list, nullable, object, ok, query, ref } from './schema.ts'

const warning = object({ code: { type: 'string', enum: ['leak', 'nulls', 'drifted', 'other'] }, message: text, hint: text })

export const trainingSchemas: Json = {
  TrainingPreview: object({
    rows: described(whole, 'Of the labels.'),
    columns: list(
      object({
        name: text,
        feature: noText,
        method: { type: ['string', 'null'], enum: ['recompute', 'replay', 'history', null] },
        null_share: noNumber,
        distribution: { type: ['object', 'null'], description: 'Of these rows.' },
        served: { type: ['object', 'null'], description: 'Of what is served today.' },
        warnings: list(warning),
      }),
    ),
    preview: list(object({ row: described(whole, 'Number of the label row, from 0.'), values: list({}), states: list(noText) })),
    warnings: list(warning),
  }),
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
    state: { type: 'string', enum: ['running', 'done', 'failed', 'cancelled'] },
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
}

const trainingQuery = [
  query('limit', 'Nothing is made: so many label rows (up to 1000), spread over their times, with their features, as JSON.'),
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
  query(
    'explain',
    '`true`: nothing is made; the answer tells method, way and reason for each feature, and what would make it slow. Labels may be left out.',
  ),
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
      description: 'One row per label row, in the same order; finished before its first byte is sent. With `limit` a preview.',
      content: {
        ...trainingFiles,
        'application/vnd.apache.arrow.file': trainingFile,
        'application/json': { schema: ref('TrainingPreview') },
      },
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

const summary = object({
  id: text,
  state: { type: 'string', enum: ['running', 'done', 'failed', 'cancelled'] },
  progress: { type: 'number', description: 'From 0 to 1.' },
  began_at: time,
  finished_at: noTime,
  rows: nullable('integer'),
  features: list(text),
  dataset_hash: noText,
  error: orNull(object({ code: text, message: text }), 'Why it failed.'),
  warnings: whole,
  seconds_left: noNumber,
  has_samples: { type: 'boolean' },
})

export const trainingSetsDoc: RouteDocs = {
  operationId: 'listTrainingSets',
  summary: 'Training sets that are made, and the last hundred that were made since the start, newest first.',
  responses: { 200: ok('Training sets.', object({ training_sets: list(summary) })) },
}

export const cancelTrainingDoc: RouteDocs = {
  operationId: 'cancelTrainingSet',
  summary: 'Stop making a training set. One that is made already stays as it is.',
  responses: { 200: ok('The report.', ref('TrainingReport')), ...failures(['404', 'No such training set.']) },
}
