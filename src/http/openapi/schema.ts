/** The words that the pages of /openapi.json are written in. They lie beside each other, one a resource; a test holds every answer to them. */

export type Json = Record<string, unknown>

export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })
export const nullable = (type: string): Json => ({ type: [type, 'null'] })
export const list = (items: Json): Json => ({ type: 'array', items })
export const object = (properties: Json, optional: readonly string[] = []): Json => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
})
export const ok = (description: string, schema: Json): Json => ({ description, content: { 'application/json': { schema } } })
export const failures = (...statuses: readonly (readonly [status: string, description: string])[]): Json =>
  Object.fromEntries(statuses.map(([status, description]) => [status, ok(description, ref('Error'))]))
export const query = (name: string, description: string): Json => ({
  name,
  in: 'query',
  required: false,
  description,
  schema: { type: 'string' },
})
