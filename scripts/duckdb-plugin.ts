import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BunPlugin } from 'bun'

const PROJECT = join(import.meta.dir, '..')
const CACHE = join(PROJECT, 'node_modules', '.cache', 'fabra')
const NATIVE_FILE = /\.(node|so|dylib|dll)$/

/**
 * Replaces "@duckdb/node-bindings", which looks for its native files on disk, by a module that carries them compressed inside the
 * executable and unpacks them at the first start (src/store/duckdb/native/native.ts).
 * @param options.folder of DuckDB's package for the system that the executable is for.
 * @param options.level of zstd: 9 takes two seconds, 19 forty and saves a tenth of the size. The result is kept for the next build.
 */
export function embedDuckdb(options: { folder: string; level: number }): BunPlugin {
  return {
    name: 'embed-duckdb',
    setup(build) {
      const files = nativeFiles(options)
      build.onResolve({ filter: /^@duckdb\/node-bindings$/ }, () => ({ path: 'native-library', namespace: 'embed-duckdb' }))
      build.onLoad({ filter: /.*/, namespace: 'embed-duckdb' }, () => ({ loader: 'js', contents: virtualModule(files) }))
      // The module's text goes into the source map: it says where its files are in words that are the same on every machine.
      build.onResolve({ filter: /^embedded:/ }, ({ path }) => ({ path: placeOf(path, files) }))
    },
  }
}

interface NativeFile {
  readonly name: string
  readonly bytes: Uint8Array
  /** Of the compressed file. */
  readonly path: string
}

function nativeFiles({ folder, level }: { folder: string; level: number }): readonly NativeFile[] {
  return readdirSync(folder)
    .filter((name) => NATIVE_FILE.test(name))
    .sort()
    .map((name) => {
      const bytes = readFileSync(join(folder, name))
      return { name, bytes, path: compressed(bytes, level) }
    })
}

function virtualModule(files: readonly NativeFile[]): string {
  const fingerprint = createHash('sha256')
  for (const { bytes } of files) fingerprint.update(bytes)
  const entryOf = (file: NativeFile) =>
    `{ name: ${JSON.stringify(file.name)}, path: file${files.indexOf(file)}, size: ${file.bytes.length} }`
  const addon = files.find((file) => file.name.endsWith('.node'))
  if (!addon) throw new Error("DuckDB's package holds no .node file. Run scripts/setup.")
  const libraries = files.filter((file) => file !== addon)
  return [
    ...files.map(({ name }, index) => `import file${index} from ${JSON.stringify(`embedded:${name}`)} with { type: 'file' }`),
    "import { loadNative } from 'embedded:native.ts'",
    "import { unpackFolders } from 'embedded:unpack-folders.ts'",
    'export default loadNative(',
    `  { fingerprint: '${fingerprint.digest('hex').slice(0, 16)}', addon: ${entryOf(addon)}, libraries: [${libraries.map(entryOf)}] },`,
    '  unpackFolders(),',
    ')',
  ].join('\n')
}

function placeOf(specifier: string, files: readonly NativeFile[]): string {
  const name = specifier.slice('embedded:'.length)
  return files.find((file) => file.name === name)?.path ?? join(PROJECT, 'src/store/duckdb/native', name)
}

/** @returns the path of the compressed file, whose name says what is in it: building again takes it from there. */
function compressed(bytes: Uint8Array, level: number): string {
  const path = join(CACHE, `${createHash('sha256').update(bytes).digest('hex').slice(0, 24)}-${level}.zst`)
  if (existsSync(path)) return path
  mkdirSync(CACHE, { recursive: true })
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, Bun.zstdCompressSync(bytes, { level }))
  renameSync(draft, path)
  return path
}
