import { statSync } from 'node:fs'
import type { Command } from 'commander'
import { readConfig } from '../../config/config.ts'
import type { Problem, Registry } from '../../definition/model.ts'
import { byLocation, problemText } from '../../definition/problems.ts'
import { againstUrl } from '../against.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { restoreEditorTypes } from '../editor-types.ts'
import { featureFiles } from '../feature-files.ts'
import { fileOption } from '../file-option.ts'
import { counted, fitted, table, tableWidth } from '../output.ts'

const HELP = `
SQL is prepared in the database that serving would use: PostgreSQL where
FABRA_POSTGRES_URL or --against names one, DuckDB otherwise. Nothing is left
behind: tables that serving would make are made and taken back.

HISTORY tells what history: "auto" comes to in a store that is begun now, or
with FABRA_HISTORY=auto: what is recorded of which features, and why.

Examples:
  $ fabra check                          features.ts, features.py of this folder
  $ fabra check a.ts b.py --json         for machines
  $ fabra check --against postgres://user:password@host:5432/database

Exit codes: 0 no problems, 1 problems, 2 misused.`

export function checkCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('check')
    .description('find what is wrong with definitions, without serving')
    .argument('[files...]', 'definition files (default: features.ts and features.py)')
    .addOption(fileOption('definition files, as with other commands'))
    .option('--against <url>', 'prepare SQL in this PostgreSQL')
    .option('--types', 'check types in Python too, with the mypy or pyright of the environment')
    .addHelpText('after', HELP)
    .action(async (given: readonly string[], options: { file?: string[]; against?: string; types?: true }) => {
      const against = againstUrl(options.against)
      const files = featureFiles([...given, ...(options.file ?? [])], context.cwd)
      for (const file of files) restoreEditorTypes(file)
      const found = await findProblems(files, { against, pythonTypes: options.types === true }, host)
      context.stdout(context.json ? asJson(found) : asText(found, context.cwd, tableWidth(host.stdoutIsTerminal, host)))
      if (found.problems.length > 0) context.setExitCode(1)
    })
}

interface Findings {
  readonly registry: Registry
  readonly problems: readonly Problem[]
  /** What works, but not in every way: a table that no source declares, for example. */
  readonly warnings: readonly Problem[]
  /** By feature. */
  readonly recorded: ReadonlyMap<string, string>
}

interface CheckFlags {
  readonly against: string | null
  /** Those of files in TypeScript are checked without being asked for. */
  readonly pythonTypes: boolean
}

/** Loads the definitions and checks their types, both at once: each finds what the other cannot. */
async function findProblems(files: readonly string[], { against, pythonTypes }: CheckFlags, host: CliProcess): Promise<Findings> {
  const config = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const { checkPlace, checkProject } = await import('../../app/app.ts')
  const { typeCheck } = await import('../type-check.ts')
  const { pythonTypeCheck } = await import('../python-type-check.ts')
  const inPython = pythonTypes ? files.filter((file) => file.endsWith('.py')) : []
  const [project, types, pythons] = await Promise.all([
    checkProject(files, checkPlace(config, against), config.python),
    typeCheck(files.filter(isCode)),
    pythonTypeCheck(inPython, config.python, host.cwd),
  ])
  // What both found, the definitions say more plainly.
  const news = types.filter((type) => !project.problems.some((problem) => tellsOf(problem, type)))
  const problems = [...project.problems, ...news, ...pythons]
  return { ...project, problems: problems.sort(byLocation) }
}

/** What is no code at all is told by the definitions. */
function isCode(file: string): boolean {
  return /\.(?:[cm]?[jt]s|[jt]sx)$/.test(file) && statSync(file).isFile()
}

/** The same line, or the same wrong text further down in the same definition: `refresh "5 minuts"` and `Type '"5 minuts"' is not …`. */
function tellsOf(problem: Problem, type: Problem): boolean {
  if (problem.location === null || type.location === null || problem.location.file !== type.location.file) return false
  // TS1xxx: the file does not parse; each parser stumbles at its own place over the same slip.
  if (/^TS1\d{3}$/.test(type.subject) && problem.subject.startsWith('file ')) return true
  const wrongText = /'("[^"]+")'/.exec(type.message)?.[1]
  const sameText = wrongText !== undefined && problem.message.includes(wrongText) && problem.location.line < type.location.line
  return problem.location.line === type.location.line || sameText
}

/** @param width Of the terminal; null: a line each, as a machine reads them. */
function asText({ registry, problems, warnings, recorded }: Findings, cwd: string, width: number | null): string {
  const lines = [
    ...problems.map((problem) => fitted(problemText(problem, cwd), width)),
    ...warnings.map((warning) => fitted(`warning ${problemText(warning, cwd)}`, width)),
  ]
  const size = `${counted(registry.features.size, 'feature')}, ${counted(registry.sources.size, 'source')}, no problems`
  const summary = [
    problems.length === 0 ? size : counted(problems.length, 'problem'),
    ...(warnings.length === 0 ? [] : [counted(warnings.length, 'warning')]),
  ]
  // Problems are to be mended first.
  const history = problems.length > 0 || recorded.size === 0 ? [] : [table([['FEATURE', 'HISTORY'], ...recorded], width).trimEnd()]
  return `${[...lines, ...history, summary.join(', ')].join('\n\n')}\n`
}

function asJson({ registry, problems, warnings, recorded }: Findings): string {
  const sizes = { features: registry.features.size, sources: registry.sources.size }
  return `${JSON.stringify({ ...sizes, problems: problems.map(flat), warnings: warnings.map(flat), recorded: Object.fromEntries(recorded) })}\n`
}

function flat({ location, subject, message, hint }: Problem): object {
  return { file: location?.file ?? null, line: location?.line ?? null, column: location?.column ?? null, subject, message, hint }
}
