import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TrainingEngine } from '../../ports/training-engine.ts'
import type { TrainingStore } from '../../ports/training-store.ts'
import type { Database } from '../connection/database.ts'
import { clearTrainingFolders, makeTrainingFolder } from './folders.ts'
import { localHistory, localSources } from './local-stores.ts'
import { type RemoteTuning, remoteHistory, remoteSources } from './remote-stores.ts'
import { createTrainingState } from './resume/input-digest.ts'
import { createKeptFiles, type KeptFiles } from './resume/kept-files.ts'
import { DuckdbTrainingWorkspace, type TrainingAccess } from './workspace.ts'

export interface LocalTuning {
  /** Default: in the data folder. */
  readonly parts?: KeptFiles
  /** As of `localHistory`. */
  readonly pairsPerRow?: number | undefined
  /** As of `KeptFilesOptions`. */
  readonly keepAfterMs?: number
  /** As of `TrainingAccess`. */
  readonly memory?: number | undefined
}

/**
 * Training sets on the laptop's engine: its folders lie where that engine may read and write files, and nowhere else.
 */
export function createDuckdbTrainingStore(database: Database, tuning: LocalTuning = {}): TrainingStore {
  const { parts = createLocalKeptFiles(database), pairsPerRow, keepAfterMs, memory } = tuning
  return createTrainingStore({
    sources: localSources(database),
    history: localHistory(database, pairsPerRow),
    folder: database.loadDir,
    kept: { parts, state: createTrainingState(database), keepAfterMs },
    memory,
  })
}

/** What interrupted sets leave in the data folder. */
export function createLocalKeptFiles(database: Database): KeptFiles {
  return createKeptFiles(join(dirname(database.loadDir), 'training'))
}

/** Training sets of what is on another machine. Their folders are temporary ones of this machine. */
export function createRemoteTrainingStore(
  engine: TrainingEngine,
  tuning: RemoteTuning & { readonly memory?: number | undefined } = {},
): TrainingStore {
  return createTrainingStore({
    sources: remoteSources(engine),
    history: remoteHistory(engine, tuning),
    folder: tmpdir(),
    kept: null,
    memory: tuning.memory,
  })
}

/** Sources of another machine, history of this one. */
export function createMixedTrainingStore(engine: TrainingEngine, database: Database, memory?: number): TrainingStore {
  return createTrainingStore({
    sources: remoteSources(engine),
    history: localHistory(database),
    folder: database.loadDir,
    kept: null,
    memory,
  })
}

function createTrainingStore(access: TrainingAccess): TrainingStore {
  void clearTrainingFolders(access.folder)
  return {
    async open() {
      await clearTrainingFolders(access.folder)
      const folder = await makeTrainingFolder(access.folder)
      try {
        return await DuckdbTrainingWorkspace.open(access, folder)
      } catch (error) {
        await rm(folder, { recursive: true, force: true })
        throw error
      }
    },
  }
}
