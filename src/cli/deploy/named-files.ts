/** Which files the texts in a file of code name. */
import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve, sep } from 'node:path'
import { type PathLiterals, pathLiterals } from './path-literals.ts'
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
export function namedFiles(file: string, project: string, imported: ReadonlySet<string>, literals = literalsIn(file)): NamedFiles {
  return new NameSearch(file, project, imported, literals).run()
}

function literalsIn(file: string): PathLiterals {
  return pathLiterals(codeOf(file))
}

class NameSearch {
  private readonly file: string
  private readonly project: string
  private readonly paths: readonly string[]
  private readonly patterns: readonly string[]
  private readonly roots: readonly string[]
  private readonly files = new Set<string>()
  private readonly foreign = new Set<string>()
  private readonly beside = new Set<string>()
  /** Perhaps the first of several words that are joined to a path. */
  private readonly parts = new Set<string>()

  constructor(file: string, project: string, imported: ReadonlySet<string>, { patterns, paths }: PathLiterals) {
    this.file = file
    this.project = project
    this.paths = paths.filter((text) => !imported.has(text))
    this.patterns = patterns
    this.roots = [...new Set([dirname(file), project])]
  }

  run(): NamedFiles {
    const { file, project, roots } = this
    for (const text of this.paths) {
      if (isAbsolute(text) && isFile(text) && inside(project, text) === null && !SYSTEM.test(text)) this.foreign.add(text)
      // '/model.json' may be added to the path of a folder.
      for (const root of roots) {
        for (const path of new Set([resolve(root, text), resolve(root, text.replace(/^\/+/, ''))])) this.look(text, path)
      }
    }
    for (const text of this.patterns) {
      // It begins with a folder's name: else it may be anything.
      if (!/[\w-]\//.test(text.replace(/[*?[{].*/, ''))) continue
      for (const root of roots) if (inside(project, resolve(root, text)) !== null) this.addAll(filesOfPattern(resolve(root, text)))
    }
    const folders: string[] = []
    for (const part of this.parts) if (!this.isJoined(part) && !file.startsWith(part + sep)) folders.push(part)
    const unused = folders.flatMap((part) => (filesBelow(part).length > 0 ? (inside(project, part) ?? []) : []))
    return { files: [...this.files], foreign: [...this.foreign], beside: [...this.beside], folders: unused }
  }

  private look(text: string, path: string): void {
    const isWithin = inside(this.project, path) !== null
    if (isFile(path)) {
      if (isWithin) this.files.add(path)
      else if (text.startsWith('../')) this.beside.add(path)
    } else if (isFolder(path) && (isWithin || path === this.project)) {
      // Two words, or a slash beside one, are a path.
      const isPath = isWithin && /[^./].*\/|\/.*[^./]/.test(text.replace(/^\/+/, ''))
      if (isPath && !this.file.startsWith(path + sep)) this.addAll(filesBelow(path))
      else if (!this.roots.includes(path)) this.parts.add(path)
    }
  }

  private addAll(found: readonly string[]): void {
    for (const path of found) this.files.add(path)
  }

  /** @returns whether other texts name something in the folder. */
  private isJoined(part: string): boolean {
    let isUsed = false
    for (const text of this.paths) {
      if (/^(\/|\.{1,2}(\/|$))/.test(text)) continue
      const path = resolve(part, text)
      if (path === part || inside(this.project, path) === null) continue
      if (isFile(path)) this.files.add(path)
      // The set grows while it is gone through: the words of a long path follow each other.
      else if (isFolder(path)) this.parts.add(path)
      else continue
      isUsed = true
    }
    for (const text of this.patterns) {
      const found = text.includes('/') || !/[\w-]/.test(text) ? [] : filesOfPattern(join(part, text))
      this.addAll(found)
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
