import type { Command } from 'commander'
import type { Problem, Registry } from '../../definition/model.ts'
import { problemText } from '../../definition/problems.ts'
import type { CliContext } from '../context.ts'
import { restoreEditorTypes } from '../editor-types.ts'
import { featureFiles } from '../feature-files.ts'

const HELP = `
Examples:
  $ fabra check                          features.ts of this folder
  $ fabra check a.ts b.ts --json         for machines

Exit codes: 0 no problems, 1 problems, 2 misused.`

export function checkCommand(program: Command, context: CliContext): void {
  program
    .command('check')
    .description('find what is wrong with definitions, without serving')
    .argument('[files...]', 'definition files (default: features.ts)')
    .option('-f, --file <file...>', 'definition files, as with other commands')
    .addHelpText('after', HELP)
    .action(async (given: readonly string[], options: { file?: string[] }) => {
      const files = featureFiles([...given, ...(options.file ?? [])], context.cwd)
      for (const file of files) restoreEditorTypes(file)
      const found = await findProblems(files)
      context.stdout(context.json ? asJson(found) : asText(found, context.cwd))
      if (found.problems.length > 0) context.setExitCode(1)
    })
}

interface Findings {
  readonly registry: Registry
  readonly problems: readonly Problem[]
  /** What works, but not in every way: a table that no source declares, for example. */
  readonly warnings: readonly Problem[]
}

/** Loads the definitions and checks their types, both at once: each finds what the other cannot. */
async function findProblems(files: readonly string[]): Promise<Findings> {
  const { checkProject } = await import('../../app.ts')
  const { typeCheck } = await import('../type-check.ts')
  const [project, types] = await Promise.all([checkProject(files), typeCheck(files)])
  const told = new Set(project.problems.map(lineOf))
  // Of one line the definitions speak more plainly than the types.
  const problems = [...project.problems, ...types.filter((problem) => problem.place === null || !told.has(lineOf(problem)))]
  return { ...project, problems: problems.sort(byPlace) }
}

function lineOf({ place }: Problem): string {
  return place === null ? '' : `${place.file}:${place.line}`
}

function byPlace(a: Problem, b: Problem): number {
  if (a.place === null || b.place === null) return Number(a.place !== null) - Number(b.place !== null)
  return a.place.file.localeCompare(b.place.file) || a.place.line - b.place.line || a.place.column - b.place.column
}

function asText({ registry, problems, warnings }: Findings, cwd: string): string {
  const told = [
    ...problems.map((problem) => problemText(problem, cwd)),
    ...warnings.map((warning) => `warning ${problemText(warning, cwd)}`),
  ]
  const size = `${count(registry.features.size, 'feature')}, ${count(registry.sources.size, 'source')}, no problems`
  const summary = [
    problems.length === 0 ? size : count(problems.length, 'problem'),
    ...(warnings.length === 0 ? [] : [count(warnings.length, 'warning')]),
  ]
  return `${[...told, summary.join(', ')].join('\n\n')}\n`
}

function asJson({ registry, problems, warnings }: Findings): string {
  const sizes = { features: registry.features.size, sources: registry.sources.size }
  return `${JSON.stringify({ ...sizes, problems: problems.map(flat), warnings: warnings.map(flat) })}\n`
}

function flat({ place, subject, message, hint }: Problem): object {
  return { file: place?.file ?? null, line: place?.line ?? null, column: place?.column ?? null, subject, message, hint }
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
