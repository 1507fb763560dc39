/** `fabra deploy --check`: what would fail on the platform, found on the laptop. */
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseEnv } from 'node:util'
import { InvalidDefinitions, problemText } from '../definition/problems.ts'
import type { Deployment } from '../deploy/platform.ts'
import type { CliContext } from './context.ts'
import type { ProjectContents } from './project-contents.ts'
import type { CliProcess } from './run.ts'
import { inTrialCopy } from './trial-copy.ts'

interface Failure {
  readonly subject: string
  readonly message: string
  readonly hint: string
}

interface Checked {
  /** Absolute. */
  readonly definitions: readonly string[]
  readonly contents: ProjectContents
  /** For people. */
  readonly platform: string
}

/** Prints every problem; exit 1 when there are some. */
export async function checkDeployment(plan: Deployment, checked: Checked, context: CliContext, host: CliProcess): Promise<void> {
  const failures = [
    ...missingSettings(plan, checked.platform, context, host),
    ...(await problemsInImage(checked, context, host)),
    ...[...checked.contents.strays, ...checked.contents.foreign].map(({ message, hint }) => ({ subject: 'image', message, hint })),
  ]
  if (failures.length > 0) context.setExitCode(1)
  if (context.json) {
    context.stdout(`${JSON.stringify({ problems: failures })}\n`)
    return
  }
  const told = failures.map(({ subject, message, hint }) => `${subject}: ${message}\n    ${hint}\n`)
  const count = failures.length === 1 ? '1 problem' : `${failures.length} problems`
  context.stdout(failures.length === 0 ? `Nothing was found that would fail on ${checked.platform}.\n` : `${told.join('\n')}\n${count}\n`)
}

/** Names that platforms give their databases, which count as well. */
const ALSO: Readonly<Record<string, string>> = {
  FABRA_POSTGRES_URL: 'DATABASE_URL',
  FABRA_REDIS_URL: 'REDIS_URL',
  FABRA_API_KEYS: 'FABRA_API_KEYS_FILE',
}

/** The platform's own secrets cannot be seen from here: what counts is this environment and .env. */
function missingSettings(plan: Deployment, platform: string, context: CliContext, host: CliProcess): Failure[] {
  const path = join(context.cwd, '.env')
  const file: Readonly<Record<string, string | undefined>> = existsSync(path) ? parseEnv(readFileSync(path, 'utf8')) : {}
  const isSet = (name: string | undefined) => name !== undefined && Boolean(host.env[name] || file[name])
  return plan.secrets
    .filter((name) => !isSet(name) && !isSet(ALSO[name]))
    .map((name) => ({
      subject: name,
      message: `is set neither here nor in .env, and ${platform} does not set it by itself.`,
      hint: 'Without it the server does not start. --dry-run shows the command that sets it there.',
    }))
}

/** The definitions are loaded, and their functions called, where there is only what the image will hold. */
async function problemsInImage({ definitions, contents }: Checked, context: CliContext, host: CliProcess): Promise<Failure[]> {
  // What does not go in is told already: as they are, the definitions may have other problems.
  if (contents.strays.length > 0) return definitionProblems(definitions, context.cwd, host)
  return inTrialCopy(context.cwd, contents.copied, async (copy) => {
    const copied = definitions.map((file) => join(copy, relative(context.cwd, file)))
    const problems = await definitionProblems(copied, copy, host)
    return [...problems, ...(await missingInImage(copied, copy, context.cwd))]
  })
}

async function missingInImage(files: readonly string[], copy: string, folder: string): Promise<Failure[]> {
  const { missingFiles } = await import('../app.ts')
  return (await missingFiles(files)).map(({ feature, place, message }) => {
    const text = message.replaceAll(`${copy}/`, '')
    const path = /(['"])(?:\.\/)?([^'"]+)\1/.exec(text)?.[2]
    const isHere = path !== undefined && existsSync(join(folder, path))
    const where = place === null ? '' : ` (${relative(copy, place.file)}:${place.line})`
    return {
      subject: `feature "${feature}"`,
      message: `its function does not find a file in the image: ${text}${where}`,
      hint: isHere ? `--include ${path} copies it.` : 'Put it below this folder, and name it with --include.',
    }
  })
}

async function definitionProblems(files: readonly string[], folder: string, host: CliProcess): Promise<Failure[]> {
  const { checkProject } = await import('../app.ts')
  const found = await checkProject(files).catch((error: unknown) => {
    if (error instanceof InvalidDefinitions) return { registry: null, problems: error.problems }
    throw error
  })
  // Tables of a database that is not there to be asked are not missing.
  const isUnknown = (message: string) => !host.env['FABRA_POSTGRES_URL'] && message.startsWith('There is no table')
  return found.problems
    .filter((problem) => !isUnknown(problem.message))
    .map((problem) => {
      const [first = '', ...more] = problemText(problem, folder).split('\n')
      return { subject: 'definitions', message: first, hint: more.join(' ').trim() }
    })
}
