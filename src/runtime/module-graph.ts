import { readFileSync } from 'node:fs'
import { dirname, extname, isAbsolute, sep } from 'node:path'

/** One of the user's own files, as it stands on disk. */
export interface LocalModule {
  readonly path: string
  readonly text: string
  /** Import specifier → absolute path, where that is one of the user's own files. */
  readonly imports: ReadonlyMap<string, string>
  /** Specifiers that lead nowhere. */
  readonly unresolved: readonly string[]
}

const SCRIPT = /\.(?:[cm]?[jt]s|[jt]sx)$/

/**
 * The user's own files that the given ones import, however far, themselves included. Found by reading, not by running, so it also
 * works for files that do not load. Packages (node_modules) are left out.
 */
export function readModules(files: readonly string[]): ReadonlyMap<string, LocalModule> {
  const modules = new Map<string, LocalModule>()
  const waiting = [...files]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (modules.has(path)) continue
    const text = readText(path)
    if (text === undefined) continue
    const imports = new Map<string, string>()
    const unresolved: string[] = []
    for (const specifier of SCRIPT.test(path) ? specifiers(path, text) : []) {
      const target = resolvePath(specifier, path)
      if (target === undefined) unresolved.push(specifier)
      else if (isAbsolute(target) && !isPackagePath(target)) imports.set(specifier, target)
    }
    modules.set(path, { path, text, imports, unresolved })
    waiting.push(...imports.values())
  }
  return modules
}

export function isPackagePath(path: string): boolean {
  return path.includes(`${sep}node_modules${sep}`)
}

export function loaderOf(path: string): 'ts' | 'tsx' | 'js' | 'jsx' {
  const extension = extname(path)
  if (extension === '.tsx' || extension === '.jsx') return extension === '.tsx' ? 'tsx' : 'jsx'
  return extension.endsWith('ts') ? 'ts' : 'js'
}

/** What a file imports, types aside. A file that does not parse is searched by eye for what looks like an import. */
function specifiers(path: string, text: string): string[] {
  try {
    return new Bun.Transpiler({ loader: loaderOf(path) }).scanImports(text).map((found) => found.path)
  } catch {
    return [...text.matchAll(/\b(?:from|import|require\()\s*["']([^"'\n]+)["']/g)].map((match) => match[1] ?? '')
  }
}

/** @returns undefined where it leads nowhere; the specifier itself for what is built in. */
function resolvePath(specifier: string, importer: string): string | undefined {
  if (specifier === 'fabra') return specifier
  try {
    return Bun.resolveSync(specifier, dirname(importer))
  } catch {
    return undefined
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
