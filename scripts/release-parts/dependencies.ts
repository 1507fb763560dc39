/** What is inside the executable besides Fabra: for the bill of materials and the licence notices. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import packageJson from '../../package.json'
import { PYTHON_DISTRIBUTION } from '../../src/deploy/python-name.ts'
import { targets } from './targets.ts'

const PROJECT = join(import.meta.dir, '../..')

export interface Dependency {
  readonly name: string
  readonly version: string
  readonly license: string
  /** Texts of its licence and notice files. */
  readonly notices: readonly string[]
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string | { readonly type: string }
}

/** Native libraries, of which a release has one a system. Their JavaScript is replaced by our own (../duckdb-plugin.ts). */
const NATIVE = '@duckdb/node-bindings'

/** By name: every package of which the bundler takes anything, be it for the page, DuckDB's libraries for all systems, and Bun itself. */
export async function bundledDependencies(): Promise<readonly Dependency[]> {
  const bundled = (await bundledFolders()).map((folder) => dependencyIn(join(PROJECT, folder)))
  const native = dependencyIn(join(PROJECT, 'node_modules', NATIVE))
  const systems = targets.map(({ os, cpu }) => ({ ...native, name: `${NATIVE}-${os}-${cpu}` }))
  const bun = { name: 'bun', version: packageJson.devDependencies['bun-types'], license: 'MIT', notices: [BUN_NOTICE] }
  return [...bundled, ...systems, bun].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Of packages, from the project; the same as ../executable.ts puts in, and nothing is written. */
async function bundledFolders(): Promise<readonly string[]> {
  const result = await Bun.build({
    entrypoints: ['main.ts', 'runtime/worker.ts', 'ui/main.tsx', 'ui/early.ts'].map((file) => join(PROJECT, 'src', file)),
    root: PROJECT,
    target: 'bun',
    format: 'esm',
    splitting: true,
    metafile: true,
    external: [NATIVE],
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  const folders = Object.keys(result.metafile?.inputs ?? {}).flatMap((file) => {
    const [, folder] = /^(?:\.?\.\/)*((?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(relative(PROJECT, resolve(file))) ?? []
    return folder ?? []
  })
  return [...new Set(folders)]
}

function dependencyIn(folder: string): Dependency {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
  const said = typeof license === 'object' ? license.type : license
  return { name, version, license: said ?? 'NOASSERTION', notices: noticesIn(folder) }
}

const BUN_NOTICE =
  'Bun itself is MIT-licensed. It links JavaScriptCore (and WebKit) under LGPL-2.1, and other libraries under licences of their own: see https://bun.com/docs/project/license'

function noticesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /^(licen[cs]e|notice|copying)|ui-bundle\.js\.license/i.test(name))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8').trim())
}

export function noticesText(dependencies: readonly Dependency[]): string {
  const parts = dependencies.map(
    ({ name, version, license, notices }) =>
      `${'='.repeat(80)}\n${name} ${version} (${license})\n\n${notices.join('\n\n') || `Licence: ${license}`}\n`,
  )
  return `fabra is licensed under Apache-2.0. Its executable holds the following software.\n\n${parts.join('\n')}`
}

/** What is inside and no package of the registry: the engine within DuckDB's libraries, and what Python processes import. */
export interface Inside {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly purl: string
  readonly description: string
}

/** @param version Of Fabra. */
export function partsWithin(version: string): readonly Inside[] {
  const duckdb = packageJson.dependencies['@duckdb/node-api'].replace(/-r\.\d+$/, '')
  return [
    {
      name: 'duckdb',
      version: duckdb,
      license: 'MIT',
      purl: `pkg:github/duckdb/duckdb@v${duckdb}`,
      description: `The engine in the native libraries of ${NATIVE}.`,
    },
    {
      name: `${PYTHON_DISTRIBUTION} (package "fabra")`,
      version,
      license: 'Apache-2.0',
      purl: `pkg:pypi/${PYTHON_DISTRIBUTION}@${version}`,
      description: "What Fabra's Python processes import.",
    },
  ]
}

/** CycloneDX 1.6, without times and random numbers: the same release gives the same bytes. */
export function billOfMaterials(dependencies: readonly Dependency[], version: string): string {
  const locked = lockedHashes()
  const packages = dependencies.map((one) => {
    const purl = `pkg:npm/${purlName(one.name)}@${one.version}`
    const hash = locked.get(`${one.name}@${one.version}`)
    return {
      type: one.name === 'bun' ? 'platform' : 'library',
      'bom-ref': purl,
      name: one.name,
      version: one.version,
      ...(hash === undefined ? {} : { hashes: [{ alg: 'SHA-512', content: hash }] }),
      licenses: [licenseOf(one.license)],
      purl,
    }
  })
  const within = partsWithin(version).map(({ license, ...part }) => ({
    type: 'library',
    'bom-ref': part.purl,
    ...part,
    licenses: [licenseOf(license)],
  }))
  const components = [...packages, ...within]
  const self = { type: 'application', 'bom-ref': `fabra@${version}`, name: 'fabra', version, licenses: [licenseOf('Apache-2.0')] }
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: self },
    components,
    dependencies: [{ ref: self['bom-ref'], dependsOn: components.map((one) => one['bom-ref']) }],
  }
  return `${JSON.stringify(bom, null, 2)}\n`
}

function licenseOf(license: string) {
  return /^[\w.+-]+$/.test(license) && license !== 'NOASSERTION' ? { license: { id: license } } : { expression: license }
}

/** SHA-512 in hexadecimal of what was installed, as the lock file has it, by name and version. */
export function lockedHashes(): ReadonlyMap<string, string> {
  const lines = readFileSync(join(PROJECT, 'bun.lock'), 'utf8').matchAll(
    /^ {4}"[^"]+": \["([^"]+@[^"]+)", .*"sha512-([A-Za-z\d+/=]+)"\],?$/gm,
  )
  return new Map([...lines].map(([, name = '', hash = '']) => [name, Buffer.from(hash, 'base64').toString('hex')]))
}

function purlName(name: string): string {
  return name.replace('@', '%40')
}
