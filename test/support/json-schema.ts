/** The part of JSON Schema that /openapi.json speaks. Anything else in a schema is an error, so that nothing is silently not checked. */
type Schema = Readonly<Record<string, unknown>>

const KNOWN = ['type', 'enum', 'const', 'properties', 'required', 'additionalProperties', 'items', '$ref', 'format', 'description']

/** @returns what is wrong, each with the path to it; empty when all is well. */
export function schemaProblems(document: Schema, schema: unknown, value: unknown, path = '$'): string[] {
  const given = schema as Schema
  const unknown = Object.keys(given).filter((word) => !KNOWN.includes(word))
  if (unknown.length > 0) return [`${path}: the schema says ${unknown.join(', ')}, which is not checked`]
  if (typeof given['$ref'] === 'string') return schemaProblems(document, resolved(document, given['$ref']), value, path)
  const problems: string[] = []
  if (given['type'] !== undefined && ![given['type']].flat().some((type) => hasType(String(type), value))) {
    return [`${path}: ${JSON.stringify(value)} is not ${JSON.stringify(given['type'])}`]
  }
  if (Array.isArray(given['enum']) && !given['enum'].includes(value)) problems.push(`${path}: ${JSON.stringify(value)} is not in the enum`)
  if ('const' in given && given['const'] !== value)
    problems.push(`${path}: ${JSON.stringify(value)} is not ${JSON.stringify(given['const'])}`)
  if (given['format'] === 'date-time' && typeof value === 'string' && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$/.test(value)) {
    problems.push(`${path}: ${value} is not a time`)
  }
  if (Array.isArray(value) && given['items'] !== undefined) {
    for (const [i, item] of value.entries()) problems.push(...schemaProblems(document, given['items'], item, `${path}[${i}]`))
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    problems.push(...objectProblems(document, given, value as Schema, path))
  }
  return problems
}

function objectProblems(document: Schema, schema: Schema, value: Schema, path: string): string[] {
  const properties = (schema['properties'] ?? {}) as Schema
  const rest = schema['additionalProperties'] ?? true
  const missing = ((schema['required'] ?? []) as string[]).filter((name) => !Object.hasOwn(value, name))
  return [
    ...missing.map((name) => `${path}.${name} is missing`),
    ...Object.entries(value).flatMap(([name, part]) => {
      if (Object.hasOwn(properties, name)) return schemaProblems(document, properties[name], part, `${path}.${name}`)
      if (rest === false) return [`${path}.${name} is not in the schema`]
      return rest === true ? [] : schemaProblems(document, rest, part, `${path}.${name}`)
    }),
  ]
}

function hasType(type: string, value: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return typeof value === 'bigint' || Number.isInteger(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return typeof value === type
}

function resolved(document: Schema, ref: string): unknown {
  return ref
    .slice(2)
    .split('/')
    .reduce<unknown>((part, name) => (part as Schema)[name], document)
}

export type Document = Readonly<Record<string, unknown>> & {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, unknown>> }>>>>
}

/** What the document says about an answer; of an address it does not know, that it is an error. */
export function documentedSchema(document: Document, path: string, method: string, status: number): unknown {
  const parts = path.split('/')
  const route = Object.entries(document.paths)
    .filter(([pattern]) => {
      const wanted = pattern.split('/')
      return wanted.length === parts.length && wanted.every((part, i) => part.startsWith('{') || part === parts[i])
    })
    .find(([, methods]) => methods[method])
  const anywhere = { $ref: '#/components/schemas/Error' }
  const operation = route?.[1][method]
  if (!operation || status === 400 || status === 405) return anywhere
  const response = operation.responses[String(status)] as { content: Record<string, { schema: unknown }> } | undefined
  if (!response) throw new Error(`/openapi.json does not say that ${method} ${route[0]} may answer ${status}.`)
  return response.content['application/json']?.schema
}
