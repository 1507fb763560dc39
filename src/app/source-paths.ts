import type { Registry } from '../definition/model.ts'
import { foldersOf } from '../store/ports/source-file-list.ts'

/** What sources name: files, and patterns whose files are elsewhere. */
export function sourceFiles({ sources }: Registry): string[] {
  return [...sources.values()].flatMap(({ file }) => file ?? [])
}

/** Folders in which files of sources may appear. */
export function sourceFolders({ sources }: Registry): string[] {
  return [...sources.values()].flatMap(({ file }) => (file === null ? [] : foldersOf(file)))
}
