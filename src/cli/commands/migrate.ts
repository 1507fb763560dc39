import type { Command } from 'commander'
import type { SchemaMigration } from '../../app/open-stores.ts'
import { readConfig } from '../../config/config.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { randomSecret } from '../deploy/secret.ts'
import { yesOption } from '../may-write.ts'
import { table } from '../output.ts'

type Step = SchemaMigration['migrations'][number]
type Statements = NonNullable<ReturnType<SchemaMigration['plan']['get']>>
type Lock = Statements[number]['locks'][number]

const HELP = `
Servers do the same when they start. Run it yourself where their role may not
change the schema: with the URL of one that may. All steps happen or none;
several may run it at once. The version before this one runs on beside a schema
that is brought up: bring it up first, then put the new version in its place.

--finish does what the version before could not run beside: from then on history
takes half the bytes, and only this version and newer ones can use the schema.
Run it when no process of the version before runs any more; those of this one go
on. A database that is new begins so.

--dry-run prints the statements, which tables each locks, and for about how
long.

--source-role makes a role that may read your tables and nothing of Fabra's own,
and prints the FABRA_SOURCE_URL with it: SQL of features and of clients then
runs as that role.

Examples:
  $ fabra migrate
  $ fabra migrate --dry-run
  $ fabra migrate --finish
  $ fabra migrate --source-role fabra_reader
  $ FABRA_POSTGRES_URL=postgres://owner@db/app fabra migrate`

/** Who waits while a lock is held. */
const KEPT_OUT: Readonly<Record<Lock['mode'], string>> = {
  'ROW EXCLUSIVE': 'nobody waits',
  SHARE: 'writes wait',
  'SHARE ROW EXCLUSIVE': 'writes wait',
  'ACCESS EXCLUSIVE': 'reads and writes wait',
}

export function migrateCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('migrate')
    .description('bring the schema "fabra" in PostgreSQL up to this executable')
    .option('--dry-run', 'tell what would be done, and do nothing')
    .option('--finish', 'do also what keeps the version before out')
    .option('--source-role <name>', 'make a role for FABRA_SOURCE_URL that may only read your tables')
    .addOption(yesOption())
    .addHelpText('after', HELP)
    .action((options: { dryRun?: boolean; finish?: boolean; sourceRole?: string }) => migrate(options, context, host))
}

async function migrate(
  options: { readonly dryRun?: boolean; readonly finish?: boolean; readonly sourceRole?: string },
  context: CliContext,
  host: CliProcess,
): Promise<void> {
  const dryRun = options.dryRun === true
  const { postgresUrl } = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  if (postgresUrl === null) {
    throw new FabraError('invalid_config', 'There is no PostgreSQL to migrate: FABRA_POSTGRES_URL is not set.', {
      hint: 'Set it: FABRA_POSTGRES_URL=postgres://user:password@host:5432/database. Without it everything is in a file, which needs no migration.',
    })
  }
  if (!dryRun) await host.mayWrite?.()
  const { makeSourceRole, migrateSchema } = await import('../../app/open-stores.ts')
  const { migrations, applied, plan } = await migrateSchema(postgresUrl, { dryRun, finish: options.finish === true })
  const { sourceRole: name } = options
  const role = name === undefined ? null : await makeSourceRole(postgresUrl, { name, secret: randomSecret(), dryRun })
  if (context.json) {
    const roleFields = role === null ? {} : { source_role: { statements: role.statements, source_url: role.sourceUrl } }
    const steps = migrations.map(({ isNewer, finishes, ...one }) => ({ ...one, newer: isNewer, statements: plan.get(one.id) ?? [] }))
    context.stdout(`${JSON.stringify({ migrations: steps, applied, dry_run: dryRun, ...roleFields })}\n`)
    return
  }
  const isBegun = migrations.some((one) => one.applied)
  const isWaiting = ({ applied: isDone, finishes }: Step) => !isDone && finishes && isBegun && options.finish !== true
  const state = (step: Step) => {
    if (step.isNewer) return 'done by a newer version'
    if (applied.includes(step.name)) return 'done now'
    return step.applied ? 'done' : isWaiting(step) ? 'waits for --finish' : 'to do'
  }
  context.stdout(table([['STEP', 'NAME', ''], ...migrations.map((one) => [String(one.id), one.name, state(one)])]))
  for (const { id, name } of migrations) for (const line of planned(id, name, plan.get(id) ?? [])) context.stdout(`${line}\n`)
  const left = migrations.filter((one) => !one.applied && !isWaiting(one)).length
  context.stderr(
    left > 0
      ? `${left} to do: run "fabra migrate".\n`
      : applied.length > 0
        ? 'The schema is up to date now.\n'
        : 'The schema was up to date.\n',
  )
  if (role !== null) tellRole(role, dryRun, context)
}

/** As SQL, to be read. */
function planned(id: number, name: string, statements: Statements): string[] {
  if (statements.length === 0) return []
  return [`\n-- Step ${id}: ${name}`, ...statements.flatMap(({ sql, locks }) => [...locks.map(lockLine), `${sql};`])]
}

function lockLine({ table: name, mode, rows, seconds }: Lock): string {
  const held = seconds < 1 ? 'under a second' : `about ${Math.ceil(seconds)} s`
  return `-- locks ${name} (${mode}: ${KEPT_OUT[mode]}), ${rows} rows: ${held}`
}

function tellRole(
  { statements, sourceUrl }: { readonly statements: readonly string[]; readonly sourceUrl: string | null },
  dryRun: boolean,
  context: CliContext,
): void {
  if (dryRun) context.stdout(`\n${statements.map((text) => `${text};\n`).join('')}`)
  else if (sourceUrl === null) context.stderr('The role was there, and may read all tables now; its password is what it was.\n')
  else {
    context.stdout(`FABRA_SOURCE_URL=${sourceUrl}\n`)
    context.stderr('The role is made. Keep the line above: the password is shown once.\n')
  }
}
