/**
 * The wheels: one a system, each with the executable as a script, the package that feature files and clients import, and no Python in between.
 * Made by hand, because what they say of the system they are for cannot be told from the executable: it unpacks a library that needs more.
 */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import packageJson from '../../package.json'
import { PYTHON_DISTRIBUTION } from '../../src/deploy/python-name.ts'
import type { Target } from './targets.ts'
import { wheelhouse } from './wheelhouse.ts'
import { type ZipEntry, zip } from './zip.ts'

const PROJECT = join(import.meta.dir, '../..')
const PACKAGE = join(PROJECT, 'src/python/fabra')

/** The oldest systems that run them: the embedded library needs glibc 2.25, and Bun macOS 13. */
const TAGS: Readonly<Record<string, string>> = {
  'linux-x64': 'manylinux_2_28_x86_64',
  'linux-arm64': 'manylinux_2_28_aarch64',
  'darwin-x64': 'macosx_13_0_x86_64',
  'darwin-arm64': 'macosx_13_0_arm64',
}
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/

export interface WheelOptions {
  /** What people install. Default: PYTHON_DISTRIBUTION. */
  readonly name?: string
  /** Of deflate, 1 to 9. */
  readonly level: number
  /** Texts that every wheel holds beside its licence. */
  readonly notices: string
}

/** @returns names of the wheels in the folder: ours, then those that they need. */
export function writeWheels(
  folder: string,
  built: readonly { readonly target: Pick<Target, 'name'>; readonly executable: string }[],
  { name = PYTHON_DISTRIBUTION, level, notices }: WheelOptions,
): readonly string[] {
  if (!NAME.test(name)) throw new Error(`"${name}" cannot be the name of a distribution: letters, digits, "-", "_" and "." can.`)
  mkdirSync(folder, { recursive: true })
  const ours = built.map(({ target, executable }) => {
    const tag = `py3-none-${TAGS[target.name] ?? target.name}`
    const file = `${fileName(name)}-${packageJson.version}-${tag}.whl`
    writeFileSync(join(folder, file), zip(wheelEntries(name, tag, executable, notices), level))
    return file
  })
  const needed = wheelhouse().map((path) => {
    copyFileSync(path, join(folder, basename(path)))
    return basename(path)
  })
  for (const file of [...ours, ...needed]) chmodSync(join(folder, file), 0o644)
  return [...ours, ...needed]
}

/** As names stand in file names: https://packaging.python.org/en/latest/specifications/binary-distribution-format/ */
function fileName(name: string): string {
  return name.replace(/[-_.]+/g, '_').toLowerCase()
}

function wheelEntries(name: string, tag: string, executable: string, notices: string): ZipEntry[] {
  const base = `${fileName(name)}-${packageJson.version}`
  const info = `${base}.dist-info`
  const text = (path: string, content: string): ZipEntry => ({ name: path, data: new TextEncoder().encode(content) })
  const entries: ZipEntry[] = [
    ...packageEntries(),
    { name: `${base}.data/scripts/fabra`, data: readFileSync(executable), mode: 0o755 },
    text(`${info}/licenses/LICENSE`, readFileSync(join(PROJECT, 'LICENSE'), 'utf8')),
    text(`${info}/licenses/THIRD-PARTY-NOTICES`, notices),
    // Of pytest, wherever it runs with this installed: https://docs.pytest.org/en/stable/how-to/writing_plugins.html
    text(`${info}/entry_points.txt`, '[pytest11]\nfabra = fabra.testing.pytest_plugin\n'),
    text(`${info}/METADATA`, metadata(name)),
    text(`${info}/WHEEL`, `Wheel-Version: 1.0\nGenerator: fabra ${packageJson.version}\nRoot-Is-Purelib: false\nTag: ${tag}\n`),
  ]
  const record = entries.map((entry) => `${entry.name},sha256=${hash(entry.data)},${entry.data.length}\n`).join('')
  return [...entries, text(`${info}/RECORD`, `${record}${info}/RECORD,,\n`)]
}

function packageEntries(): ZipEntry[] {
  const files = readdirSync(PACKAGE, { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => file.endsWith('.py') || file === 'py.typed')
    .sort()
    .map((file) => ({ name: `fabra/${file}`, data: readFileSync(join(PACKAGE, file)) }))
}

/** https://packaging.python.org/en/latest/specifications/core-metadata/ */
function metadata(name: string): string {
  const fields = [
    ['Metadata-Version', '2.4'],
    ['Name', name],
    ['Version', packageJson.version],
    ['Summary', packageJson.description],
    ['License-Expression', packageJson.license],
    ['License-File', 'LICENSE'],
    ['License-File', 'THIRD-PARTY-NOTICES'],
    ['Requires-Python', '>=3.9'],
    ['Requires-Dist', 'anyio>=4'],
    ['Requires-Dist', 'httpx<1,>=0.27'],
    // The user interface is in the executable: there is nothing to add.
    ['Provides-Extra', 'ui'],
    ['Provides-Extra', 'pandas'],
    ['Requires-Dist', 'pandas>=2; extra == "pandas"'],
    ['Requires-Dist', 'pyarrow>=14; extra == "pandas"'],
    ['Provides-Extra', 'polars'],
    ['Requires-Dist', 'polars>=1; extra == "polars"'],
    ['Requires-Dist', 'pyarrow>=14; extra == "polars"'],
    ['Provides-Extra', 'arrow'],
    ['Requires-Dist', 'pyarrow>=14; extra == "arrow"'],
    ['Description-Content-Type', 'text/markdown'],
  ]
  return `${fields.map(([field, value]) => `${field}: ${value}\n`).join('')}\n${readFileSync(join(PROJECT, 'README.md'), 'utf8')}`
}

function hash(data: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(data).digest('base64url')
}
