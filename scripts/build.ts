/** Builds the executable: `scripts/build [--release] [--outfile dist/fabra]`. */
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { embedDuckdb } from './duckdb-plugin.ts'

const PROJECT = join(import.meta.dir, '..')

const { values: flags } = parseArgs({
  options: {
    /** The smallest executable; the first time this takes a minute. */
    release: { type: 'boolean', default: false },
    outfile: { type: 'string', default: join(PROJECT, 'dist', 'fabra') },
  },
})

const startedAt = performance.now()
const outfile = resolve(flags.outfile)
const draft = `${outfile}.${process.pid}`
mkdirSync(dirname(outfile), { recursive: true })
process.chdir(PROJECT)

const result = await Bun.build({
  entrypoints: ['src/main.ts', 'src/runtime/worker.ts'].filter((path) => existsSync(path)),
  root: 'src',
  compile: {
    outfile: draft,
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
  define: { 'process.env.NODE_ENV': '"production"' },
  plugins: [embedDuckdb({ platform: `${process.platform}-${process.arch}`, level: flags.release ? 19 : 9 })],
  throw: false,
})

if (!result.success) {
  for (const message of result.logs) console.error(message)
  console.error('The build failed.')
  process.exit(1)
}
// The map is inside the executable as well.
for (const output of result.outputs) if (output.path.endsWith('.map')) rmSync(output.path, { force: true })
// Running processes keep the old file; nobody sees a half-written one.
renameSync(draft, outfile)
const megabytes = (statSync(outfile).size / 1e6).toFixed(1)
console.error(`Built ${outfile} (${megabytes} MB) in ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`)
