/** What the guests of all languages loaded, as one registry; and what each of their workers is told of it. */
import { buildFromGuests, type GuestRegistry, type OwnDefinitions } from '../definition/guest-registry.ts'
import type { Problem, Registry } from '../definition/model.ts'
import { isPython } from '../definition/python-words.ts'
import type { DefinedFunction, DefineFrame, LoadedFrame } from './frames.ts'
import { fileProblem } from './load-problem.ts'

export interface WorkerDefinitions {
  readonly frame: DefineFrame
  /** Feature → fingerprint. */
  readonly fingerprints: ReadonlyMap<string, string>
}

/** What the pool of one language needs to know. */
export interface PoolDefinitions extends WorkerDefinitions {
  /** Of a function of this pool; undefined for any other. */
  function(feature: string): DefinedFunction | undefined
  /** What a worker is told that loaded this, later than the first one: its files may have changed. */
  forWorker(loaded: LoadedFrame): WorkerDefinitions
}

export interface HostDefinitions {
  readonly registry: Registry
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  /** Every file on disk they were made from. */
  readonly files: readonly string[]
  /** One a guest, in the order given. */
  readonly pools: readonly PoolDefinitions[]
}

const NOTHING: Registry = { entities: new Map(), sources: new Map(), features: new Map(), featureSets: new Map() }

/** @param paths The files that were asked for. @param loads What the first worker of each language loaded. */
export function buildDefinitions(paths: readonly string[], loads: readonly LoadedFrame[]): HostDefinitions {
  const files = [...new Set(loads.flatMap((load) => load.files))]
  const warnings = loads.flatMap((load) => load.warnings ?? [])
  const failed = loads.flatMap((load) => load.problems)
  // Of files that did not load nothing is known: what others say of them would only be told to be missing.
  const isLost = loads.some((load) => load.problems.length > 0 && load.drafts.length === 0)
  const built = isLost ? empty(loads) : builtFrom(paths, loads)
  // A module of Python exports nothing by name, so that there is nothing else to say of one without definitions.
  const isEmpty = failed.length === 0 && loads.every((load) => (load.exported ?? null) === null && load.drafts.length === 0)
  const found = [...failed, ...built.problems]
  const definesNothing = isEmpty || (found.length === 0 && built.registry.features.size === 0)
  const problems = definesNothing ? paths.slice(0, 1).map(noFeature) : found
  return { registry: built.registry, problems, warnings, files, pools: loads.map((_, i) => poolDefinitions(loads, built, i)) }
}

function poolDefinitions(loads: readonly LoadedFrame[], built: GuestRegistry, i: number): PoolDefinitions {
  const own = workerDefinitions(built.registry, built.guests[i])
  const functions = new Map(own.frame.functions.map((one) => [one.feature, one]))
  return {
    ...own,
    function: (feature) => functions.get(feature),
    forWorker(loaded) {
      if (Bun.deepEquals(loaded.drafts, loads[i]?.drafts) && Bun.deepEquals(loaded.exported, loads[i]?.exported)) return own
      const again = loaded.problems.length > 0 ? empty(loads) : builtFrom([], loads.with(i, loaded))
      return workerDefinitions(again.registry, again.guests[i])
    },
  }
}

function workerDefinitions({ features, entities }: Registry, own: OwnDefinitions | undefined): WorkerDefinitions {
  const functions: DefinedFunction[] = []
  const fingerprints = new Map<string, string>()
  for (const [name, definition] of own?.functions ?? []) {
    const feature = features.get(name)
    if (feature === undefined) continue
    const { columns, inputs, batch, nan } = feature
    functions.push({ feature: name, definition, key: entities.get(feature.entity)?.key ?? [], columns, inputs, batch, nan })
    fingerprints.set(name, feature.fingerprint)
  }
  return { frame: { t: 'define', functions, names: own?.names ?? [] }, fingerprints }
}

/** A guest runs users' code, which may send what is no definition. */
function builtFrom(paths: readonly string[], loads: readonly LoadedFrame[]): GuestRegistry {
  try {
    return buildFromGuests(loads)
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    const hint = 'The file, or a package that it imports, speaks to the server by itself; that is what the package "fabra" is for.'
    const problems = paths.slice(0, 1).map((file) => fileProblem(file, `what was sent as its definitions cannot be read: ${said}.`, hint))
    return { ...empty(loads), problems }
  }
}

function empty(loads: readonly LoadedFrame[]): GuestRegistry {
  return { registry: NOTHING, problems: [], guests: loads.map(() => ({ functions: new Map(), names: [] })) }
}

function noFeature(file: string): Problem {
  if (isPython(file)) return fileProblem(file, 'it defines no feature.', 'Write @feature(entity=User, …) above a function.')
  return fileProblem(file, 'it exports no feature.', 'Export at least one: export const my_feature = feature({ entity: User, … }).')
}
