import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext } from '../context.ts'
import { yesOption } from '../may-write.ts'
import { table } from '../output.ts'
import type { CliProcess } from '../run.ts'

const HELP = `
Servers do the same when they start. Run it yourself where their role may not
change the schema: with the URL of one that may. All steps happen or none;
several may run it at once.

Examples:
  $ fabra migrate
  $ fabra migrate --dry-run
  $ FABRA_POSTGRES_URL=postgres://owner@db/app fabra migrate`

export function migrateCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('migrate')
    .description('bring the schema "fabra" in PostgreSQL up to this executable')
    .option('--dry-run', 'tell what would be done, and do nothing')
    .addOption(yesOption())
    .addHelpText('after', HELP)
    .action((options: { dryRun?: boolean }) => migrate(options.dryRun === true, context, host))
}

async function migrate(dryRun: boolean, context: CliContext, host: CliProcess): Promise<void> {
  const { postgresUrl } = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  if (postgresUrl === null) {
    throw new FabraError('invalid_config', 'There is no PostgreSQL to migrate: FABRA_POSTGRES_URL is not set.', {
      hint: 'Set it: FABRA_POSTGRES_URL=postgres://user:password@host:5432/database. Without it everything is in a file, which needs no migration.',
    })
  }
  if (!dryRun) await host.mayWrite?.()
  const { migrateSchema } = await import('../../stores.ts')
  const { migrations, applied } = await migrateSchema(postgresUrl, { dryRun })
  if (context.json) {
    context.stdout(`${JSON.stringify({ migrations, applied, dry_run: dryRun })}\n`)
    return
  }
  const state = (name: string, isDone: boolean) => (applied.includes(name) ? 'done now' : isDone ? 'done' : 'to do')
  context.stdout(table([['STEP', 'NAME', ''], ...migrations.map((one) => [String(one.id), one.name, state(one.name, one.applied)])]))
  const left = migrations.filter((one) => !one.applied).length
  context.stderr(
    left > 0
      ? `${left} to do: run "fabra migrate".\n`
      : applied.length > 0
        ? 'The schema is up to date now.\n'
        : 'The schema was up to date.\n',
  )
}
