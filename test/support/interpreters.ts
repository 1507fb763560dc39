/** The Pythons of this machine, oldest first: those of pyenv, and those that the path finds. One of each version. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface Interpreter {
  readonly path: string
  /** 3.9 is 309. */
  readonly version: number
}

const OLDEST = 309

export function interpreters(): readonly Interpreter[] {
  const pyenv = join(process.env['PYENV_ROOT'] ?? join(process.env['HOME'] ?? '', '.pyenv'), 'versions')
  const paths = existsSync(pyenv) ? readdirSync(pyenv).map((name) => join(pyenv, name, 'bin', 'python3')) : []
  const found = new Map<number, string>()
  for (const path of [...paths.filter((path) => existsSync(path)), Bun.which('python3')]) {
    const version = path === null ? 0 : versionOf(path)
    if (path !== null && version >= OLDEST && !found.has(version)) found.set(version, path)
  }
  if (found.size === 0) throw new Error('These tests need a python3 of version 3.9 or later.')
  return [...found].map(([version, path]) => ({ path, version })).toSorted((a, b) => a.version - b.version)
}

function versionOf(path: string): number {
  const asked = Bun.spawnSync([path, '-c', 'import sys; print(sys.version_info[0] * 100 + sys.version_info[1])'], { stderr: 'ignore' })
  return Number(asked.stdout.toString().trim())
}
