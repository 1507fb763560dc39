import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { type Command, Option } from 'commander'
import type { TestStore } from '../../app/app.ts'
import { readConfig } from '../../config/config.ts'
import { parseExact, stringifyExact } from '../../definition/exact-json.ts'
import { InvalidDefinitions } from '../../definition/problems.ts'
import { FabraError } from '../../errors.ts'
import { createLogger, type Logger } from '../../observability/logger.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { featureFiles } from '../feature-files.ts'
import { type GoldenCase, type GoldenFile, goldenFiles, readGolden, sameValue, testTime } from '../golden-file.ts'
import { counted } from '../output.ts'

const HELP = `
A golden file stands beside the features and ends in .golden.json:
  { "file": "features.ts",
    "cases": [{ "at": "2026-01-02T00:00Z",
                "given": { "transactions": [{ "user_id": "u1", … }] },
                "feature": "transaction_count_1h", "key": "u1", "value": 1 }] }
(.golden.jsonl: a case a line.) The rows take the place of the sources' own,
the clock stands still, nothing is kept, and no server is asked.

Examples:
  $ fabra test                           all golden files of this folder
  $ fabra test features.golden.json
  $ fabra test --update                  writes the values that features have

Exit codes: 0 all passed, 1 some failed, 2 misused.`

export function testCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('test')
    .description('test features without a server: given these rows at a time, what are their values')
    .argument('[files...]', 'golden files, or folders of them (default: all below this folder)')
    .option('--update', 'write the values that came into the golden files')
    .addOption(new Option('--serve', 'answer the questions of a test helper: arguments are definition files').hideHelp())
    .addHelpText('after', HELP)
    .action(async (given: readonly string[], options: { update?: true; serve?: true }) => {
      if (options.serve) return answer(given, context, host)
      const goldens = await Promise.all(goldenFiles(given, context.cwd).map((path) => readGolden(path, context.cwd)))
      const outcomes: Outcome[] = []
      for (const golden of goldens) {
        const came = await runGolden(golden, context, host)
        outcomes.push(...came)
        if (options.update) await update(golden, came)
        if (!context.json) for (const one of came) context.stdout(outcomeText(one, options.update === true))
      }
      tell(outcomes, options.update === true, context)
    })
}

/** Until stdin ends. */
async function answer(given: readonly string[], context: CliContext, host: CliProcess): Promise<void> {
  const { answerTests } = await import('../test-dialogue.ts')
  const { python } = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const lines = createInterface({ input: Readable.fromWeb(Bun.stdin.stream() as never), crlfDelay: Number.POSITIVE_INFINITY })
  await answerTests(lines, { files: featureFiles(given, context.cwd), python, log: testLogger(context), cwd: context.cwd }, context.stdout)
}

/** What came of one case: JSON text of a value, or an error. */
interface Outcome {
  readonly golden: GoldenFile
  readonly asked: GoldenCase
  readonly value: string | null
  readonly error: FabraError | null
  readonly passed: boolean
}

async function runGolden(golden: GoldenFile, context: CliContext, host: CliProcess): Promise<Outcome[]> {
  const { openTestStore } = await import('../../app/app.ts')
  const config = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const files = featureFiles(golden.definitions, dirname(golden.path))
  const known = golden.cases.map((one) => one.given)
  const store = await openTestStore({ files, known, python: config.python, log: testLogger(context) })
  try {
    const outcomes: Outcome[] = []
    for (const asked of golden.cases) {
      const came = await cameOf(store, asked).then((value) => ({ value, error: null }), failure)
      const passed = came.value !== null && asked.value !== undefined && sameValue(parseExact(came.value), asked.value)
      outcomes.push({ golden, asked, ...came, passed })
    }
    return outcomes
  } finally {
    await store.close()
  }
}

async function cameOf(store: TestStore, asked: GoldenCase): Promise<string> {
  return store.value({ ...asked, at: testTime(asked.at) })
}

function failure(error: unknown): { value: null; error: FabraError } {
  if (error instanceof FabraError && !(error instanceof InvalidDefinitions)) return { value: null, error }
  throw error
}

/** What functions print, and what else there is to be known. */
function testLogger(context: CliContext): Logger {
  return createLogger({ level: 'info', format: 'pretty', color: context.color, write: context.stderr, time: () => '' })
}

async function update(golden: GoldenFile, outcomes: readonly Outcome[]): Promise<void> {
  const news = outcomes.filter(({ value, passed }) => value !== null && !passed)
  for (const { asked, value } of news) asked.written['value'] = parseExact(value ?? 'null')
  if (news.length > 0) await Bun.write(golden.path, golden.text())
}

function outcomeText({ asked, value, error, passed }: Outcome, updated: boolean): string {
  const title = `${asked.place}  ${String(asked.written['name'] ?? `${asked.feature} of ${stringifyExact(asked.key)} at ${asked.at}`)}`
  if (passed) return `passed  ${title}\n`
  if (error) return `failed  ${title}\n    ${error.code}: ${error.message}\n${error.hint ? `    ${error.hint}\n` : ''}`
  if (updated) return `updated ${title}\n    ${value}\n`
  if (asked.value === undefined) return `failed  ${title}\n    no value is expected yet; it is ${value} (fabra test --update writes it)\n`
  return `failed  ${title}\n    expected ${stringifyExact(asked.value)}\n    came     ${value}\n`
}

function tell(outcomes: readonly Outcome[], updated: boolean, context: CliContext): void {
  const failed = outcomes.filter(({ passed, error }) => !passed && (!updated || error !== null))
  const written = updated ? outcomes.filter(({ passed, error }) => !passed && error === null) : []
  const passed = outcomes.length - failed.length - written.length
  if (failed.length > 0) context.setExitCode(1)
  if (context.json) {
    const cases = outcomes.map(({ golden, asked, value, error, passed: ok }) => ({
      ...{ file: golden.path, case: asked.place, feature: asked.feature, passed: ok },
      expected: asked.value ?? null,
      value: value === null ? null : parseExact(value),
      error: error === null ? null : { code: error.code, message: error.message, hint: error.hint ?? null },
    }))
    context.stdout(`${stringifyExact({ passed, failed: failed.length, updated: written.length, cases })}\n`)
    return
  }
  const parts = [`${counted(outcomes.length, 'case')}: ${passed} passed`, `${failed.length} failed`]
  context.stdout(`${[...parts, ...(updated ? [`${written.length} updated`] : [])].join(', ')}\n`)
}
