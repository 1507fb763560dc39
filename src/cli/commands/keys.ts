import type { Command } from 'commander'
import type { AdminStore, Scope } from '../../app/open-stores.ts'
import { createApiKey, type MadeKey } from '../../auth/api-key.ts'
import { SCOPES } from '../../auth/scopes.ts'
import { type Config, readConfig } from '../../config/config.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { boundsJson, boundsText, entryOf, keyJson, minuteText, needsPostgres, noteText, parseBounds } from '../keys/key-texts.ts'
import { type RotateOptions, rotateKey } from '../keys/rotate-key.ts'
import { keyTeller, type TellOfKey } from '../keys/tell-of-key.ts'
import { yesOption } from '../may-write.ts'
import { table } from '../output.ts'

interface CreateOptions {
  readonly name: string
  readonly scopes: string
  readonly operator?: boolean
  readonly features?: string
  readonly entities?: string
  readonly rate?: string
  readonly expires?: string
}

const HELP = `
Keys are kept in PostgreSQL (FABRA_POSTGRES_URL), as SHA-256 only; every server
takes a new one at once and refuses a revoked one within seconds. Without
PostgreSQL a key is only printed, with the entry for FABRA_API_KEYS.

Scopes, none of which implies another: read (features, training sets from your
own labels, metrics), train (labels from a query, labels_sql, besides read),
write (pushes, events, refreshes), admin (forget a key).

With --features or --entities a key sees nothing else: whatever else there is
is unknown to it, and what tells of all is refused. "rotate" makes a second key
that may do the same, and lets the first go on for a while.

Examples:
  $ fabra keys create --name app
  $ fabra keys create --name partner --features score,spend --expires 90d
  $ fabra keys create --name notebook --scopes read,train
  $ fabra keys create --name shop --operator
  $ fabra keys list
  $ fabra keys rotate 3f9a0c1b2d4e --overlap 7d
  $ fabra keys revoke 3f9a0c1b2d4e`

export function keysCommand(program: Command, context: CliContext, host: CliProcess): void {
  const keys = program.command('keys').description('make, list and revoke API keys').addHelpText('after', HELP)
  keys
    .command('create')
    .description('make a key; it is shown once')
    .option('--name <name>', 'who uses it', 'default')
    .option('--scopes <scopes>', 'read, train, write, admin, with commas between', 'read')
    .option('--features <names>', 'let it see these features alone, with commas between')
    .option('--entities <names>', 'let it see features of these entities alone')
    .option('--rate <count>', 'let it ask so often in a second, on all servers together')
    .option('--expires <time>', 'refuse it from then on: 90d, or 2027-01-31T00:00:00Z')
    .option('--operator', 'make a second key, with all scopes: for you, not for the app')
    .addOption(yesOption())
    .action((options: CreateOptions) => create(options, context, host))
  keys
    .command('list')
    .description('every key that was made, revoked ones too')
    .addOption(yesOption())
    .action(() => list(context, host))
  keys
    .command('rotate')
    .description('make a key that may do the same; the old one ends after the overlap')
    .argument('<id>', 'as `fabra keys list` shows it')
    .option('--overlap <duration>', 'how long both are good', '1d')
    .addOption(yesOption())
    .action((id: string, options: RotateOptions) => rotateKey(id, options, { context, withAdmin: (work) => withAdmin(host, work) }))
  keys
    .command('revoke')
    .description('refuse a key from now on')
    .argument('<id>', 'as `fabra keys list` shows it')
    .addOption(yesOption())
    .action((id: string) => revoke(id, context, host))
}

