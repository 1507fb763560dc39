import { keyColumnsJson } from '../../definition/entity-key.ts'
import { FabraError, suggest } from '../../errors.ts'
import type { Plan } from '../../serving/plan.ts'
import type { Serving } from '../../serving/serving.ts'
import { pathOf, queryOf } from '../address.ts'
import { errorJson, JSON_HEADERS } from '../error-response.ts'
import { entityFeaturesDoc } from '../openapi/reads.ts'
import type { HttpOptions } from '../options.ts'
import { checkEncoding, parameters, rowFromQuery } from '../query.ts'
import type { Route } from '../route.ts'
import { valueFieldsJson } from '../value-json.ts'

export function entityRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/entities/:entity/:id',
      scope: 'read',
      docs: entityFeaturesDoc,
      answer: (call) => getEntity(options.serving(), call.param('entity'), call.param('id'), call.request),
    },
  ]
}

/** Every feature of one entity key. A feature that fails, or that needs inputs not given, says so in its own place. */
async function getEntity(serving: Serving, name: string, id: string, request: Request): Promise<Response> {
  const entity = serving.registry.entities.get(name)
  if (!entity)
    throw new FabraError('unknown_entity', `No entity "${name}".`, { hint: suggest(name, [...serving.registry.entities.keys()]) })
  const features = [...serving.registry.features.values()].filter((feature) => feature.entity === name)
  const keyed = keyedRequest(entity.key.length, id, request)
  let key: string | undefined
  const parts = await Promise.all(
    features.map(async (feature) => {
      const plan = serving.planOne(feature.name)
      const { row, maxAge } = rowFromQuery(forgiving(plan), keyed)
      const [first] = row.keys
      if (first) key ??= keyColumnsJson(entity, first)
      const missing = [...plan.inputs.keys()].find((input) => row.inputs?.[input] === undefined)
      if (missing !== undefined) return errorPart(feature.name, inputMissing(missing))
      const [result] = await serving.engine.read(plan, [row], { maxAge })
      const error = result?.errors?.find((candidate) => candidate !== undefined)
      if (error) return errorPart(feature.name, error)
      return result ? `{"feature":${JSON.stringify(feature.name)},${valueFieldsJson(plan, result)}}` : ''
    }),
  )
  return new Response(`{"entity":${key ?? '{}'},"features":[${parts.join(',')}]}\n`, { headers: JSON_HEADERS })
}

/** `/v1/entities/User/u1` is `?entity_id=u1`; several key columns are given by name behind `-`. */
function keyedRequest(columns: number, id: string, request: Request): Request {
  if (columns > 1) {
    if (id === '-') return request
    throw new FabraError('invalid_key', 'This entity has several key columns.', {
      hint: 'Write - for the id and name the columns: /v1/entities/Pair/-?user_id=…&merchant_id=…',
    })
  }
  checkEncoding(pathOf(request))
  const query = parameters(queryOf(request))
  query.set('entity_id', id)
  return new Request(`http://localhost/?${query}`, { headers: request.headers, signal: request.signal })
}

/** The same plan with inputs optional: one address serves features with and without inputs. */
function forgiving(plan: Plan): Plan {
  return { ...plan, inputs: new Map() }
}

function inputMissing(input: string): FabraError {
  return new FabraError('invalid_input', `The input "${input}" is missing.`, {
    hint: `Ask for this feature alone, with ${input}=… in the address.`,
  })
}

function errorPart(feature: string, error: FabraError): string {
  return `{"feature":${JSON.stringify(feature)},"value":null,"status":"error","served_from":null,"freshness_ms":null,"event_timestamp":null,"error":${JSON.stringify(errorJson(error))}}`
}
