import { parseDistinct } from '../../definition/exact-json.ts'
import { FabraError, suggest } from '../../errors.ts'
import { readBody } from '../body.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { appendDoc } from '../openapi/ingest.ts'
import type { HttpOptions } from '../options.ts'
import type { Call, Route } from '../route.ts'
import { bodyRows } from './values.ts'

/** Longest Idempotency-Key that is remembered. */
const MAX_KEY_LENGTH = 255

export function sourceRowRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/sources/:name/rows',
      scope: 'write',
      docs: appendDoc,
      audited: { action: 'rows.append', subject: { parameter: 'name', of: 'sources' } },
      answer: (call) => appendRows(options, call),
    },
  ]
}

/** Answers when the rows are durable. */
async function appendRows(options: HttpOptions, call: Call): Promise<Response> {
  const { request } = call
  const name = call.param('name')
  const { sources } = options.serving().registry
  const source = sources.get(name)
  if (!source) throw new FabraError('unknown_source', `No source "${name}".`, { hint: suggest(name, [...sources.keys()]) })
  const idempotencyKey = readIdempotencyKey(request)
  const rows = bodyRows(await readBody(request, ['rows'], parseDistinct), '{"column": …}')
  const { accepted, duplicates } = await options.ingest.append(source, rows, idempotencyKey)
  call.written = { rows: accepted }
  return new Response(`${JSON.stringify({ accepted, duplicates })}\n`, { headers: JSON_HEADERS })
}

function readIdempotencyKey(request: Request): string | null {
  const key = request.headers.get('idempotency-key')
  if (key === null) return null
  if (key !== '' && key.length <= MAX_KEY_LENGTH) return key
  throw new FabraError('invalid_input', `The Idempotency-Key has ${key.length} characters.`, {
    hint: `Send 1 to ${MAX_KEY_LENGTH} characters that are new for every request, such as a UUID.`,
  })
}
