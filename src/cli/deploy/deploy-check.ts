/** `fabra deploy --check`: what would fail on the platform, found on the laptop. */
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseEnv } from 'node:util'
import type { CheckedProject } from '../../app/app.ts'
import { readConfig } from '../../config/config.ts'
import { pythonSettingsOf } from '../../config/python-settings.ts'
import type { Problem } from '../../definition/model.ts'
import { problemText } from '../../definition/problems.ts'
import type { Deployment } from '../../deploy/platform.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { counted } from '../output.ts'
import type { ProjectContents, Remark } from './project-contents.ts'
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
  /** The PostgreSQL that SQL is prepared in; null: that of the environment, if it names one. */
  readonly against: string | null
}

/** Prints every problem; exit 1 when there are some. */
export async function checkDeployment(plan: Deployment, checked: Checked, context: CliContext, host: CliProcess): Promise<void> {
  const { problems, warnings } = await findInImage(checked, context, host)
  const failures = [
    ...missingSettings(plan, checked.platform, context, host),
    ...problems,
    ...[...checked.contents.strays, ...checked.contents.foreign].map(inImage),
  ]
  if (failures.length > 0) context.setExitCode(1)
  if (context.json) {
    context.stdout(`${JSON.stringify({ problems: failures, warnings })}\n`)
    return
  }
  const asText = ({ subject, message, hint }: Failure) => `${subject}: ${message}\n    ${hint}\n`
  const counts = [counted(failures.length, 'problem'), ...(warnings.length === 0 ? [] : [counted(warnings.length, 'warning')])]
  const summary = failures.length === 0 ? `Nothing was found that would fail on ${checked.platform}.` : counts.join(', ')
  context.stdout([...failures.map(asText), ...warnings.map((warning) => `warning ${asText(warning)}`), `${summary}\n`].join('\n'))
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

interface Found {
  readonly problems: readonly Failure[]
  readonly warnings: readonly Failure[]
}

/** The definitions are loaded, and their functions called, where there is only what the image will hold. */
async function findInImage({ definitions, contents, against }: Checked, context: CliContext, host: CliProcess): Promise<Found> {
  // What does not go in is told already: as they are, the definitions may have other problems.
  if (contents.strays.length > 0) return findIn(context.cwd, definitions, against, host)
  return inTrialCopy(context.cwd, contents.copied, async (copy) => {
    const copied = definitions.map((file) => join(copy, relative(context.cwd, file)))
    const { problems, warnings } = await findIn(copy, copied, against, host)
    return { problems: [...problems, ...(await missingInImage(copied, copy, context.cwd, host))], warnings }
  })
}

async function findIn(folder: string, files: readonly string[], against: string | null, host: CliProcess): Promise<Found> {
  const { problems, warnings } = await checkDefinitions(files, against, host)
  const asFailure = (problem: Problem): Failure => {
    const [first = '', ...more] = problemText(problem, folder).split('\n')
    return { subject: 'definitions', message: first, hint: more.join(' ').trim() }
  }
  return { problems: problems.map(asFailure), warnings: warnings.map(asFailure) }
}

async function missingInImage(files: readonly string[], copy: string, folder: string, host: CliProcess): Promise<Failure[]> {
  const { missingFiles } = await import('../../app/app.ts')
  return (await missingFiles(files, pythonSettingsOf(host.env))).map(({ feature, location, message }) => {
    const text = message.replaceAll(`${copy}/`, '')
    const path = /(['"])(?:\.\/)?([^'"]+)\1/.exec(text)?.[2]
    const isHere = path !== undefined && existsSync(join(folder, path))
    const where = location === null ? '' : ` (${relative(copy, location.file)}:${location.line})`
    return {
      subject: `feature "${feature}"`,
      message: `its function does not find a file in the image: ${text}${where}`,
      hint: isHere ? `--include ${path} copies it.` : 'Put it below this folder, and name it with --include.',
    }
  })
}

/** Where production would prepare, or as far as that is known here. */
async function checkDefinitions(files: readonly string[], against: string | null, host: CliProcess): Promise<CheckedProject> {
  const { checkPlace, checkProject } = await import('../../app/app.ts')
  try {
    const config = readConfig({ ...host.env, FABRA_ENV: 'production' }, { cwd: host.cwd, terminal: host.stderrIsTerminal })
    return await checkProject(files, checkPlace(config, against), config.python)
  } catch (error) {
    if (!(error instanceof FabraError) || error.code !== 'invalid_config') throw error
    // No server starts with such settings; of the definitions is said what can be said without.
    const found = await checkProject(files, { kind: 'unprepared' }, pythonSettingsOf(host.env))
    return {
      ...found,
      problems: [{ location: null, subject: 'environment', message: error.message, hint: error.hint ?? '' }, ...found.problems],
    }
  }
}

function inImage({ message, hint }: Remark): Failure {
  return { subject: 'image', message, hint }
}
