/** `fabra backup` and `fabra restore`: the laptop's one file. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { readConfig } from '../../config/config.ts'
import { FabraError } from '../../errors.ts'
import { runningServer } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { counted } from '../output.ts'
import { saveFile } from '../saved-file.ts'

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
  await saveFile({ output, files, address: '/v1/backup' }, context, host)
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
