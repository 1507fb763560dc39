/** What /openapi.json says about backups. */
import type { RouteDocs } from '../route.ts'
import { failures, query } from './schema.ts'

export const backupDoc: RouteDocs = {
  operationId: 'getBackup',
  summary: 'A copy of the data file, of one moment: history, sources, API keys. `fabra restore` puts it back.',
  responses: {
    200: {
      description: 'A DuckDB database.',
      content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
    },
    ...failures(
      ['404', 'There is no data file: history is in PostgreSQL.'],
      ['422', 'A parameter is wrong.'],
      ['500', 'There is no room for it.'],
      ['503', 'Another one is being made.'],
    ),
  },
}

export const exportDoc: RouteDocs = {
  operationId: 'exportHistory',
  summary: 'Recorded values of all keys in a Parquet file, which a source can read.',
  parameters: [
    query('feature', 'Of this feature alone, with the columns of its key; default: of all.'),
    query('before', 'Only events before this time, RFC 3339 with a zone.'),
  ],
  responses: {
    200: {
      description: 'Rows of history, oldest first; a `value` is a JSON text, and a tombstone has none.',
      content: { 'application/vnd.apache.parquet': { schema: { type: 'string', format: 'binary' } } },
    },
    ...failures(
      ['404', 'No such feature.'],
      ['422', 'A parameter is wrong.'],
      ['500', 'There is no room for it.'],
      ['503', 'Another one is being made, or a store did not answer.'],
    ),
  },
}

export const exportRowsDoc: RouteDocs = {
  operationId: 'exportRows',
  summary: 'The rows of a source in a Parquet file, which a source can read.',
  parameters: [query('before', 'Only rows whose timestamp is before this time, RFC 3339 with a zone.')],
  responses: {
    200: {
      description: 'Rows as the table has them, oldest first.',
      content: { 'application/vnd.apache.parquet': { schema: { type: 'string', format: 'binary' } } },
    },
    ...failures(
      ['404', 'No such source.'],
      ['422', 'A parameter is wrong.'],
      ['500', 'There is no room for it.'],
      ['503', 'Another one is being made, or a store did not answer.'],
    ),
  },
}
