/** Finds what definitions import on the laptop and would not find in the image. */
import { existsSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative } from 'node:path'
import type { ProjectEntries } from '../../deploy/platform.ts'

/** An import that would fail. Paths are relative to the project, for people. */
export interface Stray {
  readonly file: string
  readonly message: string
  readonly hint: string
}

interface Project {
  /** Absolute. */
  readonly folder: string
  readonly entries: ProjectEntries
}

const SCRIPT = /\.([mc]?[jt]s|[jt]sx)$/

/** @param definitions Absolute paths. */
export function strayImports(definitions: readonly string[], project: Project): readonly Stray[] {
  const packages = packagesIn(project.folder)
  const seen = new Set<string>()
  const visit = (file: string): Stray[] => {
    if (seen.has(file) || !SCRIPT.test(file)) return []
    seen.add(file)
    return importsOf(file).flatMap((specifier) => {
      const target = resolved(specifier, file)
      // What is not found here either is a problem of the definitions: loading them tells it better.
      if (target === null) return []
      const from = relative(project.folder, file)
      if (target.includes('/node_modules/')) {
        const name = packageName(specifier)
        return packages.has(name) ? [] : [undeclared(from, name)]
      }
      return isInImage(target, project) ? visit(target) : [outside(from, specifier, project.folder)]
    })
  }
  return definitions.flatMap(visit)
}

function undeclared(file: string, name: string): Stray {
  return {
    file,
    message: `${file} imports "${name}", which package.json does not name: the image would not have it.`,
    hint: `Name it: npm install ${name}`,
  }
}

function outside(file: string, specifier: string, folder: string): Stray {
  return {
    file,
    message: `${file} imports "${specifier}", which is not among the files of ${folder} that go into the image.`,
    hint: 'Run the command in a folder that holds both, and name the definitions: fabra deploy … -f path/to/features.ts',
  }
}

function isInImage(path: string, { folder, entries }: Project): boolean {
  const parts = relative(folder, path).split('/')
  const [first = ''] = parts
  return parts.length === 1 ? entries.files.includes(first) : entries.folders.includes(first)
}

function importsOf(file: string): string[] {
  try {
    const loader = /x$/.test(file) ? 'tsx' : 'ts'
    return new Bun.Transpiler({ loader }).scanImports(readFileSync(file, 'utf8')).map((found) => found.path)
  } catch {
    // A broken file: loading it says where.
    return []
  }
}

/** @returns the file; null for what the executable brings along, and for what is not found. */
function resolved(specifier: string, file: string): string | null {
  if (specifier === 'fabra' || specifier === 'bun' || specifier.startsWith('bun:') || isBuiltin(specifier)) return null
  try {
    return Bun.resolveSync(specifier, dirname(file))
  } catch {
    return null
  }
}

/** What a package manager installs for production. */
function packagesIn(folder: string): ReadonlySet<string> {
  const path = join(folder, 'package.json')
  if (!existsSync(path)) return new Set()
  const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(readFileSync(path, 'utf8')) as Record<
    string,
    object | undefined
  >
  return new Set([dependencies, optionalDependencies, peerDependencies].flatMap((kind) => Object.keys(kind ?? {})))
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
