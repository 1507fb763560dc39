/** `fabra backup` and `fabra restore`: the laptop's one file. */
import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { readConfig } from '../../config/config.ts'
import { FabraError } from '../../errors.ts'
import { connect, runningServer } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { counted } from '../output.ts'

const BACKUP_HELP = `
A copy of the data file, of one moment, while a server goes on serving and
writing, or without one: history, rows of sources, API keys. It is readable by
you alone. Files of sources are yours to keep. With PostgreSQL, dump the
schemas instead: pg_dump --schema=fabra, and those of your tables.

Examples:
  $ fabra backup fabra-monday.duckdb
  $ fabra backup /mnt/backups/fabra.duckdb --json`

const RESTORE_HELP = `
Puts a backup in the place of the data file. No server may be running. What
was there is moved aside, and said where; nothing is deleted. Keys that were
forgotten after the backup was made are in it again: they are named, so that
you forget them once more.

Example:
  $ fabra restore fabra-monday.duckdb`

export function backupCommands(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('backup')
    .description('copy the data file while it is served')
    .argument('<output>', 'file to write')
    .addOption(fileOption('definition files (default: features.ts and features.py, or the running server)'))
    .addOption(yesOption())
    .addHelpText('after', BACKUP_HELP)
    .action((output: string, options: { readonly file?: readonly string[] }) => backup(output, options.file ?? [], context, host))
  program
    .command('restore')
    .description('put a backup in the place of the data file')
    .argument('<backup>', 'file that "fabra backup" made')
    .addHelpText('after', RESTORE_HELP)
    .action((given: string) => restore(given, context, host))
}

async function backup(output: string, files: readonly string[], context: CliContext, host: CliProcess): Promise<void> {
  const path = resolve(context.cwd, output)
  if (!(await stat(dirname(path)).catch(() => undefined))?.isDirectory())
    throw new FabraError('io_failed', `There is no folder ${dirname(path)} to write to.`, { hint: 'Make it first, or name another.' })
  if (await stat(path).catch(() => undefined))
    throw new FabraError('io_failed', `${output} is there already.`, { hint: 'Name a new file: no backup is overwritten.' })
  const client = await connect(files, host, { cold: true })
  const draft = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}`)
  try {
    const response = await client.send('/v1/backup', {})
    const size = Number(response.headers.get('x-fabra-bytes'))
    await save(response, draft)
    const written = (await stat(draft)).size
    if (written !== size) throw new FabraError('io_failed', 'The backup did not come whole.', { hint: 'Ask for it again.' })
    await rename(draft, path)
    context.stdout(context.json ? `${JSON.stringify({ output: path, bytes: size })}\n` : `${output}: ${size.toLocaleString('en')} bytes\n`)
  } finally {
    await rm(draft, { force: true })
    await client.close()
  }
}

async function save(response: Response, draft: string): Promise<void> {
  if (!response.body) throw new FabraError('internal', 'The answer has no body.')
  try {
    await pipeline(Readable.fromWeb(response.body as never), createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true }))
  } catch (cause) {
    throw new FabraError('io_failed', `${dirname(draft)} cannot be written to: ${cause instanceof Error ? cause.message : String(cause)}`, {
      hint: 'Name an output in a folder that has room.',
      cause,
    })
  }
}

async function restore(given: string, context: CliContext, host: CliProcess): Promise<void> {
  const config = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const running = await runningServer(config.dataDir)
  if (running) throw new FabraError('data_dir_locked', `The server at ${running.url} holds the data folder.`, { hint: 'Stop it first.' })
  const { restoreBackup } = await import('../../app/restore.ts')
  const { aside, rows, forgottenSince } = await restoreBackup(config, resolve(context.cwd, given), new Date())
  if (context.json) {
    context.stdout(`${JSON.stringify({ restored: given, rows, aside, forgotten_since: forgottenSince })}\n`)
    return
  }
  context.stdout(`${given} is restored: ${counted(rows, 'row')} of history.\n`)
  for (const path of aside) context.stdout(`moved aside: ${path}\n`)
  if (forgottenSince === null && aside.length > 0)
    context.stderr('What was there cannot be read: whether keys were forgotten after the backup was made is not known.\n')
  for (const key of forgottenSince ?? [])
    context.stderr(`forgotten after the backup was made, and in it again: ${key}. Forget it once more: DELETE /v1/entities/…\n`)
}
