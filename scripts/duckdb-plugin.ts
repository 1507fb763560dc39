import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BunPlugin } from 'bun'

const PROJECT = join(import.meta.dir, '..')
const CACHE = join(PROJECT, 'node_modules', '.cache', 'fabra')
const NATIVE_FILE = /\.(node|so|dylib|dll)$/

/**
 * Replaces "@duckdb/node-bindings", which looks for its native files on disk, by a module that carries them compressed inside the
 * executable and unpacks them at the first start (src/store/duckdb/native.ts).
 * @param options.folder of DuckDB's package for the system that the executable is for.
 * @param options.level of zstd: 9 takes two seconds, 19 forty and saves a tenth of the size. The result is kept for the next build.
 */
export function embedDuckdb(options: { folder: string; level: number }): BunPlugin {
  return {
    name: 'embed-duckdb',
    setup(build) {
      build.onResolve({ filter: /^@duckdb\/node-bindings$/ }, () => ({ path: 'native-library', namespace: 'embed-duckdb' }))
      build.onLoad({ filter: /.*/, namespace: 'embed-duckdb' }, () => ({ loader: 'js', contents: virtualModule(options) }))
    },
  }
}

function virtualModule(options: { folder: string; level: number }): string {
  const { folder } = options
  const files = readdirSync(folder)
    .filter((name) => NATIVE_FILE.test(name))
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }))
  const fingerprint = createHash('sha256')
  const imports: string[] = []
  const entries: { name: string; source: string }[] = []
  for (const [index, { name, bytes }] of files.entries()) {
    fingerprint.update(bytes)
    imports.push(`import file${index} from ${JSON.stringify(compressed(bytes, options.level))} with { type: 'file' }`)
    entries.push({ name, source: `{ name: ${JSON.stringify(name)}, path: file${index}, size: ${bytes.length} }` })
  }
  const addon = entries.find((entry) => entry.name.endsWith('.node'))
  if (!addon) throw new Error(`No .node file in ${folder}. Run scripts/setup.`)
  const libraries = entries.filter((entry) => entry !== addon)
  return [
    ...imports,
    `import { cacheFolders, loadNative } from ${JSON.stringify(join(PROJECT, 'src/store/duckdb/native.ts'))}`,
    'export default loadNative(',
    `  { fingerprint: '${fingerprint.digest('hex').slice(0, 16)}', addon: ${addon.source}, libraries: [${libraries.map((entry) => entry.source)}] },`,
    '  cacheFolders(process.env),',
    ')',
  ].join('\n')
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
