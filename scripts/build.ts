/** Builds the executable: `scripts/build [--release] [--outfile dist/fabra]`. */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildExecutable } from './executable.ts'

const { values: flags } = parseArgs({
  options: {
    /** The smallest executable; the first time this takes a minute. */
    release: { type: 'boolean', default: false },
    outfile: { type: 'string', default: join(import.meta.dir, '..', 'dist', 'fabra') },
  },
})

const startedAt = performance.now()
const outfile = resolve(flags.outfile)
try {
  await buildExecutable({ outfile, level: flags.release ? 19 : 9 })
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
const megabytes = (statSync(outfile).size / 1e6).toFixed(1)
console.error(`Built ${outfile} (${megabytes} MB) in ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`)
