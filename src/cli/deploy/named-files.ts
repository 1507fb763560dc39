/** Which files the texts in a file of code name. */
import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve, sep } from 'node:path'
import { pathLiterals } from './path-literals.ts'
import { filesBelow, filesOfPattern, inside, isFile, isFolder } from './project-files.ts'

export interface NamedFiles {
  /** Absolute, below the project. */
  readonly files: readonly string[]
  /** Elsewhere on this machine, by their whole path. */
  readonly foreign: readonly string[]
  /** Elsewhere, by a path that leads out of the project. */
  readonly beside: readonly string[]
  /** Folders named by a word that may mean anything, of which no file is named. Relative to the project. */
  readonly folders: readonly string[]
}

/** Of the machine rather than of its user: an image has its own. */
const SYSTEM = /^\/(bin|boot|dev|etc|lib\w*|proc|run|sbin|sys|usr)\//

/**
 * Paths are looked for as the code would: from the folder of the code, and from that of the project, where the server runs.
 * @param imported Texts that are known to be imports.
 */
export function namedFiles(file: string, project: string, imported: ReadonlySet<string>): NamedFiles {
  const { patterns, ...literals } = pathLiterals(codeOf(file))
  const paths = literals.paths.filter((text) => !imported.has(text))
  const roots = [...new Set([dirname(file), project])]
  const files = new Set<string>()
  const foreign = new Set<string>()
  const beside = new Set<string>()
  /** Perhaps the first of several words that are joined to a path. */
  const parts = new Set<string>()

  for (const text of paths) {
    if (isAbsolute(text) && isFile(text) && inside(project, text) === null && !SYSTEM.test(text)) foreign.add(text)
    // '/model.json' may be added to the path of a folder.
    for (const root of roots) for (const path of new Set([resolve(root, text), resolve(root, text.replace(/^\/+/, ''))])) look(text, path)
  }
  for (const text of patterns) {
    // It begins with a folder's name: else it may be anything.
    if (!/[\w-]\//.test(text.replace(/[*?[{].*/, ''))) continue
    for (const root of roots) if (inside(project, resolve(root, text)) !== null) addAll(filesOfPattern(resolve(root, text)))
  }
  const folders: string[] = []
  for (const part of parts) if (!isJoined(part)) folders.push(part)
  const unused = folders.flatMap((part) => (filesBelow(part).length > 0 ? (inside(project, part) ?? []) : []))
  return { files: [...files], foreign: [...foreign], beside: [...beside], folders: unused }

  function look(text: string, path: string): void {
    const isWithin = inside(project, path) !== null
    if (isFile(path)) {
      if (isWithin) files.add(path)
      else if (text.startsWith('../')) beside.add(path)
    } else if (isFolder(path) && (isWithin || path === project)) {
      // Two words, or a slash beside one, are a path.
      if (isWithin && /[^./].*\/|\/.*[^./]/.test(text.replace(/^\/+/, '')) && !file.startsWith(path + sep)) addAll(filesBelow(path))
      else if (!roots.includes(path)) parts.add(path)
    }
  }

  function addAll(found: readonly string[]): void {
    for (const path of found) files.add(path)
  }

  /** @returns whether other texts name something in the folder, or the code itself lies there. */
  function isJoined(part: string): boolean {
    let isUsed = file.startsWith(part + sep)
    for (const text of paths) {
      if (/^(\/|\.{1,2}(\/|$))/.test(text)) continue
      const path = resolve(part, text)
      if (path === part || inside(project, path) === null) continue
      if (isFile(path)) files.add(path)
      // The set grows while it is gone through: the words of a long path follow each other.
      else if (isFolder(path)) parts.add(path)
      else continue
      isUsed = true
    }
    for (const text of patterns) {
      const found = text.includes('/') || !/[\w-]/.test(text) ? [] : filesOfPattern(join(part, text))
      addAll(found)
      isUsed ||= found.length > 0
    }
    return isUsed
  }
}

/** Without comments, which talk of files that no code reads, and without what is there for types alone. */
function codeOf(file: string): string {
  const text = readFileSync(file, 'utf8')
  try {
    const loader = /x$/.test(file) ? 'tsx' : 'ts'
    return new Bun.Transpiler({ loader, deadCodeElimination: false, inline: false }).transformSync(text)
  } catch {
    // A broken file: loading it says where.
    return text
  }
}
