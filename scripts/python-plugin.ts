import type { BunPlugin } from 'bun'
import { packageFiles } from '../src/runtime/python/package-files.ts'

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
