/** What /openapi.json says about the server itself, and about every failure. */
import { errorCodes } from '../../errors.ts'
import type { RouteDocs } from '../route.ts'
import { type Json, object, ok } from './schema.ts'

export const operationSchemas: Json = {
  Error: object({
    error: object(
      { code: { type: 'string', enum: errorCodes }, message: { type: 'string' }, hint: { type: 'string' }, request_id: { type: 'string' } },
      ['hint'],
    ),
  }),
}

export const healthDoc: RouteDocs = {
  operationId: 'health',
  summary: 'The process is up.',
  responses: { 200: ok('Up.', object({ status: { const: 'ok' } })) },
}
const ready = object(
  {
    status: { type: 'string', enum: ['ready', 'degraded', 'not_ready'] },
    stores: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Each store: `ok`, or what is wrong with it. In development, and for every valid key.',
    },
    recovery: object({
      rows: {
        type: 'integer',
        description: 'Latest values that have come back from history since the start. Left out when all are there.',
      },
      of: { type: ['integer', 'null'], description: 'About so many come; null: not known.' },
    }),
    loading: object({
      source: { type: ['string', 'null'], description: 'Whose file is being read. Left out when all sources are there.' },
      done: { type: 'integer', description: 'Sources whose files were read.' },
      of: { type: 'integer', description: 'Sources with files.' },
    }),
  },
  ['stores', 'recovery', 'loading'],
)
export const readyDoc: RouteDocs = {
  operationId: 'ready',
  summary: 'Requests are served as quickly as ever. Where a store is sick, `degraded`.',
  responses: {
    200: ok('Ready, or degraded.', ready),
    503: ok(
      'Files of sources are still loaded in a new folder; values come back from history, or are computed for new versions, a minute each at most; or the server stops.',
      ready,
    ),
  },
}
export const metricsDoc: RouteDocs = {
  operationId: 'metrics',
  summary: 'Figures of this process, for Prometheus.',
  responses: { 200: { description: "Prometheus' text format.", content: { 'text/plain': { schema: { type: 'string' } } } } },
}
export const openApiDoc: RouteDocs = {
  operationId: 'openapi',
  summary: 'This description.',
  responses: { 200: ok('OpenAPI 3.1.', { type: 'object' }) },
}

export const docsDoc: RouteDocs = {
  operationId: 'docs',
  summary: 'This description, to read and to try.',
  responses: {
    302: { description: 'It is a room of the page, at /ui/api.' },
    200: {
      description: 'Where the page is switched off: what it would show is in /openapi.json.',
      content: { 'text/html': { schema: { type: 'string' } } },
    },
  },
}
