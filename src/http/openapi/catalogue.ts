/** What /openapi.json says about the definitions being served. */
import type { RouteDocs } from '../route.ts'
import { type Json, list, nullable, object, ok, ref } from './schema.ts'

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
      history: { type: 'string', enum: ['changes', 'all', 'off'] },
      version: { type: 'string' },
      ...described,
    },
    ['type', 'columns'],
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

export const featuresDoc = catalogueDoc('listFeatures', 'All features.', 'features', 'Feature')
export const entitiesDoc = catalogueDoc('listEntities', 'All entities.', 'entities', 'Entity')
export const sourcesDoc = catalogueDoc('listSources', 'All sources.', 'sources', 'Source')
export const featureSetsDoc = catalogueDoc('listFeatureSets', 'All feature sets.', 'feature_sets', 'FeatureSet')

function catalogueDoc(operationId: string, summary: string, field: string, schema: string): RouteDocs {
  return { operationId, summary, responses: { 200: ok(summary, object({ [field]: list(ref(schema)) })) } }
}
