/** What installs the packages of the user's folder, and where it lies in its repository. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { PackageManager } from '../../deploy/platform.ts'
import { FabraError } from '../../errors.ts'

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

/** Where executables of Fabra are published: `"fabra": { "release": "https://…" }` of package.json, for all who work on the project. */
export function releaseAddress(folder: string): string | undefined {
  const path = join(folder, 'package.json')
  if (!existsSync(path)) return undefined
  const { fabra } = manifestIn(path)
  const address = typeof fabra === 'object' && fabra !== null && 'release' in fabra ? fabra.release : undefined
  if (address === undefined || typeof address === 'string') return address
  throw new FabraError('bad_usage', `${path} has a "fabra.release" that is no text.`, { hint: 'Write the address of a release.' })
}

/** Where a folder is in its git repository, with forward slashes; empty at its top, and outside of any. */
export function pathInRepository(folder: string): string {
  return relative(topOfRepository(folder) ?? folder, folder).replaceAll('\\', '/')
}

export function isInRepository(folder: string): boolean {
  return topOfRepository(folder) !== null
}

export function topOfRepository(folder: string): string | null {
  for (let top = folder; ; top = dirname(top)) {
    if (existsSync(join(top, '.git'))) return top
    if (top === dirname(top)) return null
  }
}

function dependenciesIn(path: string): string[] {
  const { dependencies } = manifestIn(path)
  // The definitions' own import is answered by the executable.
  return Object.keys(dependencies ?? {}).filter((name) => name !== 'fabra')
}

function manifestIn(path: string): { readonly dependencies?: object; readonly fabra?: unknown } {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { dependencies?: object; fabra?: unknown }
  } catch (cause) {
    throw new FabraError('bad_usage', `${path} is not JSON.`, { cause, hint: 'Correct it.' })
  }
}
