/** One executable for one system: what scripts/build makes for this machine, and scripts/release for all. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { uiFiles } from '../src/http/ui/bundle.ts'
import { embedDuckdb } from './duckdb-plugin.ts'
import { embedPythonPackage } from './python-plugin.ts'
import { embedUi } from './ui-plugin.ts'

const PROJECT = join(import.meta.dir, '..')

export interface ExecutableOptions {
  readonly outfile: string
  /** Of zstd, for DuckDB's library: 9 takes two seconds, 19 forty; the result is kept for the next build. */
  readonly level: number
  /** Another system than this one. */
  readonly target?: {
    /** As Bun calls it. */
    readonly system: Bun.Build.CompileTarget
    /** Bun's own executable for it. */
    readonly bun: string
    /** Folder of DuckDB's package for it. */
    readonly duckdb: string
  }
}

/** @throws Error with everything the bundler said. */
export async function buildExecutable({ outfile, level, target }: ExecutableOptions): Promise<void> {
  const path = resolve(outfile)
  // The name of the draft is inside of it: always the same one, in a folder of this build's own.
  const folder = join(dirname(path), `.build-${process.pid}`)
  const draft = join(folder, 'fabra')
  mkdirSync(folder, { recursive: true })
  process.chdir(PROJECT)
  const ui = await uiFiles()
  const result = await Bun.build({
    entrypoints: ['src/main.ts', 'src/runtime/worker.ts'].filter((entry) => existsSync(entry)),
    root: 'src',
    compile: {
      outfile: draft,
      ...(target ? { target: target.system, executablePath: target.bun } : {}),
      // The user's own packages, #imports and tsconfig paths are found as Bun would find them …
      autoloadPackageJson: true,
      autoloadTsconfig: true,
      // … but a bunfig.toml or .env that happens to lie in the current folder changes nothing.
      autoloadBunfig: false,
      autoloadDotenv: false,
    },
    // Names stay, so that stacks can be read.
    minify: { whitespace: true, syntax: true, identifiers: false },
    // Halves the time to start; needs esm, because src/main.ts awaits at the top level.
    bytecode: true,
    format: 'esm',
    // A command loads only what it needs.
    splitting: true,
    sourcemap: 'linked',
    // Packages in the old form would carry the paths of the folder they were built in; nothing lies there at run time.
    define: { 'process.env.NODE_ENV': '"production"', __dirname: '"/fabra"', __filename: '"/fabra/module.js"' },
    plugins: [
      embedUi(ui),
      embedDuckdb({
        folder: target?.duckdb ?? join(PROJECT, 'node_modules', '@duckdb', `node-bindings-${process.platform}-${process.arch}`),
        level,
      }),
      embedPythonPackage(),
    ],
    throw: false,
  })
  try {
    if (!result.success) throw new Error(`The build failed.\n${result.logs.map(String).join('\n')}`)
    // Running processes keep the old file; nobody sees a half-written one. The map beside it is inside the executable as well.
    renameSync(draft, path)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
