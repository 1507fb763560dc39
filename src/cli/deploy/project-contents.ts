/**
 * Which files of a project go into an image: its definitions, what they import, the files of their sources, what their code names, and what was
 * asked for. Everything else stays out: data sets, models and notebooks lie beside definitions, and an image is no place for them.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { imageEntries } from './image-entries.ts'
import { type KeptOut, type KeptOutRules, keptOutRules } from './kept-out.ts'
import { namedFiles } from './named-files.ts'
import type { PathLiterals } from './path-literals.ts'
import {
  filesBelow,
  filesOfPattern,
  inside,
  isFile,
  isFolder,
  isPattern,
  isWritten,
  type ProjectFile,
  realPath,
  walkProject,
} from './project-files.ts'
import { type Imported, importsOf, isScript, packagesIn } from './project-imports.ts'
import type { PythonCode } from './python-code.ts'

export interface CopiedFile extends ProjectFile {
  /** For people: "imported by features.ts". */
  readonly why: string
}

/** Something that definitions need and the image would not have, or something to know. */
export interface Remark {
  readonly message: string
  readonly hint: string
}

export interface ProjectContents {
  readonly copied: readonly CopiedFile[]
  /** Without hidden files and installed packages, which nobody expects in it. */
  readonly excluded: readonly ProjectFile[]
  /** What is copied as files, and as folders with all that is in them. */
  readonly entries: { readonly files: readonly string[]; readonly folders: readonly string[] }
  /** The definitions would not load in the image, or what was asked for cannot be had. */
  readonly strays: readonly Remark[]
  /** Code names files of this machine by their whole path. */
  readonly foreign: readonly Remark[]
  readonly notes: readonly Remark[]
  /** Why a file stays out; null: nothing needs it. */
  reason(path: string): KeptOut | null
}

export interface DeclaredSource {
  readonly name: string
  /** Absolute paths of files, folders and patterns. */
  readonly files: readonly string[]
}

export interface ImageProject {
  /** Absolute. */
  readonly folder: string
  /** A folder in it that stays out: the output's. */
  readonly apart: string
  /** Absolute. */
  readonly definitions: readonly string[]
  readonly sources: readonly DeclaredSource[]
  /** As given: paths and patterns. */
  readonly include: readonly string[]
  /** What is known of files in Python; null: no definition is one. */
  readonly python: PythonCode | null
}

/** What a file is wanted for decides what it means that it cannot be had. */
interface Wanted {
  /** For people, before the path: "features.ts imports". */
  readonly by: string
  /** For people, after it: "imported by features.ts". */
  readonly why: string
  /** Nothing goes without it. Else a function may miss it, or may not. */
  readonly isNeeded: boolean
  readonly evenIfGitIgnored?: boolean
}

const MANIFESTS = ['package.json', 'bun.lock', 'pnpm-lock.yaml', 'yarn.lock', 'package-lock.json', 'pyproject.toml', 'uv.lock']
const WORDS: Readonly<Record<KeptOut, readonly [what: string, hint: string]>> = {
  hidden: ['is hidden, and nothing hidden goes into an image', 'Give it a name without a dot in front.'],
  secret: ['looks like a secret, and no secret goes into an image', 'Give secrets to the server by its environment.'],
  local: ['is a log or a database of this machine, and stays here', 'Keep what functions read in another kind of file.'],
  installed: ['lies among installed packages', 'Keep it elsewhere.'],
  '.dockerignore': ['.dockerignore keeps out of the image', 'Take it out of .dockerignore.'],
  '.gitignore': ['.gitignore names', ''],
}
const OUTSIDE = 'Run the command in a folder that holds both, and name the definitions: fabra deploy … -f path/to/features.ts'

