/** What of the user's folder goes into an image, and what installs its packages. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { PackageManager, ProjectEntries } from '../../deploy/platform.ts'
import { FabraError } from '../../errors.ts'
import type { FileToWrite } from './write-files.ts'

/** Made again elsewhere, or about other things than features. */
const LEFT_OUT = new Set(['node_modules', 'dist', 'build', 'coverage', '__pycache__', 'venv', 'README.md', 'LICENSE'])
/** What `fabra deploy` and `fabra setup` write; requirements.txt, too, has a place of its own in the image. */
const WRITTEN =
  /^(Dockerfile|requirements\.txt|fly\.toml|render\.yaml|compose\.yaml|cloudformation\.yaml|task-definition\.json|service\.json|service\.yaml|.+\.service|fabra-linux-.+)$/
const SECRET = /(\.(pem|key|p12|pfx|log|duckdb|wal)|^id_(rsa|ed25519).*)$/

/** Entries of the top folder; hidden ones stay out, and with them .env and .git. @param apart A folder in it that stays out as well. */
export function projectEntries(folder: string, apart: string): ProjectEntries {
  const inside = relative(folder, apart).split('/')[0]
  const names = readdirSync(folder)
    .filter((name) => !name.startsWith('.') && !LEFT_OUT.has(name) && !WRITTEN.test(name) && !SECRET.test(name) && name !== inside)
    .sort()
  const kinds = names.map((name) => ({ name, stat: statSync(join(folder, name), { throwIfNoEntry: false }) }))
  return {
    files: kinds.flatMap(({ name, stat }) => (stat?.isFile() ? [name] : [])),
    folders: kinds.flatMap(({ name, stat }) => (stat?.isDirectory() && !isOutput(join(folder, name)) ? [name] : [])),
  }
}

/** The folder of an earlier `--output`, which holds all of this once more. */
function isOutput(folder: string): boolean {
  return readdirSync(folder).some((name) => /^fabra-linux-.+\.tar\.gz$/.test(name))
}

/** The entries as files, for a build folder that is not the project's own. */
export function projectFiles(folder: string, entries: ProjectEntries): FileToWrite[] {
  const inFolders = entries.folders.flatMap((name) => filesUnder(folder, name))
  const packages = ['package.json', ...Object.keys(LOCKS)].filter((name) => existsSync(join(folder, name)) && !entries.files.includes(name))
  return [...entries.files, ...packages, ...inFolders].map((path) => ({ path, data: readFileSync(join(folder, path)) }))
}

function filesUnder(folder: string, name: string): string[] {
  return readdirSync(join(folder, name), { withFileTypes: true }).flatMap((entry) => {
    const path = `${name}/${entry.name}`
    if (entry.name.startsWith('.') || LEFT_OUT.has(entry.name) || SECRET.test(entry.name)) return []
    return entry.isDirectory() ? filesUnder(folder, path) : entry.isFile() ? [path] : []
  })
}

const LOCKS: Readonly<Record<string, PackageManager>> = {
  'bun.lock': 'bun',
  'pnpm-lock.yaml': 'pnpm',
  'yarn.lock': 'yarn',
  'package-lock.json': 'npm',
}

/** @throws FabraError bad_usage where packages are wanted and no lock file says which. */
export function packageManager(folder: string): PackageManager | null {
  const path = join(folder, 'package.json')
  if (!existsSync(path)) return null
  const wanted = dependenciesIn(path)
  if (wanted.length === 0) return null
  const found = managerOf(folder)
  if (found) return found
  throw new FabraError('bad_usage', `package.json asks for ${wanted.slice(0, 3).join(', ')}, and no lock file says which versions.`, {
    hint: 'Make one: npm install --package-lock-only',
  })
}

/** By the lock file that is there. */
export function managerOf(folder: string): PackageManager | undefined {
  return LOCKS[Object.keys(LOCKS).find((name) => existsSync(join(folder, name))) ?? '']
}

/** Where a folder is in its git repository, with forward slashes; empty at its top, and outside of any. */
export function pathInRepository(folder: string): string {
  for (let top = folder; ; top = dirname(top)) {
    if (existsSync(join(top, '.git'))) return relative(top, folder).replaceAll('\\', '/')
    if (top === dirname(top)) return ''
  }
}

function dependenciesIn(path: string): string[] {
  try {
    const { dependencies = {} } = JSON.parse(readFileSync(path, 'utf8')) as { dependencies?: Record<string, string> }
    // The definitions' own import is answered by the executable.
    return Object.keys(dependencies).filter((name) => name !== 'fabra')
  } catch (cause) {
    throw new FabraError('bad_usage', `${path} is not JSON.`, { cause, hint: 'Correct it.' })
  }
}
