/** What of OpenAPI this page shows. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> }
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly description?: string
}

interface RawOperation {
  readonly operationId?: string
  readonly summary?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content?: Contents }
  readonly responses?: Readonly<Record<string, { readonly description?: string; readonly content?: Contents }>>
}

type Contents = Readonly<Record<string, { readonly schema?: Schema }>>

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly additionalProperties?: Schema | boolean
  readonly description?: string
}

export interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly summary: string
  readonly parameters: readonly Parameter[]
  readonly body: Schema | null
  readonly answers: readonly { readonly status: string; readonly description: string }[]
  /** Of the answer that is no error. */
  readonly answer: Schema | null
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete']

export function operationsOf({ paths }: OpenApi): Operation[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const raw = item[method]
      return raw ? [operation(path, method, raw)] : []
    }),
  )
}

function operation(path: string, method: string, raw: RawOperation): Operation {
  const answers = Object.entries(raw.responses ?? {})
  const good = answers.find(([status]) => status.startsWith('2'))?.[1]
  return {
    id: raw.operationId ?? `${method} ${path}`,
    method: method.toUpperCase(),
    path,
    summary: raw.summary ?? '',
    parameters: raw.parameters ?? [],
    body: jsonSchema(raw.requestBody?.content),
    answers: answers.map(([status, { description = '' }]) => ({ status, description })),
    answer: jsonSchema(good?.content),
  }
}

function jsonSchema(content: Contents | undefined): Schema | null {
  return content?.['application/json']?.schema ?? null
}

const DEEPEST = 4

/** A shape as one would write it by hand: names, types, `?` where a field may be left out. */
export function schemaText(schema: Schema, api: OpenApi, depth = 0): string {
  const known = schema.$ref === undefined ? schema : (api.components?.schemas?.[schema.$ref.split('/').at(-1) ?? ''] ?? {})
  const indent = '  '.repeat(depth + 1)
  if (known.properties && depth < DEEPEST) {
    const fields = Object.entries(known.properties).map(([name, field]) => {
      const mark = known.required && !known.required.includes(name) ? '?' : ''
      const said = field.description ? `  — ${field.description}` : ''
      return `${indent}${name}${mark}: ${schemaText(field, api, depth + 1)}${said}`
    })
    return `{\n${fields.join('\n')}\n${'  '.repeat(depth)}}`
  }
  if (known.items) return `[${schemaText(known.items, api, depth)}, …]`
  if (known.enum) return known.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (typeof known.additionalProperties === 'object') return `{ name: ${schemaText(known.additionalProperties, api, depth)} }`
  return [known.type ?? 'any'].flat().join(' | ')
}