export function projectContents(project: ImageProject): ProjectContents {
  const { folder } = project
  const rules = keptOutRules(folder)
  const asked = askedFiles(project, rules)
  const gathered = collectFiles({ folder, rules, python: project.python, asked: new Set(asked.files) })
  for (const file of project.definitions) gathered.reach(file, { by: 'features are defined in', why: 'definitions', isNeeded: true })
  const manifests = MANIFESTS.map((name) => join(folder, name)).filter(isFile)
  for (const file of [...manifests, ...(project.python?.included ?? [])]) {
    gathered.reach(file, { by: 'packages are named in', why: 'packages', isNeeded: true, evenIfGitIgnored: true })
  }
  for (const { name, files } of project.sources) {
    const wanted = { by: `source "${name}" reads`, why: `rows of ${name}`, isNeeded: true }
    for (const file of files.flatMap(filesAt)) gathered.reach(file, wanted)
  }
  for (const file of asked.files) gathered.reach(file, { by: '--include names', why: 'asked for', isNeeded: true })
  const walked = walkProject(folder, project.apart)
  const copied = [...gathered.copied.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  return {
    copied,
    excluded: walked.files.filter(({ path }) => !gathered.copied.has(path)),
    entries: imageEntries(copied, walked),
    strays: [...asked.strays, ...gathered.strays.values()],
    foreign: [...gathered.foreign.values()],
    notes: gathered.notes(),
    reason: rules.reason,
  }
}

function filesAt(path: string): string[] {
  if (isFolder(path)) return filesBelow(path)
  return isFile(path) || !isPattern(path) ? [path] : filesOfPattern(path)
}

interface Gathered {
  readonly copied: ReadonlyMap<string, CopiedFile>
  readonly strays: ReadonlyMap<string, Remark>
  readonly foreign: ReadonlyMap<string, Remark>
  notes(): Remark[]
  /** Takes a file and, where it is code, all that it leads to. */
  reach(file: string, wanted: Wanted): void
}

interface Gathering {
  readonly folder: string
  readonly rules: KeptOutRules
  readonly python: PythonCode | null
  readonly asked: ReadonlySet<string>
}

function collectFiles({ folder, rules, python, asked }: Gathering): Gathered {
  const packages = packagesIn(folder)
  const copied = new Map<string, CopiedFile>()
  const strays = new Map<string, Remark>()
  const foreign = new Map<string, Remark>()
  const missed = new Map<string, Remark>()
  /** Folder → the file that names it by a word that may be anything. */
  const unsure = new Map<string, string>()
  /** File → whether it was needed. */
  const seen = new Map<string, boolean>()
  const pathOf = (file: string) => inside(folder, file) ?? file

  function take(file: string, { by, why, isNeeded, evenIfGitIgnored }: Wanted): boolean {
    const path = pathOf(file)
    const problem = problemOf(file, { folder, rules, evenIfGitIgnored: evenIfGitIgnored === true || asked.has(file) })
    if (problem === null) {
      if (!copied.has(path)) copied.set(path, { path, bytes: statSync(file).size, why })
      return true
    }
    if (isNeeded) strays.set(path, { message: `${by} ${path}, which ${problem.message}.`, hint: problem.hint })
    else missed.set(path, { message: `${by} ${path}, which ${problem.message}.`, hint: problem.hint })
    return false
  }

  function reach(file: string, wanted: Wanted): void {
    if (seen.get(file) === true || seen.get(file) === wanted.isNeeded) return
    seen.set(file, wanted.isNeeded)
    if (!take(file, wanted)) return
    const read = python?.read(file)
    if (read !== undefined) {
      follow(file, read.imports, wanted.isNeeded)
      lookForNames(file, new Set(), read.literals)
    }
    if (!isScript(file)) return
    for (const settings of settingsOf(file, folder)) {
      take(settings, { by: 'imports are found by', why: 'how imports are found', isNeeded: false, evenIfGitIgnored: true })
    }
    const imports = importsOf(file)
    follow(file, imports, wanted.isNeeded)
    lookForNames(file, new Set(imports.map((found) => found.specifier)))
  }

  function follow(file: string, imports: readonly Imported[], isNeeded: boolean): void {
    const from = pathOf(file)
    for (const found of imports) {
      if (found.package === null) {
        const isOutside = inside(folder, found.path) === null
        const by = `${from} imports`
        if (!isOutside) reach(found.path, { by, why: `imported by ${from}`, isNeeded })
        else if (isNeeded) {
          const message = `${by} "${found.specifier}", which is not among the files of ${folder} that go into the image.`
          strays.set(found.path, { message, hint: OUTSIDE })
        }
      } else if (isNeeded && isScript(file) && !packages.has(found.package)) {
        const message = `${from} imports "${found.package}", which package.json does not name: the image would not have it.`
        strays.set(`${from} ${found.package}`, { message, hint: `Name it: npm install ${found.package}` })
      }
    }
  }

  function lookForNames(file: string, imported: ReadonlySet<string>, literals?: PathLiterals): void {
    const from = pathOf(file)
    const found = namedFiles(file, folder, imported, literals)
    for (const path of found.files) reach(path, { by: `${from} names`, why: `named in ${from}`, isNeeded: false })
    const tell = (list: Map<string, Remark>, path: string) =>
      list.set(path, {
        message: `${from} names ${path}, which is not below ${folder}: the image would not have it.`,
        hint: 'Put the file into the folder of the project, and name it from there.',
      })
    for (const path of found.foreign) tell(foreign, path)
    for (const path of found.beside) tell(missed, path)
    for (const path of found.folders) if (rules.reason(`${path}/x`) === null) unsure.set(path, from)
  }

  function notes(): Remark[] {
    const unused = [...unsure].filter(([path]) => ![...copied.keys()].some((file) => file.startsWith(`${path}/`)))
    return [
      ...[...missed].flatMap(([path, remark]) => (copied.has(path) || strays.has(path) ? [] : [remark])),
      ...unused.map(([path, from]) => ({
        message: `${from} names the folder ${path}, of which nothing is copied.`,
        hint: `If functions read its files: --include ${path}`,
      })),
    ]
  }
  return { copied, strays, foreign, notes, reach }
}

/** @returns what stands against a file, to be read after its path; null: nothing. */
function problemOf(
  file: string,
  { folder, rules, evenIfGitIgnored }: { folder: string; rules: KeptOutRules; evenIfGitIgnored: boolean },
): Remark | null {
  const path = inside(folder, file)
  if (path === null) return { message: `is not below ${folder}`, hint: OUTSIDE }
  const real = realPath(file)
  if (real === null) return { message: 'is not there', hint: 'Name a file that is.' }
  const target = inside(realPath(folder) ?? folder, real)
  if (target === null) return { message: `is a link to ${real}, not below ${folder}`, hint: 'Put the file where the link is.' }
  const byName = rules.reason(path)
  const byTarget = target === path ? null : rules.reason(target)
  const reason = byName ?? (byTarget === '.gitignore' || byTarget === '.dockerignore' ? null : byTarget)
  if (reason === null || (reason === '.gitignore' && evenIfGitIgnored)) return null
  const [message, hint] = WORDS[reason]
  return { message, hint: reason === '.gitignore' ? `--include ${path} copies it all the same.` : hint }
}

/** What decides how the imports of a file are found, from its own folder up to the project's. */
function settingsOf(file: string, folder: string): string[] {
  const found: string[] = []
  for (let location = dirname(file); location === folder || inside(folder, location) !== null; location = dirname(location)) {
    const manifest = join(location, 'package.json')
    if (isFile(manifest)) found.push(manifest)
    for (const name of ['tsconfig.json', 'jsconfig.json']) {
      for (let path = join(location, name); isFile(path) && !found.includes(path) && inside(folder, path) !== null; ) {
        found.push(path)
        const [, base] = /"extends"\s*:\s*"(\.[^"]+)"/.exec(readFileSync(path, 'utf8')) ?? []
        if (base !== undefined) path = resolve(dirname(path), base.endsWith('.json') ? base : `${base}.json`)
      }
    }
  }
  return found
}

