/**
 * Runs `bun test` with the arguments given and ends with a line that people and machines can read: "N passed, N failed". With `--cpu` a list before
 * it says how much processor time each file took, the dearest first.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startProduction } from '../test/support/production.ts'

const PROJECT = join(import.meta.dir, '..')
/** On a machine with more to do. Nothing waits this long when all is well. */
const TIMEOUT_MS = 180_000

/** Files at once: many tests wait for servers and deadlines, so that three keep two cores busy. They share what a process has loaded. */
const AT_ONCE = 3

/** How long each file took, for the longest to begin first, so that none of them ends alone. `scripts/test --update-timings` writes it anew. */
const TIMINGS = join(import.meta.dir, 'test-timings.json')

/** What fails once fails again: random cases are the same in each run, unless FABRA_TEST_SEED says which. */
const SEED = '20260110'

/** What users see, whatever stores stand behind it. */
const BEHAVIOUR = ['serving', 'refresh', 'ingest', 'http', 'runtime', 'examples', 'e2e']

/** Of these, what another mode says nothing about, and why. */
const ONLY_ON_LAPTOPS: Readonly<Record<string, string>> = {
  'test/e2e/data-folder.test.ts': "the folder of the DuckDB file is laptop mode's own",
  'test/e2e/data-damage.test.ts': "damages the DuckDB file, laptop mode's own",
  'test/e2e/binary.test.ts': 'the executable as it is downloaded: its data folder, its start and its size without any server',
  'test/examples/flights.test.ts':
    'loads three million rows into PostgreSQL, a minute; parity.test.ts asks this example in both modes over ten days of them',
  'test/examples/flights-training.test.ts': 'the same, and minutes of training; parity.test.ts trains it in both modes',
  'test/e2e/parity.test.ts': 'compares both modes, over servers of its own',
  'test/e2e/production.test.ts': 'is in production mode, over servers of its own',
  'test/e2e/setup.test.ts': 'is in production mode, over servers of its own',
  'test/e2e/workers.test.ts': 'is in production mode, over servers of its own',
}

function behaviourTests(): string[] {
  const files = BEHAVIOUR.flatMap((folder) => [...new Bun.Glob(`test/${folder}/**/*.test.ts`).scanSync({ cwd: PROJECT })]).sort()
  for (const [file, reason] of Object.entries(ONLY_ON_LAPTOPS)) {
    if (!files.includes(file)) throw new Error(`There is no ${file}.`)
    console.error(`not in production mode: ${file}: ${reason}`)
  }
  return files.filter((file) => !(file in ONLY_ON_LAPTOPS)).map((file) => `./${file}`)
}

const OWN_FLAGS = ['--production', '--cpu']
const given = process.argv.slice(2)
const isProduction = given.includes('--production')
const files = given.filter((word) => !OWN_FLAGS.includes(word))
const folder = mkdtempSync(join(tmpdir(), 'fabra-run-tests-'))
const cpuReport = join(folder, 'cpu')
const servers = isProduction ? await startProduction() : undefined
const addresses = servers && { FABRA_TEST_POSTGRES: servers.postgres.url, FABRA_TEST_REDIS: servers.redis.url }

/**
 * DuckDB takes this for the number of cores. With a thread for each, the one that asks turns round and round while another works, which on cores that
 * other tests want is a sixth of what all tests take. With `--production` it has its threads, as in the tests that say how many they want.
 */
const oneThread = isProduction ? {} : { SLURM_CPUS_ON_NODE: '1' }

const child = Bun.spawn(
  [
    process.execPath,
    'test',
    `--parallel=${AT_ONCE}`,
    '--no-isolate',
    // Tests that mostly wait run at once, so many of a file.
    '--max-concurrency=4',
    `--timings=${TIMINGS}`,
    `--timeout=${TIMEOUT_MS}`,
    ...(isProduction && files.length === 0 ? behaviourTests() : files),
  ],
  {
    cwd: PROJECT,
    env: {
      FABRA_TEST_SEED: SEED,
      ...oneThread,
      ...process.env,
      ...addresses,
      ...(given.includes('--cpu') ? { FABRA_TEST_CPU: cpuReport } : {}),
    },
    stdio: ['inherit', 'inherit', 'pipe'],
  },
)

// The report comes on stderr. It is shown as it arrives; the end of it is kept for the figures.
let report = ''
const decoder = new TextDecoder()
for await (const chunk of child.stderr) {
  process.stderr.write(chunk)
  report = (report + decoder.decode(chunk, { stream: true })).slice(-64_000)
}
const exitCode = await child.exited
await servers?.[Symbol.asyncDispose]()
if (existsSync(cpuReport)) console.error(cpuList(readFileSync(cpuReport, 'utf8')))
rmSync(folder, { recursive: true, force: true })

const summary = report.slice(Math.max(0, lastSummaryStart(report)))
const passed = figure(summary, 'pass')
let failed = figure(summary, 'fail')
if (failed === 0 && (exitCode !== 0 || passed === 0)) {
  console.error(passed === 0 ? 'No test ran to its end.' : `bun test ended with ${child.signalCode ?? `exit code ${exitCode}`}.`)
  failed = 1
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

/** Of lines that test/support/cpu-times.ts wrote. */
function cpuList(lines: string): string {
  const times = lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly file: string; readonly seconds: number })
    .toSorted((a, b) => b.seconds - a.seconds)
  const sum = times.reduce((seconds, one) => seconds + one.seconds, 0)
  const list = times.map(({ file, seconds }) => `${seconds.toFixed(1).padStart(8)}  ${file}`)
  return `\nSeconds of processor time, ${sum.toFixed(1)} in all:\n${list.join('\n')}\n`
}

/** The summary is the last block of the report and starts with the line " N pass". */
function lastSummaryStart(text: string): number {
  return [...text.matchAll(/^ *\d+ pass$/gm)].at(-1)?.index ?? text.length
}

/** A file that could not be loaded, or an error outside of any test, is among the failures that Bun counts. */
function figure(text: string, word: string): number {
  return Number(new RegExp(`^ *(\\d+) ${word}$`, 'm').exec(text)?.[1] ?? 0)
}
