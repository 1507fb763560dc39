import type { Route } from '../route.ts'
import { auditSchemas } from './audit.ts'
import { catalogueSchemas } from './catalogue.ts'
import { historySchemas } from './history.ts'
import { ingestSchemas } from './ingest.ts'
import { insightSchemas } from './insight.ts'
import { insightPageSchemas } from './insight-pages.ts'
import { operationSchemas } from './operations.ts'
import { readSchemas } from './reads.ts'
import { refreshSchemas } from './refresh.ts'
import { failures } from './schema.ts'
import { storageSchemas } from './storage.ts'
import { trainingSchemas } from './training.ts'

const SCHEMAS = {
  ...operationSchemas,
  ...readSchemas,
  ...trainingSchemas,
  ...catalogueSchemas,
  ...refreshSchemas,
  ...historySchemas,
  ...ingestSchemas,
  ...insightSchemas,
  ...storageSchemas,
  ...insightPageSchemas,
  ...auditSchemas,
}

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'An API key (`fabra keys create`). Not asked for in development.' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
}

/** What a route answers besides, because of what stands before it. */
function guardOf({ scope, further, anyHost, method, docs }: Route) {
  const takesBody = docs !== null && 'requestBody' in docs
  const foreign = 'The request names another Host than this server has, or comes from a page of another Origin.'
  const lacking = `The key lacks the scope "${scope}"${further ? `, or "${further.scope}" where ${further.where}` : ''}. Or: ${foreign}`
  return {
    responses: failures(
      [
        '400',
        `The request has no single well-formed Host, or broken percent-encoding${takesBody ? ', or a body that is cut off or no UTF-8' : ''}.`,
      ],
      ...(takesBody ? [['413', 'The body is too large.'] as const] : []),
      ...(scope === 'open' ? [] : [['401', 'No API key, or one that is unknown or revoked.'] as const]),
      ...(anyHost ? [] : [['403', scope === 'open' ? foreign : lacking] as const]),
      ...(scope === 'open' ? [] : [['429', 'The key has asked as often as it may in this second.'] as const]),
      ...(anyHost ? [] : [['503', 'More to do than can be done in time; or a store is away.'] as const]),
      ...(method === 'GET' ? [] : [['408', 'The body came too slowly.'] as const]),
      ...(method === 'GET' ? [] : [['415', 'A web page sent a body whose type any page may send.'] as const]),
    ),
    security: scope === 'open' ? [] : [{ bearer: [scope] }, { apiKey: [scope] }],
  }
}

const TAGS = ['features', 'entities', 'sources', 'feature-sets', 'runs', 'training-sets', 'operations'] as const

function tagOf(path: string): string {
  return TAGS.find((tag) => path === `/v1/${tag}` || path.startsWith(`/v1/${tag}/`)) ?? 'operations'
}

/** OpenAPI 3.1 of every route the server has. */
export function openApi(table: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of table) {
    if (route.docs === null) continue
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }))
    const { parameters: query = [], responses = {}, ...rest } = route.docs
    const guard = guardOf(route)
    paths[path] = {
      ...paths[path],
      [route.method.toLowerCase()]: {
        ...rest,
        tags: [tagOf(path)],
        parameters: [...parameters, ...query],
        responses: { ...guard.responses, ...responses },
        security: guard.security,
      },
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
    components: { schemas: SCHEMAS, securitySchemes: SECURITY_SCHEMES },
  }
}
