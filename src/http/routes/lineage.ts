/** GET /v1/lineage: from sources through features to sets, and to the keys that read them. */
import type { Feature, Registry } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import { queryOf } from '../address.ts'
import { type FeatureHealth, healthOfAll } from '../insight/feature-health.ts'
import { coverageOf } from '../insight/figures-json.ts'
import { type Insight, placeOf, type SourceFacts } from '../insight/insight.ts'
import { rateOf, WORST } from '../insight/overview.ts'
import { jsonResponse } from '../json-response.ts'
import { lineageDoc } from '../openapi/insight-pages.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters } from '../query.ts'
import type { Call, Route } from '../route.ts'
import type { FeatureNode, Lineage, LineageEdge, LineageNode, SetNode, SourceNode } from '../wire.ts'
import { wholeFeature } from './statistics.ts'

export function lineageRoutes(options: HttpOptions): readonly Route[] {
  return [{ method: 'GET', path: '/v1/lineage', scope: 'read', docs: lineageDoc, answer: (call) => lineage(options, call) }]
}

async function lineage(options: HttpOptions, call: Call): Promise<Response> {
  const { serving, insight, clock } = options
  const wanted = knownParameters(queryOf(call.request), ['feature']).get('feature')
  const feature = wanted === null ? null : wholeFeature(options, wanted)
  await insight.freshen()
  const sources = await insight.sourceFacts()
  const now = clock.now()
  const { registry, partsRead } = serving()
  const health = new Map(healthOfAll({ serving, insight, clock, tellsText: false }).map((one) => [one.feature.name, one]))
  const nodes: LineageNode[] = [
    ...[...registry.sources.keys()].map((name) => sourceNode(name, registry, sources.get(name), insight)),
    ...[...registry.features.values()].map((one) => featureNode(one, health.get(one.name), insight, now)),
    ...setNodes(registry, health, insight),
  ]
  const edges = [...sourceEdges(registry, insight), ...partEdges(registry, partsRead), ...setEdges(registry)]
  if (call.may('admin')) addReaders(nodes, edges, registry, insight)
  const kept = feature === null ? null : reachable(`feature:${feature.name}`, edges)
  const answer: Lineage = {
    now: formatTime(now),
    nodes: nodes.filter(({ id }) => kept === null || kept.has(id)),
    edges: edges.filter(({ from, to }) => kept === null || (kept.has(from) && kept.has(to))),
    coverage: coverageOf(insight),
  }
  return jsonResponse(answer)
}

function sourceNode(name: string, { sources }: Registry, facts: SourceFacts | undefined, { facts: about }: Insight): SourceNode {
  const time = (at: number | null | undefined) => (at === null || at === undefined ? null : formatTime(at))
  return {
    id: `source:${name}`,
    kind: 'source',
    name,
    rows: facts?.rows ?? null,
    newest_row_at: time(facts?.newestAt),
    loaded_at: time(facts?.loadedAt),
    place: placeOf(about, sources.get(name)?.location ?? null),
  }
}

function featureNode(feature: Feature, health: FeatureHealth | undefined, { facts }: Insight, now: number): FeatureNode {
  return {
    id: `feature:${feature.name}`,
    kind: 'feature',
    name: feature.name,
    entity: feature.entity,
    computation: feature.computation.kind,
    columns: feature.columns.map(({ name }) => (name === null ? feature.name : `${feature.name}.${name}`)),
    state: health?.state ?? 'missing',
    reads_per_second: health?.figures ? rateOf(health.figures, now) : null,
    place: placeOf(facts, feature.location),
  }
}

function setNodes({ featureSets }: Registry, health: ReadonlyMap<string, FeatureHealth>, insight: Insight): SetNode[] {
  const rates = targetRates(insight)
  return [...featureSets.values()].map(({ name, features, location }) => {
    const states = features.map((one) => health.get(featureOf(one))?.state ?? 'missing')
    return {
      id: `set:${name}`,
      kind: 'set',
      name,
      state: WORST.find((state) => states.includes(state)) ?? 'fresh',
      features: [...features],
      reads_per_second: insight.statistics ? (rates.get(name) ?? 0) : null,
      place: placeOf(insight.facts, location),
    }
  })
}

/** By what was asked for, of all callers; without keys there is one that has no name. */
function targetRates({ statistics }: Insight): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const { targets } of statistics?.callers.rates() ?? [])
    for (const [target, rate] of targets) sums.set(target, (sums.get(target) ?? 0) + rate)
  return sums
}

/** `spend.avg_30d` is a column of `spend`. */
function featureOf(name: string): string {
  return name.split('.')[0] ?? name
}

function sourceEdges({ features, sources }: Registry, insight: Insight): LineageEdge[] {
  return [...features.values()].flatMap((feature) =>
    (insight.sourcesOf(feature) ?? [])
      .filter((source) => sources.has(source))
      .map((source) => ({ from: `source:${source}`, to: `feature:${feature.name}`, reads_per_second: null })),
  )
}

/** Parts that are declared, and those that functions were seen to read. */
function partEdges({ features }: Registry, partsRead: ReadonlyMap<string, ReadonlySet<string>>): LineageEdge[] {
  return [...features.values()].flatMap(({ name, uses }) => {
    const parts = new Set([...uses.map(featureOf), ...(partsRead.get(name) ?? [])])
    return [...parts]
      .filter((part) => features.has(part))
      .map((part) => ({ from: `feature:${part}`, to: `feature:${name}`, reads_per_second: null }))
  })
}

function setEdges({ featureSets }: Registry): LineageEdge[] {
  return [...featureSets.values()].flatMap(({ name, features }) =>
    [...new Set(features.map(featureOf))].map((feature) => ({ from: `feature:${feature}`, to: `set:${name}`, reads_per_second: null })),
  )
}

function addReaders(nodes: LineageNode[], edges: LineageEdge[], registry: Registry, insight: Insight): void {
  for (const { name, requestsPerSecond, targets } of insight.statistics?.callers.rates() ?? []) {
    if (name === '') continue
    nodes.push({ id: `key:${name}`, kind: 'key', name, reads_per_second: requestsPerSecond })
    const read = new Map<string, number>()
    for (const [target, rate] of targets) {
      const from = registry.featureSets.has(target) ? `set:${target}` : `feature:${featureOf(target)}`
      if (nodes.some(({ id }) => id === from)) read.set(from, (read.get(from) ?? 0) + rate)
    }
    for (const [from, rate] of read) edges.push({ from, to: `key:${name}`, reads_per_second: rate })
  }
}

/** What leads to a node, and what follows from it. */
function reachable(start: string, edges: readonly LineageEdge[]): ReadonlySet<string> {
  return new Set([
    ...along(
      start,
      edges,
      ({ to }) => to,
      ({ from }) => from,
    ),
    ...along(
      start,
      edges,
      ({ from }) => from,
      ({ to }) => to,
    ),
  ])
}

type End = (edge: LineageEdge) => string

function along(start: string, edges: readonly LineageEdge[], near: End, far: End): ReadonlySet<string> {
  const found = new Set([start])
  for (const id of found) for (const edge of edges) if (near(edge) === id) found.add(far(edge))
  return found
}
