/** What is inside the executable besides Fabra: for the bill of materials and the licence notices. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'

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
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** Asked for by a package, but nothing of it is in the executable: it only counts installations, and its script is never run here. */
const NOT_INSIDE = ['@scarf/scarf']

/** Every package that is installed because the executable needs it, and Bun itself, by name. */
export function bundledDependencies(): readonly Dependency[] {
  const found = new Map<string, Dependency>()
  const visit = (name: string, from: string) => {
    const folder = folderOf(name, from)
    // Optional packages of other systems, and types that somebody else brings.
    if (folder === null || found.has(name) || NOT_INSIDE.includes(name)) return
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
    found.set(name, {
      name,
      version: manifest.version,
      license: typeof manifest.license === 'object' ? manifest.license.type : (manifest.license ?? 'NOASSERTION'),
      notices: noticesIn(folder),
    })
    for (const inner of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies }))
      visit(inner, folder)
  }
  for (const name of Object.keys(packageJson.dependencies)) visit(name, PROJECT)
  const bun = { name: 'bun', version: packageJson.devDependencies['bun-types'], license: 'MIT', notices: [BUN_NOTICE] }
  return [...found.values(), bun].sort((a, b) => (a.name < b.name ? -1 : 1))
}

const BUN_NOTICE =
  'Bun itself is MIT-licensed. It links JavaScriptCore (and WebKit) under LGPL-2.1, and other libraries under licences of their own: see https://bun.com/docs/project/license'

/** Node's way: the nearest node_modules above. */
function folderOf(name: string, from: string): string | null {
  for (let folder = from; folder.startsWith(PROJECT); folder = join(folder, '..')) {
    const candidate = join(folder, 'node_modules', name)
    if (existsSync(join(candidate, 'package.json'))) return candidate
  }
  return null
}

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

/** CycloneDX 1.6, without times and random numbers: the same release gives the same bytes. */
export function billOfMaterials(dependencies: readonly Dependency[], version: string): string {
  const components = dependencies.map((one) => ({
    type: one.name === 'bun' ? 'platform' : 'library',
    'bom-ref': `pkg:npm/${purlName(one.name)}@${one.version}`,
    name: one.name,
    version: one.version,
    licenses: [
      /^[\w.+-]+$/.test(one.license) && one.license !== 'NOASSERTION' ? { license: { id: one.license } } : { expression: one.license },
    ],
    purl: `pkg:npm/${purlName(one.name)}@${one.version}`,
  }))
  const self = { type: 'application', 'bom-ref': `fabra@${version}`, name: 'fabra', version, licenses: [{ license: { id: 'Apache-2.0' } }] }
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

function purlName(name: string): string {
  return name.replace('@', '%40')
}
