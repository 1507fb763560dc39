/**
 * Runs the files of scripts/benches, or those named, and prints one table with the state of the machine it was measured on.
 * `--beside <executable>` measures reads and pushes of dist/fabra beside those of another executable instead.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import type { Bench, Measurement } from './benches/bench.ts'
import { beside } from './benches/beside.ts'

const FOLDER = join(import.meta.dir, 'benches')

const available = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => file.slice(0, -'.bench.ts'.length))
  .sort()
const [first, other] = process.argv.slice(2)
const wanted = first === undefined ? available : first === '--beside' ? [] : process.argv.slice(2)
const nameOf = (text: string) => text.replace(/=\d+$/, '')
const unknown = wanted.filter((text) => !available.includes(nameOf(text)))
if (unknown.length > 0) {
  console.error(`No benchmark "${unknown.join('", "')}". Known: ${available.join(', ')}.`)
  process.exit(2)
}

console.log(`${cpus().length} cores (${cpus()[0]?.model}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Bun ${Bun.version}, ${load()}`)
const takenBefore = taken()
let failures = 0
const rows: Measurement[] = []
for (const text of wanted) {
  const [name, size] = [nameOf(text), /=(\d+)$/.exec(text)?.[1]]
  try {
    const { bench } = (await import(join(FOLDER, `${name}.bench.ts`))) as { bench: Bench }
    rows.push(...(await bench(size === undefined ? undefined : Number(size))))
  } catch (error) {
    failures += 1
    console.error(`${name}: ${error instanceof Error ? error.message : error}`)
  }
}
if (first === '--beside') {
  if (other === undefined || !existsSync(other)) {
    console.error('--beside needs the path of another executable.')
    process.exit(2)
  }
  rows.push(...(await beside(resolve(other))))
}
print(rows)
const [stolen, all] = taken().map((ticks, i) => ticks - (takenBefore[i] ?? 0)) as [number, number]
console.log(`${load()}, ${((stolen / Math.max(1, all)) * 100).toFixed(1)} % of the cores' time taken by the host`)
process.exitCode = failures === 0 ? 0 : 1

/** Of a virtual machine's time, in ticks of all cores: what its host gave to others, and everything. While it is gone the slowest answers tell of the host. */
function taken(): [stolen: number, all: number] {
  const ticks = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/\s+/).slice(1, 9).map(Number) ?? []
  return [ticks[7] ?? 0, ticks.reduce((sum, value) => sum + value, 0)]
}

function load(): string {
  return `load average ${loadavg()
    .map((value) => value.toFixed(1))
    .join(' ')}`
}

function print(measurements: readonly Measurement[]): void {
  const table = [
    ['what', 'median', 'worst', 'runs', 'promise', ''],
    ...measurements.map((row) => {
      const values = [...row.values].sort((a, b) => a - b)
      const median = values[Math.floor(values.length / 2)] ?? Number.NaN
      const show = (value: number) => (Number.isNaN(value) ? '–' : `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${row.unit}`)
      const { atMost, atLeast } = row
      const worst = atLeast === undefined ? values.at(-1) : values[0]
      const isKept = median <= (atMost ?? Number.POSITIVE_INFINITY) && median >= (atLeast ?? Number.NEGATIVE_INFINITY)
      const promise = atMost !== undefined ? `≤ ${atMost} ${row.unit}` : atLeast !== undefined ? `≥ ${atLeast} ${row.unit}` : ''
      return [
        row.what,
        show(median),
        show(worst ?? Number.NaN),
        `${values.length}`,
        promise,
        promise === '' ? '' : isKept ? 'kept' : 'BROKEN',
      ]
    }),
  ]
  const widths = table[0]?.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0))) ?? []
  for (const cells of table)
    console.log(
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
}
