/** What /openapi.json says about the definitions being served. */
import type { RouteDocs } from '../route.ts'
import { figures } from './insight-parts.ts'
import { failures, type Json, list, nullable, object, ok, query, ref } from './schema.ts'

const described: Json = { description: nullable('string'), owner: nullable('string'), tags: list({ type: 'string' }) }

export const catalogueSchemas: Json = {
  Feature: object(
    {
      name: { type: 'string' },
      entity: { type: 'string' },
      kind: { type: 'string', enum: ['sql', 'function', 'pushed'] },
      type: nullable('string'),
      columns: { type: 'object', additionalProperties: nullable('string') },
      refresh: nullable('string'),
      max_staleness_ms: nullable('number'),
      look_back_ms: nullable('number'),
      inputs: { type: 'object', additionalProperties: { type: 'string' } },
      default: {},
      history: { type: 'string', enum: ['auto', 'changes', 'all', 'off'] },
      recorded: { type: 'string', description: 'What is recorded, and why.' },
      version: { type: 'string' },
      ...described,
      ...figures,
    },
    ['type', 'columns', ...Object.keys(figures)],
  ),
  Entity: object({ name: { type: 'string' }, key: { type: 'object', additionalProperties: { type: 'string' } }, ...described }),
  Source: object({
    name: { type: 'string' },
    timestamp: nullable('string'),
    delay_ms: nullable('number'),
    available: nullable('string'),
    until: nullable('string'),
    id: nullable('string'),
    timezone: { type: 'string' },
    static: { type: 'boolean' },
    ...described,
  }),
  FeatureSet: object({ name: { type: 'string' }, features: list({ type: 'string' }), ...described }),
}

export const featuresDoc: RouteDocs = {
  operationId: 'listFeatures',
  summary: 'All features.',
  parameters: [query('statistics', '`1h`, `24h`, `7d` or `30d`: with state, reason and figures of reads of each.')],
  responses: {
    200: ok(
      'All features.',
      object({ features: list(ref('Feature')), coverage: ref('Coverage'), now: { type: 'string', format: 'date-time' } }, [
        'coverage',
        'now',
      ]),
    ),
    ...failures(['422', 'A parameter is wrong.']),
  },
}
export const entitiesDoc = catalogueDoc('listEntities', 'All entities.', 'entities', 'Entity')
export const sourcesDoc = catalogueDoc('listSources', 'All sources.', 'sources', 'Source')
export const featureSetsDoc = catalogueDoc('listFeatureSets', 'All feature sets.', 'feature_sets', 'FeatureSet')

function catalogueDoc(operationId: string, summary: string, field: string, schema: string): RouteDocs {
  return { operationId, summary, responses: { 200: ok(summary, object({ [field]: list(ref(schema)) })) } }
}
