import { keyColumnsJson } from '../../definition/entity-key.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError, suggest } from '../../errors.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { forgetDoc } from '../openapi/ingest.ts'
import type { HttpOptions } from '../options.ts'
import { entityKeyFromPath } from '../query.ts'
import type { Route } from '../route.ts'

export function forgetRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'DELETE',
      path: '/v1/entities/:entity/:id',
      scope: 'admin',
      docs: forgetDoc,
      answer: (call) => forget(options, call.param('entity'), call.param('id'), call.request),
    },
  ]
}

/** Answers when it is durable that nothing older than now is known of the key. */
async function forget(options: HttpOptions, name: string, id: string, request: Request): Promise<Response> {
  const { entities } = options.serving().registry
  const entity = entities.get(name)
  if (!entity) throw new FabraError('unknown_entity', `No entity "${name}".`, { hint: suggest(name, [...entities.keys()]) })
  const key = entityKeyFromPath(entity, id, request)
  const receipt = await options.ingest.forget(entity, key)
  const told = {
    forgotten_at: formatTime(receipt.at),
    online_values: receipt.online,
    history_rows: receipt.history,
    sources_untouched: receipt.sources,
  }
  return new Response(`{"entity":${keyColumnsJson(entity, key)},${JSON.stringify(told).slice(1)}\n`, { headers: JSON_HEADERS })
}