async function create(options: CreateOptions, context: CliContext, host: CliProcess): Promise<void> {
  const now = context.clock.now()
  const made = createApiKey(options.name, parseScopes(options.scopes), now, parseBounds(options, now))
  const operator = options.operator ? createApiKey(`${options.name}-operator`, SCOPES, now) : null
  const all = operator ? [made, operator] : [made]
  const isKept = await withAdmin(host, async (admin, _, tell) => {
    for (const { kept } of all) {
      await admin?.addApiKey(kept)
      await tell('key.create', kept.id, { name: kept.name, scopes: kept.scopes.join(',') })
    }
    return admin !== null
  })
  const entry = all.map(({ kept }) => entryOf(kept)).join(',')
  if (context.json) {
    const more = operator ? { operator: madeJson(operator) } : {}
    context.stdout(`${JSON.stringify({ ...madeJson(made), kept: isKept, entry, ...more })}\n`)
    return
  }
  for (const { key } of all) context.stdout(`${key}\n`)
  for (const { kept } of all) context.stderr(`Key ${kept.id} (${kept.name}: ${kept.scopes.join(', ')})${boundsText(kept)}.\n`)
  const last = operator
    ? `The first is for your app, the second for you. They are shown only now: keep each where it is used.`
    : 'It is shown only now: keep it where your app finds it.'
  const where = isKept
    ? 'Servers with this PostgreSQL take it at once. For others:'
    : 'There is no PostgreSQL to keep it in. Give it to the server yourself:'
  context.stderr(`${last}\n${where}\n  FABRA_API_KEYS=${entry}\n`)
}

function madeJson({ key, kept }: MadeKey) {
  return { key, id: kept.id, name: kept.name, scopes: kept.scopes, ...boundsJson(kept) }
}

async function list(context: CliContext, host: CliProcess): Promise<void> {
  const keys = await withAdmin(host, async (admin, config) => [
    ...((await admin?.apiKeys()) ?? []).map(keyJson),
    ...config.apiKeys.map(({ hash, scopes, allowed = null, rate = null, expiresAt = null }) => ({
      ...boundsJson({ allowed, rate, expiresAt }),
      id: hash.slice(0, 12),
      name: '(FABRA_API_KEYS)',
      scopes,
      created_at: null,
      revoked_at: null,
      last_used_at: null,
    })),
  ])
  if (context.json) {
    context.stdout(`${JSON.stringify({ keys })}\n`)
    return
  }
  const rows = keys.map((key) => [
    key.id,
    key.name,
    key.scopes.join(','),
    minuteText(key.created_at),
    minuteText(key.last_used_at),
    noteText(key, formatTime(context.clock.now())),
  ])
  context.stdout(table([['ID', 'NAME', 'SCOPES', 'MADE (UTC)', 'LAST USED', ''], ...rows]))
}

async function revoke(id: string, context: CliContext, host: CliProcess): Promise<void> {
  await withAdmin(host, async (admin, config, tell) => {
    if (config.apiKeys.some(({ hash }) => hash.startsWith(id)))
      throw new FabraError('not_found', `Key "${id}" comes from the environment.`, {
        hint: 'Remove it from FABRA_API_KEYS and restart the servers.',
      })
    if (!admin) throw needsPostgres()
    if (!(await admin.revokeApiKey(id, context.clock.now())))
      throw new FabraError('not_found', `No key "${id}".`, { hint: '"fabra keys list" shows every key.' })
    await tell('key.revoke', id, {})
  })
  if (context.json) context.stdout(`${JSON.stringify({ id, revoked: true })}\n`)
  else context.stdout(`Key ${id} is revoked. Running servers refuse it within 5 s.\n`)
}

async function withAdmin<T>(host: CliProcess, work: (admin: AdminStore | null, config: Config, tell: TellOfKey) => Promise<T>): Promise<T> {
  const config = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  // It brings the schema up to date, so looking writes, too.
  if (config.postgresUrl !== null) await host.mayWrite?.()
  const { openAdmin } = await import('../../app/open-stores.ts')
  const admin = await openAdmin(config.postgresUrl)
  try {
    return await work(admin?.store ?? null, config, keyTeller(admin?.audit ?? null))
  } finally {
    await admin?.close()
  }
}

function parseScopes(text: string): Scope[] {
  const given = text.split(',').map((scope) => scope.trim())
  const wrong = given.find((scope) => !SCOPES.some((known) => known === scope))
  if (wrong !== undefined)
    throw new FabraError('bad_usage', `"${wrong}" is no scope.`, { hint: 'Write some of read,train,write,admin with commas between.' })
  return SCOPES.filter((scope) => given.includes(scope))
}
