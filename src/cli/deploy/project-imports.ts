/** What a file of code imports: other files, and packages that are installed. */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, extname, join, resolve } from 'node:path'

export interface Imported {
  /** As written. */
  readonly specifier: string
  /** Absolute; a link is not followed, for where it leads is not where it is looked for. */
  readonly path: string
  /** The package's name, where it is one. */
  readonly package: string | null
}

const SCRIPT = /\.([mc]?[jt]s|[jt]sx)$/

export function isScript(path: string): boolean {
  return SCRIPT.test(path)
}

/** Without what the executable brings along, and what is not found: loading the definitions tells of that better. */
export function importsOf(file: string): Imported[] {
  return specifiersIn(file).flatMap((specifier) => {
    const path = resolved(specifier, file)
    if (path === null) return []
    return [{ specifier, path, package: path.includes('/node_modules/') ? packageName(specifier) : null }]
  })
}

/** What a package manager installs for production. */
export function packagesIn(folder: string): ReadonlySet<string> {
  const path = join(folder, 'package.json')
  if (!existsSync(path)) return new Set()
  const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(readFileSync(path, 'utf8')) as Record<
    string,
    object | undefined
  >
  return new Set([dependencies, optionalDependencies, peerDependencies].flatMap((kind) => Object.keys(kind ?? {})))
}

function specifiersIn(file: string): string[] {
  try {
    const loader = /x$/.test(file) ? 'tsx' : 'ts'
    return new Bun.Transpiler({ loader }).scanImports(readFileSync(file, 'utf8')).map((found) => found.path)
  } catch {
    // A broken file: loading it says where.
    return []
  }
}

function resolved(specifier: string, file: string): string | null {
  if (specifier === 'fabra' || specifier === 'bun' || specifier.startsWith('bun:') || isBuiltin(specifier)) return null
  try {
    const found = Bun.resolveSync(specifier, dirname(file))
    return specifier.startsWith('.') ? asWritten(resolve(dirname(file), specifier), found) : found
  } catch {
    return null
  }
}

/** The path that leads to the same file without following links. */
function asWritten(path: string, found: string): string {
  const end = extname(found)
  const candidates = [path, `${path}${end}`, join(path, `index${end}`), path.replace(/\.([mc]?)js(x?)$/, '.$1ts$2')]
  return candidates.find((candidate) => realPath(candidate) === found) ?? found
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path)
  } catch {
    return null
  }
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
