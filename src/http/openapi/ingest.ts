/** What /openapi.json says about data that comes in. */
import type { RouteDocs } from '../route.ts'
import { failures, type Json, list, object, ok, ref } from './schema.ts'

const body = (schema: Json): Json => ({ required: true, content: { 'application/json': { schema } } })
const count = (description: string): Json => ({ type: 'integer', description })

export const pushDoc: RouteDocs = {
  operationId: 'pushValues',
  summary: 'Push values of a feature. All rows or none; answers when they are durable. Sending the same rows again changes nothing.',
  requestBody: body(
    object({
      rows: list({
        type: 'object',
        description:
          'The key columns by name; `value` (an object of all columns for a feature with columns) or `"delete": true`; `event_timestamp`, RFC 3339 with a zone, by default now.',
      }),
    }),
  ),
  responses: {
    200: ok('Durable.', ref('PushReceipt')),
    ...failures(
      ['404', 'No such feature.'],
      ['422', 'A row is wrong; the message names its index. Nothing was written.'],
      ['503', 'Too much is waiting to be written, or a store cannot be reached. Send it again.'],
      ['504', 'A store did not answer in the middle: it may be done or not. Send it again.'],
    ),
  },
}
export const appendDoc: RouteDocs = {
  operationId: 'appendRows',
  summary:
    'Append events to a source. All rows or none; answers when they are durable. Features that read the source follow within a second.',
  parameters: [
    {
      name: 'idempotency-key',
      in: 'header',
      required: false,
      description: 'A request with a key that was seen before (in the last day) appends nothing.',
      schema: { type: 'string', maxLength: 255 },
    },
  ],
  requestBody: body(object({ rows: list({ type: 'object', description: 'Columns of the source by name. Those left out are null.' }) })),
  responses: {
    200: ok('Durable.', ref('AppendReceipt')),
    ...failures(
      ['404', 'No such source.'],
      ['409', 'The source takes no rows: it is a view.'],
      ['422', 'A row is wrong; the message names its index and column. Nothing was written.'],
      ['503', 'Too much is waiting, or a store cannot be reached. Send it again.'],
      ['504', 'The store did not answer in the middle: the rows may be there or not. Send them again where they have an id.'],
    ),
  },
}
export const forgetDoc: RouteDocs = {
  operationId: 'forgetEntity',
  summary:
    'Forget one entity key: its stored values and history go, and only later events count. Rows of sources stay. Several key columns: `-` for the id, the columns in the query.',
  responses: {
    200: ok('Forgotten, durably.', ref('ForgetReceipt')),
    ...failures(
      ['404', 'No such entity.'],
      ['422', 'The key is wrong.'],
      ['503', 'A store cannot be reached. Send it again.'],
      ['504', 'A store did not answer in the middle: it may be done or not. Send it again.'],
    ),
  },
}
export const ingestSchemas: Json = {
  PushReceipt: object({
    accepted: count('Rows that are new.'),
    duplicates: count('Rows that history had already: same key, event timestamp and value.'),
    fenced: count('Rows of forgotten keys from before they were forgotten; dropped.'),
  }),
  AppendReceipt: object({
    accepted: count('Rows that are new.'),
    duplicates: count('Rows whose id the source has already, or all of them when the Idempotency-Key was seen before.'),
  }),
  ForgetReceipt: object({
    entity: ref('EntityKey'),
    forgotten_at: { type: 'string', format: 'date-time', description: 'Only later events count from now on.' },
    online_values: count('Stored values that went.'),
    history_rows: count('Rows of history that went.'),
    sources_untouched: { ...list({ type: 'string' }), description: 'Tables that may still hold rows about this key.' },
  }),
}
