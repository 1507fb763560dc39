import { keyColumnsJson } from '../../definition/entity-key.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError, suggest } from '../../errors.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { forgetDoc } from '../openapi/ingest.ts'
import type { HttpOptions } from '../options.ts'
import { entityKeyFromPath } from '../query.ts'
import type { Call, Route } from '../route.ts'

export function forgetRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'DELETE',
      path: '/v1/entities/:entity/:id',
      scope: 'admin',
      docs: forgetDoc,
      audited: { action: 'entity.forget', subject: { parameter: 'entity', of: 'entities' } },
      answer: (call) => forget(options, call),
    },
  ]
}

/** Answers when it is durable that nothing older than now is known of the key. */
async function forget(options: HttpOptions, call: Call): Promise<Response> {
  const name = call.param('entity')
  const { entities } = options.serving().registry
  const entity = entities.get(name)
  if (!entity) throw new FabraError('unknown_entity', `No entity "${name}".`, { hint: suggest(name, [...entities.keys()]) })
  const key = entityKeyFromPath(entity, call.param('id'), call.request)
  // That it is gone can be shown to whoever knows it, and to nobody else.
  const detail = { key_sha256: new Bun.CryptoHasher('sha256').update(`${name}\0${key.encoded}`).digest('hex') }
  call.written = { rows: 0, detail }
  const receipt = await options.ingest.forget(entity, key)
  call.written = { rows: receipt.online + receipt.history, detail }
  const body = {
    forgotten_at: formatTime(receipt.at),
    online_values: receipt.online,
    history_rows: receipt.history,
    sources_untouched: receipt.sources,
  }
  return new Response(`{"entity":${keyColumnsJson(entity, key)},${JSON.stringify(body).slice(1)}\n`, { headers: JSON_HEADERS })
}
