/** What /openapi.json says about backups. */
import type { RouteDocs } from '../route.ts'
import { failures } from './schema.ts'

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
