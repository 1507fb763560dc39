import type { SourceLocation } from './model.ts'

/** Folder of our own sources; in the compiled executable a virtual one. */
const OWN_FOLDER = import.meta.dir.replace(/[\\/]definition$/, '')
const FRAME = /^\s*at (?:.*?\()?((?:file:\/\/)?(?:\/|[A-Za-z]:[\\/]).*?):(\d+):(\d+)\)?\s*$/

/**
 * Where the code stands that called into Fabra: the first frame of the stack that is an absolute path and not ours. In the compiled
 * executable our own frames have relative names; run from the sources they lie in our folder.
 */
export function callPlace(stack: string | undefined = new Error().stack): SourceLocation | null {
  for (const line of (stack ?? '').split('\n')) {
    const match = FRAME.exec(line)
    const file = match?.[1]?.replace(/^file:\/\//, '')
    if (!match || !file || isOurs(file)) continue
    return { file, line: Number(match[2]), column: Number(match[3]) }
  }
  return null
}

function isOurs(file: string): boolean {
  return file.startsWith(`${OWN_FOLDER}/`) || file.startsWith(`${OWN_FOLDER}\\`) || /[\\/](?:\$bunfs|~BUN)[\\/]/.test(file)
}

/** `/home/ada/features.ts:12`. */
export function formatPlace(location: SourceLocation): string {
  return `${location.file}:${location.line}`
}
