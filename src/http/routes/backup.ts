/** A copy of the data file, made while it is served. */
import { open } from 'node:fs/promises'
import { queryOf } from '../address.ts'
import { backupDoc } from '../openapi/backup.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters } from '../query.ts'
import type { Route } from '../route.ts'

const SEND_BYTES = 1 << 20

export function backupRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/backup',
      scope: 'admin',
      docs: backupDoc,
      answer: ({ request }) => backup(options, request),
    },
  ]
}

/** The file goes on being readable through its handle when it is removed. */
async function backup(options: HttpOptions, request: Request): Promise<Response> {
  knownParameters(queryOf(request), [])
  const file = await options.backup()
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
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(size),
      'x-fabra-bytes': String(size),
      'content-disposition': 'attachment; filename="fabra-backup.duckdb"',
    },
  })
}
