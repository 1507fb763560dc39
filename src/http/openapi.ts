import type { Elysia } from 'elysia'
import { ingestSchemas } from './ingest-docs.ts'
import { schemas } from './openapi-docs.ts'

/** OpenAPI 3.1 of every route the server has; a route without a `detail` is a bug that a test finds. */
export function openApi(app: Elysia, version: string): object {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of app.routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    const detail = route.hooks?.detail ?? {}
    const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }))
    const { parameters: query = [], ...rest } = detail
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = { ...rest, parameters: [...parameters, ...query] }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Fabra',
      version,
      description: 'The feature store for startups.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: { schemas: { ...schemas, ...ingestSchemas } },
  }
}
