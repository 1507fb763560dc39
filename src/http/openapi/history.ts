/** What /openapi.json says about recorded values. */
import type { RouteDocs } from '../route.ts'
import { failures, type Json, list, object, ok, query, ref } from './schema.ts'

export const historySchemas: Json = {
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
    kept_since: {
      type: ['string', 'null'],
      format: 'date-time',
      description: 'Rows of before have left history because of their age, but for the newest ones; null: none has.',
    },
    key_is_recorded: {
      type: 'boolean',
      description: 'Values computed of this key are recorded. False: what is not here may have been served all the same.',
    },
    recorded: {
      type: 'string',
      description: 'What is recorded of the feature, and why: `recorded for 1 % of keys: its past can be recomputed`.',
    },
  }),
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
