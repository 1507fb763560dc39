import type { Registry } from '../definition/model.ts'
import type { LoadedDefinitions } from '../runtime/runtime.ts'
import { checkedDefinitions } from './checked-definitions.ts'
import { createLiveDefinitions, type LiveDefinitions, type LiveDefinitionsDependencies } from './live-definitions.ts'
import { rewarm } from './online-recovery.ts'
import type { RecordedKeys } from './recorded-keys.ts'

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

/** @param options.cold Latest values are not brought back from history. @throws InvalidDefinitions */
export async function openCurrentDefinitions(
  dependencies: LiveDefinitionsDependencies,
  loaded: LoadedDefinitions,
  { cold, recordedKeys }: { readonly cold: boolean; readonly recordedKeys: Pick<RecordedKeys, 'resolve'> },
): Promise<CurrentDefinitions> {
  let good = loaded.files
  let files = good
  let live = await take(loaded, undefined)

  /** Checks loaded definitions and puts them into use, or leaves everything as it is. */
  async function take(next: LoadedDefinitions, before: LiveDefinitions | undefined): Promise<LiveDefinitions> {
    try {
      const definitions = await recordedKeys.resolve(await checkedDefinitions(next, dependencies.sourceEngine))
      const taken = createLiveDefinitions(dependencies, definitions)
      if (!cold) await rewarm(dependencies, definitions.registry, before?.serving.registry)
      next.activate()
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