interface IncludedFiles {
  readonly files: readonly string[]
  readonly strays: readonly Remark[]
}

/** What `--include` names. What .gitignore names goes in where it is named itself, not where it only lies in a folder that is. */
function askedFiles({ folder, include }: ImageProject, rules: KeptOutRules): IncludedFiles {
  const files = new Set<string>()
  const strays: Remark[] = []
  for (const given of include) {
    const path = resolve(folder, given)
    const refuse = (what: string, hint: string) => strays.push({ message: `--include names ${given}, which ${what}.`, hint })
    if (path !== folder && inside(folder, path) === null) {
      refuse(`is not below ${folder}`, OUTSIDE)
      continue
    }
    const all = (isFile(path) || isFolder(path) || isPattern(path) ? filesAt(path) : []).filter(
      (file) => !isWritten(inside(folder, file) ?? ''),
    )
    const isWhole = isFolder(path) && (path === folder || rules.reason(`${inside(folder, path)}/x`) !== '.gitignore')
    const found = isFile(path)
      ? all
      : all.filter((file) => {
          const reason = rules.reason(inside(folder, file) ?? '')
          return reason === null || (reason === '.gitignore' && !isWhole)
        })
    for (const file of found) files.add(file)
    if (all.length === 0) refuse('is no file, no folder with files and no pattern of any', 'Name what is below this folder.')
    else if (found.length === 0)
      refuse('holds only what never goes into an image or .gitignore names', `Name the files: --include '${given}/*'`)
  }
  return { files: [...files], strays }
}
