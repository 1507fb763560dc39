/** What /openapi.json says about refreshes. */
import type { RouteDocs } from '../route.ts'
import { failures, type Json, list, nullable, object, ok, query, ref } from './schema.ts'

export const refreshSchemas: Json = {
  Run: object({
    id: { type: 'string' },
    feature: { type: 'string' },
    reason: { type: 'string', enum: ['schedule', 'request', 'new version', 'rows appended'] },
    state: { type: 'string', enum: ['running', 'done', 'failed', 'partly_failed'] },
    started_at: { type: 'string', format: 'date-time' },
    finished_at: { ...nullable('string'), format: 'date-time' },
    duration_ms: nullable('integer'),
    keys: { type: 'integer', description: 'Keys to compute.' },
    done: { type: 'integer', description: 'Of them, those that are computed or failed already.' },
    changed: { type: 'integer', description: 'Keys whose value is another than before.' },
    failed: { type: 'integer' },
    skipped: { type: 'integer', description: 'Keys left out since no such key can be: empty, too long, or of another type.' },
    error: { ...nullable('string'), description: 'The first failure; else why keys were left out.' },
    error_code: nullable('string'),
    file: { ...nullable('string'), description: 'Of the line at fault, else of the definition where it failed.' },
    line: nullable('integer'),
    next_at: { ...nullable('string'), format: 'date-time', description: 'When the feature is due again.' },
    usual_ms: { ...nullable('integer'), description: 'Median duration of its last runs.' },
  }),
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
  parameters: [
    query('feature', 'Only runs of this feature.'),
    query('state', 'Only `running`, `done`, `failed` or `partly_failed` ones; several with commas between.'),
    query('since', 'Only runs that began since this time.'),
    query('limit', 'At most this many, 50 by default.'),
  ],
  responses: {
    200: ok('Runs.', object({ runs: list(ref('Run')) })),
    ...failures(['404', 'No such feature.'], ['422', 'A parameter is wrong.']),
  },
}
