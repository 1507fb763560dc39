/** `fabra deploy --check`: what would fail on the platform, found on the laptop. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { InvalidDefinitions, problemText } from '../../definition/problems.ts'
import type { Deployment } from '../../deploy/platform.ts'
import type { CliContext, CliProcess } from '../context.ts'
import type { Stray } from './project-imports.ts'

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
}

/** Prints every problem; exit 1 when there are some. */
export async function checkDeployment(plan: Deployment, checked: Checked, context: CliContext, host: CliProcess): Promise<void> {
  const failures = [
    ...missingSettings(plan, checked.platform, context, host),
    ...(await definitionProblems(checked.definitions, context, host)),
    ...checked.strays.map(({ message, hint }) => ({ subject: 'image', message, hint })),
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

async function definitionProblems(files: readonly string[], context: CliContext, host: CliProcess): Promise<Failure[]> {
  const scripts = files.filter((file) => !file.endsWith('.py'))
  if (scripts.length === 0) return []
  const { checkProject } = await import('../../app/app.ts')
  const found = await checkProject(scripts).catch((error: unknown) => {
    if (error instanceof InvalidDefinitions) return { registry: null, problems: error.problems }
    throw error
  })
  const local = [...(found.registry?.sources.values() ?? [])].filter((source) => source.file !== null)
  // Tables of a database that is not there to be asked are not missing.
  const isUnknown = (message: string) => !host.env['FABRA_POSTGRES_URL'] && message.startsWith('There is no table')
  return [
    ...found.problems
      .filter((problem) => !isUnknown(problem.message))
      .map((problem) => {
        const [first = '', ...more] = problemText(problem, context.cwd).split('\n')
        return { subject: 'definitions', message: first, hint: more.join(' ').trim() }
      }),
    ...local.map((source) => ({
      subject: `source "${source.name}"`,
      message: 'its rows are in a file of this machine, and production reads tables of PostgreSQL.',
      hint: `Create the table ${source.name} there and load the rows, then leave "file" out.`,
    })),
  ]
}
