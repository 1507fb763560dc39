import { readdirSync } from 'node:fs'
import { basename, dirname, extname, isAbsolute, join, resolve } from 'node:path'
import type { Problem, SourceLocation } from '../definition/model.ts'
import { FabraError, suggest } from '../errors.ts'
import { isPackagePath, type LocalModule, loaderOf, readModules } from './module-graph.ts'

/** What Bun throws for text that does not parse. Its own `line` and `column` count from 0, those in `position` from 1. */
interface BuildFailure {
  readonly name: 'BuildMessage' | 'ResolveMessage'
  readonly message: string
  readonly specifier?: string
  readonly referrer?: string
  readonly position?: { readonly file: string; readonly line: number; readonly column: number } | null
}

/** Everything that can go wrong while a file is imported, said with its place and what to do. */
export function loadProblems(error: unknown, file: string, fabraExports: readonly string[]): Problem[] {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return firstPerLine(error.errors.flatMap((inner) => loadProblems(inner, file, fabraExports)))
  }
  if (isBuildFailure(error)) return error.name === 'ResolveMessage' ? unresolvedImports(error, file) : [syntax(error, file)]
  if (error instanceof Error) {
    const named = /^Export named '(.+?)' not found in module '(.+)'/.exec(error.message)
    if (named) return [missingExport(named[1] ?? '', named[2] ?? '', file, fabraExports)]
    const missingDefault = /^Missing 'default' export in module '(.+)'/.exec(error.message)
    if (missingDefault) return [missingExport('default', missingDefault[1] ?? '', file, fabraExports)]
    const lost = /^Cannot find (?:module|package) ["'](.+?)["'](?: from ["'](.+?)["'])?/.exec(error.message)
    if (lost) {
      const referrer = lost[2] === undefined ? {} : { referrer: lost[2] }
      return unresolvedImports({ name: 'ResolveMessage', message: error.message, specifier: lost[1] ?? '', ...referrer }, file)
    }
  }
  return [thrown(error, file)]
}

/** One slip makes the parser stumble several times; the first time is the one that helps. */
function firstPerLine(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>()
  return problems.filter(({ location }) => {
    const line = `${location?.file}:${location?.line}`
    return !seen.has(line) && seen.add(line)
  })
}

export function missingFile(file: string): Problem {
  const folder = dirname(file)
  const others = listFolder(folder)
  const close = others?.filter((name) => /\.(?:[cm]?[jt]s|[jt]sx|py)$/.test(name)) ?? []
  return {
    location: null,
    subject: `file ${JSON.stringify(basename(file))}`,
    message: others === undefined ? `the folder ${folder} does not exist.` : `it does not exist in ${folder}.`,
    hint:
      close.length > 0
        ? suggest(basename(file), close)
        : 'Run "fabra init" to start a project, or name the file that defines your features.',
  }
}

export function fileProblem(file: string, message: string, hint: string): Problem {
  return { location: { file, line: 1, column: 1 }, subject: subjectOf(file), message, hint }
}

/** First place in the user's own files that a stack names. */
export function locationFromStack(stack: string | undefined, known: (path: string) => boolean): SourceLocation | null {
  for (const match of (stack ?? '').matchAll(/(?:\(|at (?:async )?|@)((?:\/|[A-Za-z]:[\\/])[^()\n]*?):(\d+):(\d+)\)?/g)) {
    const path = match[1] ?? ''
    if (known(path)) return { file: path, line: Number(match[2]), column: Number(match[3]) }
  }
  return null
}

function subjectOf(file: string): string {
  return `file ${JSON.stringify(basename(file))}`
}

function isBuildFailure(error: unknown): error is BuildFailure {
  if (typeof error !== 'object' || error === null) return false
  const name = (error as { name?: unknown }).name
  return name === 'BuildMessage' || name === 'ResolveMessage'
}

function syntax(error: BuildFailure, file: string): Problem {
  const at = error.position
  const location: SourceLocation = at
    ? { file: at.file || file, line: at.line, column: Math.max(1, at.column) }
    : { file, line: 1, column: 1 }
  return {
    location,
    subject: subjectOf(location.file),
    message: `the file cannot be read as code: ${error.message}.`.replace(/\.\.$/, '.'),
    hint: 'Correct the syntax there.',
  }
}

