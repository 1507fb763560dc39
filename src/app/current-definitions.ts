import type { Registry } from '../definition/model.ts'
import type { LoadedDefinitions } from '../runtime/runtime.ts'
import { checkedDefinitions } from './checked-definitions.ts'
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
}

export interface DefinitionsHelpers {
  /** Brings latest values back from history; null: nobody will ask for them. */
  readonly recovery: Pick<StartRecovery, 'begin'> | null
  readonly recordedKeys: Pick<RecordedKeys, 'resolve'>
}

/** @throws InvalidDefinitions */
export async function openCurrentDefinitions(
  dependencies: LiveDefinitionsDependencies,
  loaded: LoadedDefinitions,
  { recovery, recordedKeys }: DefinitionsHelpers,
): Promise<CurrentDefinitions> {
  let good = loaded.files
  let files = good
  let live = await take(loaded, undefined)

  /** Checks loaded definitions and puts them into use, or leaves everything as it is. */
  async function take(next: LoadedDefinitions, before: LiveDefinitions | undefined): Promise<LiveDefinitions> {
    try {
      const definitions = await recordedKeys.resolve(
        await checkedDefinitions(next, dependencies.sourceEngine, dependencies.rowsKeep ?? null),
      )
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

  return {
    live: () => live,
    registry: () => live.serving.registry,
    files: () => files,
    async reload() {
      const next = await dependencies.runtime.load()
      files = [...new Set([...next.files, ...good])]
      live = await take(next, live)
      good = next.files
      files = good
    },
  }
}
