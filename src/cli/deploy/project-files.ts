/** Files of a project as they lie on disk. */
import { readdirSync, realpathSync, statSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { Glob } from 'bun'
import { neverGoesIn } from './kept-out.ts'

export interface ProjectFile {
  /** Relative to the project, with forward slashes. */
  readonly path: string
  readonly bytes: number
}

export interface WalkedProject {
  /** Hidden ones and installed packages are not gone into. */
  readonly files: readonly ProjectFile[]
  /** Folders with something in them that is not among the files. */
  readonly mixed: ReadonlySet<string>
}

/** More are not looked at: what they weigh is not worth the wait. */
const MOST_FILES = 200_000
/** What `fabra deploy` and `fabra setup` write. */
const WRITTEN =
  /^(Dockerfile|requirements\.txt|fly\.toml|render\.yaml|compose\.yaml|cloudformation\.yaml|task-definition\.json|service\.json|service\.yaml(\.gcloudignore)?|.+\.service|fabra-linux-.+)$/

/** @param path Relative to the project. */
export function isWritten(path: string): boolean {
  return WRITTEN.test(path)
}

/** @param apart A folder that stays out with all that is in it. */
export function walkProject(folder: string, apart: string): WalkedProject {
  const files: ProjectFile[] = []
  const mixed = new Set<string>()
  const waiting = ['']
  for (let location = waiting.pop(); location !== undefined; location = waiting.pop()) {
    for (const entry of entriesIn(join(folder, location))) {
      const path = location === '' ? entry.name : `${location}/${entry.name}`
      const isOut = neverGoesIn(entry.name) !== null || join(folder, path) === apart
      if (isOut || entry.isSymbolicLink() || files.length >= MOST_FILES) {
        for (let above = location; above !== ''; above = above.includes('/') ? above.slice(0, above.lastIndexOf('/')) : '') mixed.add(above)
      } else if (entry.isDirectory()) {
        if (!isOutput(join(folder, path))) waiting.push(path)
      } else if (entry.isFile() && !(location === '' && WRITTEN.test(entry.name))) {
        files.push({ path, bytes: statSync(join(folder, path), { throwIfNoEntry: false })?.size ?? 0 })
      }
    }
  }
  return { files, mixed }
}

/** The folder of an earlier `--output`, which holds all of this once more. */
function isOutput(folder: string): boolean {
  const names = entriesIn(folder).map((entry) => entry.name)
  return names.includes('Dockerfile') && names.some((name) => /^(fabra-linux-.+\.tar\.gz|\.dockerignore)$/.test(name))
}

function entriesIn(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    // What cannot be read cannot be copied either.
    return []
  }
}

/** Absolute; nothing hidden, no installed packages. */
export function filesBelow(folder: string): string[] {
  return entriesIn(folder).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (neverGoesIn(entry.name) !== null) return []
    if (entry.isDirectory()) return filesBelow(path)
    return isFile(path) ? [path] : []
  })
}

export function isPattern(path: string): boolean {
  return /[*?[{]/.test(path)
}

/** @param pattern Absolute. @returns absolute paths; nothing hidden, no installed packages. */
export function filesOfPattern(pattern: string): string[] {
  const parts = pattern.split('/')
  const first = parts.findIndex(isPattern)
  const base = parts.slice(0, first).join('/') || '/'
  if (first < 0 || !isFolder(base)) return []
  const found = new Glob(parts.slice(first).join('/')).scanSync({ cwd: base, onlyFiles: true, followSymlinks: true })
  return [...found]
    .filter((name) => name.split('/').every((part) => neverGoesIn(part) === null))
    .map((name) => join(base, name))
    .sort()
}

export function isFile(path: string): boolean {
  return kindOf(path)?.isFile() === true
}

export function isFolder(path: string): boolean {
  return kindOf(path)?.isDirectory() === true
}

function kindOf(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

/** Of a path with forward slashes, the outermost first. */
export function foldersAbove(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}

/** With forward slashes; null: elsewhere, or the folder itself. */
export function inside(folder: string, path: string): string | null {
  const found = relative(folder, path)
  return found === '' || found === '..' || found.startsWith('../') || isAbsolute(found) ? null : found.replaceAll('\\', '/')
}

export function realPath(path: string): string | null {
  try {
    return realpathSync(path)
  } catch {
    return null
  }
}
