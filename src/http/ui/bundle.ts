/**
 * The files of the page at /ui, made of src/ui by Bun's bundler. From source this happens when somebody first looks; the executable has them inside:
 * scripts/ui-plugin.ts puts in place of this module one that reads them from there.
 */
import { join } from 'node:path'

export interface UiFile {
  /** With the hash of what is in it: another content has another name. */
  readonly name: string
  readonly packed: Uint8Array
}

const ROOM = join(import.meta.dir, '../../ui')

/** @throws AggregateError with everything that the bundler said */
export async function uiFiles(): Promise<readonly UiFile[]> {
  const result = await Bun.build({
    entrypoints: [join(ROOM, 'main.tsx'), join(ROOM, 'early.ts'), join(ROOM, 'icon.svg')],
    target: 'browser',
    format: 'esm',
    minify: true,
    // Charts and the layout of lineage are fetched by the pages that need them.
    splitting: true,
    naming: { entry: '[name]-[hash].[ext]', chunk: '[name]-[hash].[ext]', asset: '[name]-[hash].[ext]' },
    loader: { '.svg': 'file' },
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  const files = await Promise.all(
    result.outputs.map(async (output) => ({
      name: output.path.replace(/^.*[\\/]/, ''),
      packed: Bun.gzipSync(await output.arrayBuffer(), { level: 9 }),
    })),
  )
  // An entry that only names a file leaves a module behind that nobody loads.
  return files.filter(({ name }) => !/^icon-.*\.js$/.test(name))
}
