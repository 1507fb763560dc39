import { declaredType } from '../../definition/declared-type.ts'
import { recordedWords } from '../../definition/history-sample.ts'
import type { Described, Entity, Feature, FeatureSet, Source } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import { queryOf } from '../address.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { coverageOf } from '../insight/figures-json.ts'
import { entitiesDoc, featureSetsDoc, featuresDoc, sourcesDoc } from '../openapi/catalogue.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters } from '../query.ts'
import type { Call, Route } from '../route.ts'
import { refreshText } from '../value-json.ts'
import { figuresOfAll } from './statistics.ts'

/** The catalogue: what is defined, in the order of definition. Paths and SQL stay inside. */
export function catalogueRoutes(options: HttpOptions): readonly Route[] {
  const registry = () => options.serving().registry
  return [
    {
      method: 'GET',
      path: '/v1/features',
      scope: 'read',
      confinable: true,
      docs: featuresDoc,
      answer: (call) => features(options, call),
    },
    {
      method: 'GET',
      path: '/v1/entities',
      scope: 'read',
      confinable: true,
      docs: entitiesDoc,
      answer: () => json({ entities: [...registry().entities.values()].map(entityJson) }),
    },
    {
      method: 'GET',
      path: '/v1/sources',
      scope: 'read',
      docs: sourcesDoc,
      answer: () => json({ sources: [...registry().sources.values()].map(sourceJson) }),
    },
    {
      method: 'GET',
      path: '/v1/feature-sets',
      scope: 'read',
      confinable: true,
      docs: featureSetsDoc,
      answer: () => json({ feature_sets: [...registry().featureSets.values()].map(featureSetJson) }),
    },
  ]
}

/** Figures are told to those who ask for them: they take longer than the definitions. */
async function features(options: HttpOptions, call: Call): Promise<Response> {
  const query = knownParameters(queryOf(call.request), ['statistics'])
  const window = query.get('statistics')
  const all = [...options.serving().registry.features.values()]
  if (window === null) return json({ features: all.map(featureJson) })
  const figures = await figuresOfAll(options, window, call.tellsText)
  return json({
    features: all.map((feature) => ({ ...featureJson(feature), ...figures.get(feature.name) })),
    coverage: coverageOf(options.insight),
    now: formatTime(options.clock.now()),
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
      ? { type: feature.columns[0] ? declaredType(feature.columns[0]) : null }
      : { columns: Object.fromEntries(feature.columns.map((column) => [column.name, declaredType(column)])) }),
    refresh: refreshText(feature),
    max_staleness_ms: milliseconds(feature.maxStaleness),
    look_back_ms: milliseconds(feature.lookBack),
    inputs: feature.inputs,
    default: defaultJson(feature, single),
    history: feature.history,
    recorded: recordedWords(feature),
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