/** Bun stops at the first import that leads nowhere; the author wants to hear of all. */
function unresolvedImports(error: BuildFailure, file: string): Problem[] {
  const modules = readModules([file])
  const all = [...modules.values()].flatMap((module) => module.unresolved.map((specifier) => ({ specifier, importer: module.path })))
  if (all.length === 0) {
    const importer = [error.referrer, error.position?.file].find((path) => path !== undefined && isAbsolute(path)) ?? file
    all.push({ specifier: error.specifier ?? /["'](.+?)["']/.exec(error.message)?.[1] ?? '', importer })
  }
  return all.map(({ specifier, importer }) => {
    const location = locationOfText([importer], modules, importOf(specifier)) ?? { file: importer, line: 1, column: 1 }
    return unresolved(specifier, location, file)
  })
}

function unresolved(specifier: string, location: SourceLocation, file: string): Problem {
  const subject = subjectOf(location.file)
  if (specifier.startsWith('.') || isAbsolute(specifier)) {
    const target = resolve(dirname(location.file), specifier)
    const names = listFolder(dirname(target))
    const wanted = basename(target)
    // What nobody means to import, such as .git and the data, would only stand in the way of the hint.
    const importable = names?.filter(
      (name) => /^[^.].*\.(?:[cm]?[jt]s|[jt]sx|json)$/.test(name) && join(dirname(target), name) !== location.file,
    )
    const near = importable?.map((name) => (extname(wanted) === '' ? name.replace(/\.[^.]+$/, '') : name)) ?? []
    return {
      location,
      subject,
      message: `it imports ${JSON.stringify(specifier)}, and there is no such file.`,
      hint:
        names === undefined
          ? `The folder ${dirname(target)} does not exist.`
          : near.length === 0
            ? 'Correct the path; it is relative to the file that imports.'
            : nearestFile(specifier, wanted, near),
    }
  }
  const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : (specifier.split('/')[0] ?? specifier)
  if (specifier.startsWith('fabra/')) {
    return {
      location,
      subject,
      message: `it imports ${JSON.stringify(specifier)}, which Fabra does not have.`,
      hint: 'Import everything from "fabra".',
    }
  }
  return {
    location,
    subject,
    message: `it imports the package ${JSON.stringify(name)}, which is not installed.`,
    hint: `Run "npm install ${name}" (or "bun add ${name}") in ${dirname(file)}.`,
  }
}

function nearestFile(specifier: string, wanted: string, names: readonly string[]): string {
  const found = suggest(wanted, names)
  const close = /^Did you mean "(.+)"\?$/.exec(found)?.[1]
  return close === undefined ? found : `Did you mean "${join(dirname(specifier), close).replace(/^(?!\.\.?\/)/, './')}"?`
}

function missingExport(name: string, module: string, file: string, fabraExports: readonly string[]): Problem {
  const modules = readModules([file])
  const specifierOf = (importer: LocalModule) => {
    if (module === 'fabra' || module.startsWith('fabra:')) return ['fabra']
    return [...importer.imports].filter(([, path]) => path === module).map(([specifier]) => specifier)
  }
  let location: SourceLocation = { file, line: 1, column: 1 }
  for (const importer of modules.values()) {
    const specifiers = [...specifierOf(importer), ...(isPackagePath(module) ? packageNames(module) : [])]
    const found = specifiers
      .map((specifier) => locationOfText([importer.path], modules, importOf(specifier, name)))
      .find((at) => at !== undefined)
    if (found) location = found
    if (found) break
  }
  const fromFabra = module === 'fabra' || module.startsWith('fabra:')
  const known = fromFabra ? fabraExports : exportsOf(modules.get(module))
  return {
    location,
    subject: subjectOf(location.file),
    message: `it imports ${JSON.stringify(name)} from ${JSON.stringify(fromFabra ? 'fabra' : basename(module))}, which has no such export.`,
    hint: known.length > 0 ? suggest(name, known) : `Look at what ${basename(module)} exports.`,
  }
}

function packageNames(path: string): string[] {
  const rest = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length).split('/')
  return [(rest[0] ?? '').startsWith('@') ? `${rest[0]}/${rest[1]}` : (rest[0] ?? '')]
}

function exportsOf(module: LocalModule | undefined): string[] {
  if (module === undefined) return []
  try {
    return new Bun.Transpiler({ loader: loaderOf(module.path) }).scan(module.text).exports
  } catch {
    return []
  }
}

/** The statement that imports `specifier`, and in it `name` if given. */
function importOf(specifier: string, name?: string): RegExp {
  const from = `["']${RegExp.escape(specifier)}["']`
  if (name === undefined || name === 'default') return new RegExp(from)
  return new RegExp(`\\b${RegExp.escape(name)}\\b(?=[^;"']*\\bfrom\\s*${from})`)
}

function locationOfText(paths: readonly string[], modules: ReadonlyMap<string, LocalModule>, pattern: RegExp): SourceLocation | undefined {
  for (const path of paths) {
    const text = modules.get(path)?.text
    const index = text === undefined ? -1 : text.search(pattern)
    if (text === undefined || index < 0) continue
    const before = text.slice(0, index)
    return { file: path, line: before.split('\n').length, column: index - before.lastIndexOf('\n') }
  }
  return undefined
}

function thrown(error: unknown, file: string): Problem {
  const modules = readModules([file])
  const stack = error instanceof Error ? error.stack : undefined
  const location = locationFromStack(stack, (path) => modules.has(path)) ?? { file, line: 1, column: 1 }
  if (error instanceof FabraError)
    return { location, subject: subjectOf(location.file), message: error.message, hint: error.hint ?? 'Correct it there.' }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : Bun.inspect(error)
  return {
    location,
    subject: subjectOf(location.file),
    message: `its top-level code threw ${what}`,
    hint: 'Code outside functions runs once when the file is loaded; it must not fail.',
  }
}

function listFolder(folder: string): string[] | undefined {
  try {
    return readdirSync(folder)
  } catch {
    return undefined
  }
}
