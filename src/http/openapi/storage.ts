/** What /openapi.json says about sizes. */
import type { RouteDocs } from '../route.ts'
import { described, noNumber, number, text, time, whole } from './insight-parts.ts'
import { failures, type Json, list, nullable, object, ok, ref } from './schema.ts'

export const storageSchemas: Json = {
  Storage: object({
    now: time,
    stores: list(
      object({
        technology: text,
        bytes: nullable('integer'),
        max_bytes: described(nullable('integer'), 'Beyond which Redis refuses writes.'),
        keys: nullable('integer'),
        bytes_a_day: described(nullable('integer'), 'Recorded within the last day.'),
        bytes_in_a_year: described(nullable('integer'), 'If every day is like the last, and settings stay.'),
      }),
    ),
    tables: list(
      object({
        name: text,
        kind: { type: 'string', enum: ['history', 'source', 'other'] },
        rows: nullable('integer'),
        bytes: nullable('integer'),
        rows_a_day: described(nullable('integer'), 'New within the last day, by their timestamps.'),
        bytes_a_day: nullable('integer'),
        bytes_in_a_year: described(nullable('integer'), 'If every day is like the last, and settings stay.'),
      }),
    ),
    features: list(
      object({
        feature: text,
        is_defined: described({ type: 'boolean' }, 'False: what is recorded of it stays.'),
        rows: whole,
        bytes: whole,
        rows_a_day: whole,
        bytes_a_day: whole,
        bytes_in_a_year: whole,
        keep_ms: described(noNumber, 'Null: for ever.'),
        online_bytes: described(nullable('integer'), 'In Redis, by a sample of its keys.'),
      }),
    ),
    savings: list(
      object({
        setting: text,
        bytes_now: described(number, 'What would leave at once, but for the newest value of each key.'),
        bytes_in_a_year: number,
      }),
    ),
    is_estimate: described({ type: 'boolean' }, 'Figures of features are told from a sample.'),
  }),
}

export const storageDoc: RouteDocs = {
  operationId: 'getStorage',
  summary: 'How much is stored by store, table and feature, how fast it grows, and what settings would save.',
  responses: {
    200: ok('Sizes, measured over the last day.', ref('Storage')),
    ...failures(['422', 'A parameter is wrong.'], ['503', 'A store did not answer.']),
  },
}
