/** What /openapi.json says about the page at /ui. */
import type { RouteDocs } from '../route.ts'

export const homeDoc: RouteDocs = {
  operationId: 'getHome',
  summary: 'Leads to the page for people.',
  responses: { 302: { description: 'It is at /ui/.' } },
}
export const uiDoc: RouteDocs = {
  operationId: 'getUi',
  summary: 'The page for people: what is served, how old it is, whether it is right and what changed.',
  responses: { 200: { description: 'The page, at /ui/. It holds no data.', content: { 'text/html': { schema: { type: 'string' } } } } },
}
