/** What is stored, as files: a copy of the data file, made while it is served, and recorded values. */
import { open } from 'node:fs/promises'
import { parseTime } from '../../definition/time.ts'
import { FabraError, suggest } from '../../errors.ts'
import type { BackupFile } from '../../store/ports/backup.ts'
import { queryOf } from '../address.ts'
import { backupDoc, exportDoc, exportRowsDoc } from '../openapi/backup.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters } from '../query.ts'
import type { Route } from '../route.ts'
import { wholeFeature } from './statistics.ts'

const SEND_BYTES = 1 << 20

export function backupRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/backup',
      scope: 'admin',
      docs: backupDoc,
      audited: { action: 'data.backup', subject: null },
      async answer({ request }) {
        knownParameters(queryOf(request), [])
        return sent(await options.backup(), 'application/octet-stream', 'fabra-backup.duckdb')
      },
    },
    {
      method: 'GET',
      path: '/v1/history',
      scope: 'admin',
      docs: exportDoc,
      audited: { action: 'history.export', subject: null },
      async answer({ request }) {
        const query = knownParameters(queryOf(request), ['feature', 'before'])
        const [name, before] = [query.get('feature'), query.get('before')]
        const feature = name === null ? null : wholeFeature(options, name)
        const key = feature === null ? [] : (options.serving().registry.entities.get(feature.entity)?.key ?? [])
        const asked = { feature: feature?.name ?? null, before: before === null ? null : parseTime(before), key }
        return sent(await options.exportHistory(asked), 'application/vnd.apache.parquet', 'history.parquet')
      },
    },
    {
      method: 'GET',
      path: '/v1/sources/:name/rows',
      scope: 'admin',
      docs: exportRowsDoc,
      audited: { action: 'rows.export', subject: { parameter: 'name', of: 'sources' } },
      async answer(call) {
        const name = call.param('name')
        const before = knownParameters(queryOf(call.request), ['before']).get('before')
        const { sources } = options.serving().registry
        const source = sources.get(name)
        if (!source) throw new FabraError('not_found', `No source is called "${name}".`, { hint: suggest(name, [...sources.keys()]) })
        if (before !== null && source.timestamp === null)
          throw new FabraError('invalid_input', `"${name}" has no timestamp, so that nothing of it is before a time.`, {
            hint: 'Leave out before.',
          })
        const file = await options.exportRows(source, before === null ? null : parseTime(before))
        return sent(file, 'application/vnd.apache.parquet', 'rows.parquet')
      },
    },
  ]
}

/** The file goes on being readable through its handle when it is removed. */
async function sent(file: BackupFile, type: string, name: string): Promise<Response> {
  const handle = await open(file.path).finally(() => file.remove())
  const { size } = await handle.stat()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(SEND_BYTES), 0, SEND_BYTES)
      if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead))
      await handle.close()
      controller.close()
    },
    cancel: () => handle.close(),
  })
  return new Response(body, {
    headers: { 'content-type': type, 'x-fabra-bytes': String(size), 'content-disposition': `attachment; filename="${name}"` },
  })
}
