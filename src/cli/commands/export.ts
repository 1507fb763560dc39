import type { Command } from 'commander'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { saveFile } from '../saved-file.ts'

const HELP = `
Writes recorded values to a Parquet file that a source can read: event and
arrival times, the value as a JSON text (none: a tombstone), and with --feature
the columns of the key. What leaves history later stays there:

  source("spend_history", { file: "./spend.parquet",
    timestamp: "event_timestamp", available: "available_at" })

Examples:
  $ fabra export history --feature spend -o spend.parquet
  $ fabra export history --before 2025-01-01T00:00:00Z -o 2024.parquet`

interface ExportOptions {
  readonly feature?: string
  readonly before?: string
  readonly output?: string
  readonly file?: readonly string[]
}

export function exportCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('export')
    .description('write what is recorded to a file')
    .argument('<what>', 'history')
    .option('--feature <name>', 'of this feature alone')
    .option('--before <time>', 'only events before this time')
    .option('-o, --output <file>', 'file to write (.parquet)')
    .addOption(fileOption('definition files (default: features.ts and features.py, or the running server)'))
    .addOption(yesOption())
    .addHelpText('after', HELP)
    .action((what: string, options: ExportOptions) => exportWhat(what, options, context, host))
}

async function exportWhat(what: string, { feature, before, output, file }: ExportOptions, context: CliContext, host: CliProcess) {
  if (what !== 'history')
    throw new FabraError('bad_usage', `"${what}" cannot be exported.`, { hint: 'Write: fabra export history -o file.parquet' })
  if (output === undefined || !output.toLowerCase().endsWith('.parquet'))
    throw new FabraError('bad_usage', output === undefined ? 'No output is given.' : `"${output}" is no Parquet file by its name.`, {
      hint: 'Name the file to write: -o history.parquet.',
    })
  const query = new URLSearchParams({ ...(feature === undefined ? {} : { feature }), ...(before === undefined ? {} : { before }) })
  await saveFile({ output, files: file ?? [], address: `/v1/history?${query}` }, context, host)
}
