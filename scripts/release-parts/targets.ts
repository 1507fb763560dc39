/** The systems a release is for, and what their executables are made of: Bun's and DuckDB's packages from npm, of the versions used here. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'

const PROJECT = join(import.meta.dir, '../..')
const FOLDER = join(PROJECT, '.bun/targets')

export interface Target {
  /** As archives and npm packages are called. */
  readonly name: string
  readonly os: 'linux' | 'darwin'
  readonly cpu: 'x64' | 'arm64'
  readonly system: Bun.Build.CompileTarget
  /** Bun's own executable for it. */
  readonly bun: string
  readonly duckdb: string
}

export const targets: readonly Target[] = (['linux', 'darwin'] as const).flatMap((os) =>
  (['x64', 'arm64'] as const).map((cpu) => ({
    name: `${os}-${cpu}`,
    os,
    cpu,
    system: `bun-${os}-${cpu}` as const,
    bun: join(FOLDER, 'node_modules', bunPackage(os, cpu), 'bin/bun'),
    duckdb: join(FOLDER, 'node_modules', `@duckdb/node-bindings-${os}-${cpu}`),
  })),
)

function bunPackage(os: string, cpu: string): string {
  return `@oven/bun-${os}-${cpu === 'arm64' ? 'aarch64' : cpu}`
}

/** Installs them into .bun/targets, once. */
export function installTargets(): void {
  const bun = packageJson.devDependencies['bun-types']
  const duckdb = packageJson.dependencies['@duckdb/node-api']
  const dependencies = Object.fromEntries(
    targets.flatMap(({ os, cpu }) => [
      [bunPackage(os, cpu), bun],
      [`@duckdb/node-bindings-${os}-${cpu}`, duckdb],
    ]),
  )
  const wanted = `${JSON.stringify({ private: true, dependencies }, null, 2)}\n`
  const manifest = join(FOLDER, 'package.json')
  const isThere = targets.every((target) => existsSync(target.bun) && existsSync(target.duckdb))
  if (isThere && existsSync(manifest) && readFileSync(manifest, 'utf8') === wanted) return
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(manifest, wanted)
  const { exitCode } = Bun.spawnSync([process.execPath, 'install', '--cpu=*', '--os=*', '--libc=*', '--no-summary'], {
    cwd: FOLDER,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (exitCode !== 0) throw new Error('The packages of the other systems could not be installed. Is the npm registry reachable?')
}
