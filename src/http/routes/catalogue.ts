import type { Elysia } from 'elysia'
import type { Described, Entity, Feature, FeatureSet, Source } from '../../definition/model.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { entitiesDoc, featureSetsDoc, featuresDoc, sourcesDoc } from '../openapi-docs.ts'
import type { HttpOptions } from '../server.ts'
import { refreshText } from './features.ts'

/** The catalogue: what is defined, in the order of definition. Paths and SQL stay inside. */
export function catalogueRoutes(app: Elysia, options: HttpOptions): void {
  const registry = () => options.serving().registry
  app.get('/v1/features', () => json({ features: [...registry().features.values()].map(featureJson) }), { detail: featuresDoc })
  app.get('/v1/entities', () => json({ entities: [...registry().entities.values()].map(entityJson) }), { detail: entitiesDoc })
  app.get('/v1/sources', () => json({ sources: [...registry().sources.values()].map(sourceJson) }), { detail: sourcesDoc })
  app.get('/v1/feature-sets', () => json({ feature_sets: [...registry().featureSets.values()].map(featureSetJson) }), {
    detail: featureSetsDoc,
  })
}

function json(body: unknown): Response {
  return new Response(`${JSON.stringify(body)}\n`, { headers: JSON_HEADERS })
}

function describedJson(described: Described): object {
  return { description: described.description, owner: described.owner, tags: described.tags }
}

function featureJson(feature: Feature): object {
  const single = feature.columns.length === 1 && feature.columns[0]?.name === null
  return {
    name: feature.name,
    entity: feature.entity,
    kind: feature.computation.kind,
    ...(single
      ? { type: feature.columns[0]?.type ?? null }
      : { columns: Object.fromEntries(feature.columns.map((column) => [column.name, column.type])) }),
    refresh: refreshText(feature),
    max_staleness_ms: milliseconds(feature.maxStaleness),
    look_back_ms: milliseconds(feature.lookBack),
    inputs: feature.inputs,
    default: defaultJson(feature, single),
    history: feature.history,
    version: feature.fingerprint,
    ...describedJson(feature),
  }
}

function defaultJson(feature: Feature, single: boolean): unknown {
  if (!feature.defaults) return null
  const values = feature.defaults.map((text) => JSON.parse(text))
  return single ? values[0] : Object.fromEntries(feature.columns.map((column, i) => [column.name, values[i]]))
}

function entityJson(entity: Entity): object {
  return { name: entity.name, key: Object.fromEntries(entity.key.map((column) => [column.name, column.type])), ...describedJson(entity) }
}

function sourceJson(source: Source): object {
  return {
    name: source.name,
    timestamp: source.timestamp,
    delay_ms: milliseconds(source.delay),
    available: source.available,
    until: source.until,
    id: source.id,
    timezone: source.timezone,
    static: source.static,
    ...describedJson(source),
  }
}

function featureSetJson(set: FeatureSet): object {
  return { name: set.name, features: set.features, ...describedJson(set) }
}

function milliseconds(micros: number | null): number | null {
  return micros === null ? null : micros / 1000
}
