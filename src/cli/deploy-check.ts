/** `fabra deploy --check`: what would fail on the platform, found on the laptop. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import type { CheckedProject } from '../app.ts'
import { readConfig } from '../config.ts'
import type { Problem } from '../definition/model.ts'
import { problemText } from '../definition/problems.ts'
import type { Deployment } from '../deploy/platform.ts'
import { FabraError } from '../errors.ts'
import type { CliContext } from './context.ts'
import { counted } from './output.ts'
import type { Stray } from './project-imports.ts'
import type { CliProcess } from './run.ts'

interface Failure {
  readonly subject: string
  readonly message: string
  readonly hint: string
}

interface Checked {
  /** Absolute. */
  readonly definitions: readonly string[]
  readonly strays: readonly Stray[]
  /** For people. */
  readonly platform: string
  /** The PostgreSQL that SQL is prepared in; null: that of the environment, if it names one. */
  readonly against: string | null
}

/** Prints every problem; exit 1 when there are some. */
export async function checkDeployment(plan: Deployment, checked: Checked, context: CliContext, host: CliProcess): Promise<void> {
  const project = await checkDefinitions(checked, host)
  const asFailure = (problem: Problem) => definitionFailure(problem, context)
  const failures = [
    ...missingSettings(plan, checked.platform, context, host),
    ...(project?.problems.map(asFailure) ?? []),
    ...checked.strays.map(({ message, hint }) => ({ subject: 'image', message, hint })),
  ]
  const warnings = project?.warnings.map(asFailure) ?? []
  if (failures.length > 0) context.setExitCode(1)
  if (context.json) {
    context.stdout(`${JSON.stringify({ problems: failures, warnings })}\n`)
    return
  }
  const told = ({ subject, message, hint }: Failure) => `${subject}: ${message}\n    ${hint}\n`
  const counts = [counted(failures.length, 'problem'), ...(warnings.length === 0 ? [] : [counted(warnings.length, 'warning')])]
  const summary = failures.length === 0 ? `Nothing was found that would fail on ${checked.platform}.` : counts.join(', ')
  context.stdout([...failures.map(told), ...warnings.map((warning) => `warning ${told(warning)}`), `${summary}\n`].join('\n'))
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

/** Where production would prepare, or as far as that is known here. */
async function checkDefinitions({ definitions, against }: Checked, host: CliProcess): Promise<CheckedProject | null> {
  const scripts = definitions.filter((file) => !file.endsWith('.py'))
  if (scripts.length === 0) return null
  const { checkPlace, checkProject } = await import('../app.ts')
  try {
    const config = readConfig({ ...host.env, FABRA_ENV: 'production' }, { cwd: host.cwd, terminal: host.stderrIsTerminal })
    return await checkProject(scripts, checkPlace(config, against))
  } catch (error) {
    if (!(error instanceof FabraError) || error.code !== 'invalid_config') throw error
    // No server starts with such settings; of the definitions is said what can be said without.
    const found = await checkProject(scripts, { kind: 'unprepared' })
    return {
      ...found,
      problems: [{ place: null, subject: 'environment', message: error.message, hint: error.hint ?? '' }, ...found.problems],
    }
  }
}

function definitionFailure(problem: Problem, context: CliContext): Failure {
  const [first = '', ...more] = problemText(problem, context.cwd).split('\n')
  return { subject: 'definitions', message: first, hint: more.join(' ').trim() }
}
