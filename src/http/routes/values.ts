import { parseDistinct } from '../../definition/exact-json.ts'
import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Serving } from '../../serving/serving.ts'
import { readBody } from '../body.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { pushDoc } from '../openapi/ingest.ts'
import type { HttpOptions } from '../options.ts'
import type { Call, Route } from '../route.ts'

/** Rows of one push or append. */
const MAX_ROWS = 10_000

export function valueRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/features/:name/values',
      scope: 'write',
      confinable: true,
      docs: pushDoc,
      audited: { action: 'values.push', subject: { parameter: 'name', of: 'features' } },
      answer: (call) => pushValues(options, call),
    },
  ]
}

/** Answers when the values are durable. */
async function pushValues(options: HttpOptions, call: Call): Promise<Response> {
  const feature = pushedFeature(options.serving(), call.param('name'))
  const rows = bodyRows(
    await readBody(call.request, ['rows'], parseDistinct),
    `{"${keyExample(options.serving(), feature)}": …, "value": …}`,
  )
  const { accepted, duplicates, fenced } = await options.ingest.push(feature, rows)
  call.written = { rows: accepted }
  return new Response(`${JSON.stringify({ accepted, duplicates, fenced })}\n`, { headers: JSON_HEADERS })
}

function pushedFeature(serving: Serving, name: string): Feature {
  const feature = serving.planOne(name).refs[0]?.feature
  if (!feature) throw new FabraError('unknown_feature', `No feature "${name}".`)
  if (feature.name === name) return feature
  throw new FabraError('unknown_feature', `"${name}" is one column: values are pushed for "${feature.name}" as a whole.`, {
    hint: `POST /v1/features/${feature.name}/values with all columns in "value".`,
  })
}

function keyExample(serving: Serving, feature: Feature): string {
  return (
    serving.registry.entities
      .get(feature.entity)
      ?.key.map((column) => column.name)
      .join('": …, "') ?? ''
  )
}

/** @throws FabraError invalid_body */
export function bodyRows(body: Readonly<Record<string, unknown>>, example: string): readonly unknown[] {
  const rows = body['rows']
  if (!Array.isArray(rows)) throw new FabraError('invalid_body', '"rows" is not a list.', { hint: `Write "rows": [${example}].` })
  if (rows.length > MAX_ROWS)
    throw new FabraError('invalid_body', `"rows" has ${rows.length} rows.`, { hint: `At most ${MAX_ROWS} in one request.` })
  return rows
}
