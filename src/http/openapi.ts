import type { Elysia } from 'elysia'
import type { Scope } from '../store/admin-store.ts'
import { scopeFor } from './auth.ts'
import { ingestSchemas } from './ingest-docs.ts'
import { failures, schemas } from './openapi-docs.ts'

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'An API key (`fabra keys create`). Not asked for in development.' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
}

/** What every route under /v1 answers where API keys are asked for. */
function guardOf(scope: Scope) {
  return {
    responses: failures(['401', 'No API key, or one that is unknown or revoked.'], ['403', `The key lacks the scope "${scope}".`]),
    security: [{ bearer: [scope] }, { apiKey: [scope] }],
  }
}

const TAGS = ['features', 'entities', 'sources', 'feature-sets', 'runs', 'training-sets', 'operations'] as const

function tagOf(path: string): string {
  return TAGS.find((tag) => path === `/v1/${tag}` || path.startsWith(`/v1/${tag}/`)) ?? 'operations'
}

/** OpenAPI 3.1 of every route the server has; a route without a `detail` is a bug that a test finds. */
export function openApi(app: Elysia, version: string): object {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of app.routes) {
    if (route.hooks?.detail?.hide) continue
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    const detail = route.hooks?.detail ?? {}
    const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }))
    const { parameters: query = [], responses = {}, ...rest } = detail
    const guard = path.startsWith('/v1') ? guardOf(scopeFor(route.method, path)) : { responses: {}, security: [] }
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = {
      ...rest,
      tags: [tagOf(path)],
      parameters: [...parameters, ...query],
      responses: { ...responses, ...guard.responses },
      security: guard.security,
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Fabra',
      version,
      description: 'The feature store for startups.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: TAGS.map((name) => ({ name })),
    paths,
    components: { schemas: { ...schemas, ...ingestSchemas }, securitySchemes: SECURITY_SCHEMES },
  }
}
