import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BunPlugin } from 'bun'

const PACKAGE = join(import.meta.dir, '..', 'src', 'python', 'fabra')

/** Puts the Python package that workers import into the executable: src/runtime/python/package-files.ts then reads no folder. */
export function embedPythonPackage(): BunPlugin {
  return {
    name: 'embed-python-package',
    setup(build) {
      build.onLoad({ filter: /runtime[\\/]python[\\/]package-files\.ts$/ }, () => ({
        loader: 'ts',
        contents: `const files = ${JSON.stringify(packageFiles())}\nexport const packageFiles = () => files\n`,
      }))
    },
  }
}

/** The client stays out: it is for other processes than the server's workers. */
function packageFiles(): Readonly<Record<string, string>> {
  const names = readdirSync(PACKAGE).filter((name) => /\.(?:py|pyi|typed)$/.test(name))
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(PACKAGE, name), 'utf8')]))
}
