/**
 * What handlers ask, as a key that may see some features only is shown it: as if nothing else were defined. Handlers need not know of it, so none
 * can forget it; a route that tells anything from elsewhere does not say `confinable`, and is closed to such keys.
 */
import type { Registry } from '../../definition/model.ts'
import type { RequestSamples } from '../../observability/request-samples.ts'
import type { Run } from '../../refresh/runs.ts'
import type { Engine } from '../../serving/engine.ts'
import type { RowResult } from '../../serving/row-result.ts'
import { confineServing, type Serving } from '../../serving/serving.ts'
import type { Allowance } from '../../store/ports/admin-store.ts'
import type { Insight } from '../insight/insight.ts'
import type { HttpOptions } from '../options.ts'
import { type Confined, confinedTraining, seesAll } from './confined-training.ts'
import { type ConfinedWords, confinedWords } from './confined-words.ts'

export function confinedOptions(options: HttpOptions, allowed: Allowance): HttpOptions {
  const confined = new WeakMap<Serving, Confined>()
  const current = (): Confined => {
    const whole = options.serving()
    const known = confined.get(whole)
    if (known) return known
    const registry = confinedRegistry(whole.registry, allowed)
    const words = confinedWords(whole.registry, registry)
    const made = { words, serving: confineServing({ ...whole, engine: confinedEngine(whole.engine, words) }, registry) }
    confined.set(whole, made)
    return made
  }
  const serving = () => current().serving
  const isSeen = (feature: string) => serving().registry.features.has(feature)
  return {
    ...options,
    serving,
    metrics: () => [],
    insight: confinedInsight(options.insight, current),
    runs: {
      async list({ limit, ...filter }) {
        if (filter.feature !== undefined && !isSeen(filter.feature)) return []
        const runs = await options.runs.list({ ...filter, limit: filter.feature === undefined ? MOST_RUNS : limit })
        const seen = runs.filter((run) => isSeen(run.feature)).slice(0, limit)
        return seen.map((run) => confinedRun(run, current().words))
      },
    },
    training: confinedTraining(options.training, current),
  }
}

function confinedEngine(engine: Engine, words: ConfinedWords): Engine {
  const confineErrors = (results: RowResult[]) => {
    for (const result of results) if (result.errors) result.errors = result.errors.map((error) => error && words.error(error))
    return results
  }
  return {
    read(plan, rows, options) {
      const results = engine.read(plan, rows, options)
      return results instanceof Promise ? results.then(confineErrors) : confineErrors(results)
    },
    idle: () => engine.idle(),
  }
}

export function confinedRun(run: Run, words: ConfinedWords): Run {
  const isTold = words.text(`${run.error ?? ''} ${run.fault?.detail ?? ''}`) !== null
  return isTold
    ? run
    : { ...run, error: 'What the feature is made of failed.', fault: run.fault && { ...run.fault, detail: null, place: null } }
}

/** Looked through for those of the features that are seen. */
const MOST_RUNS = 1_000

/** Sources are tables of everything, so none is seen. */
export function confinedRegistry(registry: Registry, allowed: Allowance): Registry {
  const isAllowed = (name: string, entity: string) =>
    (allowed.features === null || allowed.features.includes(name)) && (allowed.entities === null || allowed.entities.includes(entity))
  const features = new Map([...registry.features].filter(([name, { entity }]) => isAllowed(name, entity)))
  const entitiesSeen = new Set([...features.values()].map(({ entity }) => entity))
  return {
    features,
    entities: new Map([...registry.entities].filter(([name]) => entitiesSeen.has(name))),
    featureSets: new Map(
      [...registry.featureSets].filter(([, set]) => set.features.every((one) => features.has(one.split('.')[0] ?? one))),
    ),
    sources: new Map(),
  }
}

function confinedInsight(insight: Insight, current: () => Confined): Insight {
  const serving = () => current().serving
  return {
    ...insight,
    runs: {
      ...insight.runs,
      of(feature) {
        const found = insight.runs.of(feature)
        return { ...found, last: found.last && confinedRun(found.last, current().words) }
      },
    },
    // Of the rest only the parts are told that belong to a feature which is seen: a route that asks for more is not confinable.
    samples: confinedSamples(insight.samples, serving),
    rowsOfKey: async () => [],
    sourcesOf: () => [],
    sourceFacts: async () => new Map(),
    stores: async () => [],
    trainingSets: () => insight.trainingSets().filter(({ features }) => features.every(({ feature }) => seesAll(serving(), [feature]))),
  }
}

function confinedSamples(samples: RequestSamples, serving: () => Serving): RequestSamples {
  const confined = Object.create(samples) as RequestSamples
  confined.of = (entity, encoded, most) => samples.of(entity, encoded, most).filter(({ askedFor }) => seesAll(serving(), askedFor))
  return confined
}
