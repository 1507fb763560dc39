/** What a project in Python needs elsewhere: asked of its own interpreter, which knows what is installed. Nothing of the project is run. */
import { FabraError } from '../../errors.ts'
import { findInterpreter } from './interpreter.ts'
import { packageFiles } from './package-files.ts'
import { unpackPackage } from './unpack.ts'
import type { PythonSettings } from './worker.ts'

export interface PythonProject {
  /** Of the interpreter: `3.11`. */
  readonly version: string
  /** By real paths: the definitions and the project's own files that they import, however far. */
  readonly files: Readonly<Record<string, PythonFile>>
  /** Folders of the project, real paths, in which imports are found besides that of the definitions. */
  readonly paths: readonly string[]
  /** Null where there is no requirements.txt. */
  readonly requirements: Requirements | null
  /** Installed packages that the project imports or declares, and what these need. */
  readonly wanted: readonly InstalledPackage[]
  /** Names of those that are imported. */
  readonly imported: readonly string[]
}

export interface PythonFile {
  readonly imports: readonly PythonImport[]
  /** Texts that may be paths. */
  readonly texts: readonly string[]
  readonly patterns: readonly string[]
}

export interface PythonImport {
  readonly specifier: string
  /** The project's file; empty for a package. */
  readonly path: string
  readonly package: string | null
}

export interface Requirements {
  /** requirements.txt and what it includes, real paths. */
  readonly files: readonly string[]
  readonly names: readonly string[]
  /** With what they need. */
  readonly covered: readonly string[]
}

export interface InstalledPackage {
  readonly name: string
  /** The package that needs it; null: the project itself. */
  readonly by: string | null
  /** The condition under which it is needed: `platform_system == "Linux"`. */
  readonly marker: string | null
  readonly version: string
  /** Where it was installed from, if not from an index. */
  readonly url: string | null
}

interface InspectRequest {
  /** Absolute. */
  readonly folder: string
  readonly definitions: readonly string[]
  /** Names that the project declares it needs. */
  readonly declared: readonly string[]
  /** Distributions of the package "fabra", which the executable brings along. */
  readonly ours: readonly string[]
}

const LONGEST_MS = 60_000
const SCRIPT = 'import sys; sys.path.insert(0, sys.argv.pop(1)); from fabra._project import main; main()'

export interface PythonPlace {
  /** The interpreter that a file's project uses. */
  readonly python: string
  /** Holds the package "fabra". */
  readonly folder: string
}

export async function pythonPlace(settings: PythonSettings, file: string): Promise<PythonPlace> {
  const folder = unpackPackage(settings.files ?? packageFiles(), settings.cacheFolders)
  const { path } = await findInterpreter({ env: settings.env, file, executable: settings.executable }, folder)
  return { python: path, folder }
}

export async function inspectPython(settings: PythonSettings, question: InspectRequest): Promise<PythonProject> {
  const { python: path, folder } = await pythonPlace(settings, question.definitions[0] ?? '')
  const child = Bun.spawn([path, '-c', SCRIPT, folder, JSON.stringify(question)], {
    cwd: question.folder,
    env: { ...settings.workerEnv },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  })
  const [said, complaint, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  if (code === 0) return JSON.parse(said) as PythonProject
  throw new FabraError('io_failed', `What the definitions import could not be found out: ${complaint.trim().split('\n').at(-1)}`, {
    hint: `See what ${path} says: fabra check`,
  })
}

/** Puts what workers need on disk, and compiles it: for images, whose disk may be read-only later. Without a Python nothing needs it. */
export async function prepareForImage(settings: PythonSettings): Promise<void> {
  await pythonPlace(settings, '/').catch((error: unknown) => {
    if (!(error instanceof FabraError)) throw error
  })
}
