import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BunPlugin } from 'bun'
import type { UiFile } from '../src/http/ui/bundle.ts'

const MADE = join(import.meta.dir, '..', 'node_modules', '.cache', 'fabra', 'ui')

/**
 * Puts the files of the page at /ui, ready to be sent, inside the executable, in place of the module that makes them from source.
 * @param files Made before the build begins: the bundler waits for itself when it is called while it runs.
 */
export function embedUi(files: readonly UiFile[]): BunPlugin {
  return {
    name: 'embed-ui',
    setup(build) {
      build.onLoad({ filter: /[\\/]src[\\/]http[\\/]ui[\\/]bundle\.ts$/ }, () => ({ loader: 'ts', contents: embedded(files) }))
      build.onResolve({ filter: /^ui-file:/ }, ({ path }) => ({ path: join(MADE, path.slice('ui-file:'.length)) }))
    },
  }
}

/** Names of packed files end in `.gz`, so that the bundler takes them for what they are: bytes. */
function embedded(files: readonly UiFile[]): string {
  mkdirSync(MADE, { recursive: true })
  for (const { name, packed } of files) writeFileSync(join(MADE, `${name}.gz`), packed)
  return [
    ...files.map(({ name }, i) => `import file${i} from ${JSON.stringify(`ui-file:${name}.gz`)} with { type: 'file' }`),
    'export async function uiFiles() {',
    `  const places = [${files.map(({ name }, i) => `[${JSON.stringify(name)}, file${i}]`).join(', ')}]`,
    '  return Promise.all(places.map(async ([name, path]) => ({ name, packed: await Bun.file(path).bytes() })))',
    '}',
  ].join('\n')
}
