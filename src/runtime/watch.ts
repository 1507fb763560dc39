import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'
import { maybeData } from '../store/ports/source-file-list.ts'

/** Editors save in several steps; what comes within this time is one change. */
const SETTLE_MS = 100

export interface FileWatch {
  /** Watch these files from now on, and no others. @param folders Whatever changes in them is told of, too. */
  follow(files: readonly string[], folders?: readonly string[]): void
  stop(): void
}

/**
 * Tells of changes to files, also when they are replaced by a rename or do not exist yet: their folders are what is watched.
 * @param onChange Never called twice at once; changes during a call are told of after it.
 */
export function watchFiles(onChange: () => Promise<void>): FileWatch {
  const folders = new Map<string, FSWatcher>()
  let followed = new Set<string>()
  let whole = new Set<string>()
  let wanted = new Set<string>()
  let followedBefore = false
  let timer: Timer | undefined
  let busy = false
  let again = false

  function changed(): void {
    clearTimeout(timer)
    timer = setTimeout(run, SETTLE_MS)
  }

  async function run(): Promise<void> {
    if (busy) {
      again = true
      return
    }
    busy = true
    try {
      await onChange()
    } finally {
      busy = false
      if (again) {
        again = false
        changed()
      }
    }
  }

  /** A folder that was put in the place of another is not the one that is watched. */
  function retake(folder: string): void {
    folders.get(folder)?.close()
    folders.delete(folder)
    take(folder)
    changed()
  }

  function take(folder: string): void {
    try {
      folders.set(folder, watchFolder(folder))
    } catch {
      // A folder that is gone is looked for again at the next change elsewhere.
    }
  }

  function watchFolder(folder: string): FSWatcher {
    const watcher = watch(folder, (_, name) => {
      if (name !== null && wanted.has(`${folder}/${name}`)) retake(`${folder}/${name}`)
      if (name === null || followed.has(`${folder}/${name}`) || (whole.has(folder) && maybeData(name))) changed()
    })
    watcher.on('error', () => watcher.close())
    return watcher
  }

  return {
    follow(files, wholeFolders = []) {
      followed = new Set(files)
      // What came into a new folder before it is watched is seen only by looking again.
      if (followedBefore && wholeFolders.some((folder) => !whole.has(folder))) changed()
      followedBefore = true
      whole = new Set(wholeFolders)
      wanted = new Set([...files.map((file) => dirname(file)), ...wholeFolders])
      for (const [folder, watcher] of folders) {
        if (wanted.has(folder)) continue
        watcher.close()
        folders.delete(folder)
      }
      for (const folder of wanted) {
        if (!folders.has(folder)) take(folder)
      }
    },
    stop() {
      clearTimeout(timer)
      for (const watcher of folders.values()) watcher.close()
      folders.clear()
    },
  }
}
