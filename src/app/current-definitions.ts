import type { Registry } from '../definition/model.ts'
import type { LoadedDefinitions } from '../runtime/runtime.ts'
import { checkedDefinitions, cronProblems } from './checked-definitions.ts'
import { createLateSources, type LateSources, LOADED } from './late-sources.ts'
import { createLiveDefinitions, type LiveDefinitions, type LiveDefinitionsDependencies } from './live-definitions.ts'
import { rewarm } from './online-recovery.ts'
import type { RecordedKeys } from './recorded-keys.ts'
import type { StartRecovery } from './start-recovery.ts'
import { tellOfMissingRows } from './whole-since.ts'

/** The definitions being served, until others are read from disk. */
export interface CurrentDefinitions {
  /** Another object after each reload. */
  live(): LiveDefinitions
  registry(): Registry
  /** Every file that the last attempt read, whatever came of it; after a failed one also what was read before: it may not have come that far. */
  files(): readonly string[]
  /** Takes the definitions as they stand on disk now. When they have problems the ones in use stay in use. @throws InvalidDefinitions */
  reload(): Promise<void>
  /** Of sources whose files are read behind what is served already. */
  readonly loading: Pick<LateSources, 'progress' | 'whole' | 'stop'>
}

export interface DefinitionsHelpers {
  /** Brings latest values back from history; null: nobody will ask for them. */
  readonly recovery: Pick<StartRecovery, 'begin'> | null
  readonly recordedKeys: Pick<RecordedKeys, 'resolve'>
  /** Files of sources may be read while others are answered already. Default false. */
  readonly loadsBehind?: boolean
}

/** @throws InvalidDefinitions */
export async function openCurrentDefinitions(
  dependencies: LiveDefinitionsDependencies,
  loaded: LoadedDefinitions,
  { recovery, recordedKeys, loadsBehind = false }: DefinitionsHelpers,
): Promise<CurrentDefinitions> {
  const { sourceEngine, rowsKeep = null, log } = dependencies
  let good = loaded.files
  let files = good
  const late =
    loadsBehind && recovery && (await mayLoadBehind(dependencies, loaded)) ? createLateSources(loaded.registry, sourceEngine, log) : null
  let live = late && recovery ? await takeEarly(late, recovery) : await take(loaded, undefined)

  async function checked(next: LoadedDefinitions, engine = sourceEngine) {
    return recordedKeys.resolve(await checkedDefinitions(next, engine, rowsKeep))
  }

  /** Checks loaded definitions and puts them into use, or leaves everything as it is. */
  async function take(next: LoadedDefinitions, before: LiveDefinitions | undefined): Promise<LiveDefinitions> {
    try {
      const definitions = await checked(next)
      const taken = createLiveDefinitions(dependencies, definitions)
      if (before) await rewarm(dependencies, definitions.registry, before.serving.registry)
      else await recovery?.begin(definitions.registry)
      next.activate()
      void tellOfMissingRows(dependencies, definitions)
      return taken
    } catch (error) {
      next.discard()
      throw error
    }
  }

  async function takeEarly({ definitions, executorOf }: LateSources, { begin }: Pick<StartRecovery, 'begin'>): Promise<LiveDefinitions> {
    try {
      const taken = createLiveDefinitions(dependencies, definitions, executorOf)
      await begin(loaded.registry)
      loaded.activate()
      return taken
    } catch (error) {
      loaded.discard()
      throw error
    }
  }

  async function takeWhole({ engine, done, failed }: LateSources): Promise<void> {
    try {
      const definitions = await checked(loaded, engine)
      live = createLiveDefinitions(dependencies, definitions)
      done(live)
      void tellOfMissingRows(dependencies, definitions)
    } catch (error) {
      failed(error)
    }
  }

  if (late) void takeWhole(late)
  return {
    live: () => live,
    registry: () => live.serving.registry,
    files: () => files,
    loading: late ?? LOADED,
    async reload() {
      const next = await dependencies.runtime.load()
      files = [...new Set([...next.files, ...good])]
      live = await take(next, live)
      good = next.files
      files = good
    },
  }
}

/**
 * Where there is no history yet nothing comes back from it that would have to be judged by checked definitions. What is known to be wrong already is
 * told together with what sources have to say.
 */
async function mayLoadBehind(
  { online, offline }: LiveDefinitionsDependencies,
  { registry, problems }: LoadedDefinitions,
): Promise<boolean> {
  if (online.isShared || problems.length > 0 || cronProblems(registry).length > 0) return false
  return [...registry.sources.values()].some(({ file }) => file !== null) && (await offline.lastSeq()) === 0
}
