import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { saveFile } from '../saved-file.ts'

const HELP = `
Writes recorded values, or the rows of a source, to a Parquet file that a source
can read. Of recorded values it has event and arrival times, the value as a JSON
text (none: a tombstone), and with --feature the columns of the key. What leaves
later stays there:

  source("spend_history", { file: "./spend.parquet",
    timestamp: "event_timestamp", available: "available_at" })

Examples:
  $ fabra export history --feature spend -o spend.parquet
  $ fabra export history --before 2025-01-01T00:00:00Z -o archive/
  $ fabra export rows --source events --before 2025-01-01T00:00:00Z -o archive/`

interface ExportOptions {
  readonly feature?: string
  readonly source?: string
  readonly before?: string
  readonly output?: string
  readonly file?: readonly string[]
}

export function exportCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('export')
    .description('write what is recorded to a file')
    .argument('<what>', 'history, or rows of a source')
    .option('--feature <name>', 'of this feature alone')
    .option('--source <name>', 'whose rows are wanted')
    .option('--before <time>', 'only events before this time')
    .option('-o, --output <file>', 'file to write (.parquet), or its folder')
    .addOption(fileOption('definition files (default: features.ts and features.py, or the running server)'))
    .addOption(yesOption())
    .addHelpText('after', HELP)
    .action((what: string, options: ExportOptions) => exportWhat(what, options, context, host))
}

async function exportWhat(what: string, options: ExportOptions, context: CliContext, host: CliProcess) {
  const { feature, source, before, file } = options
  if (what !== 'history' && what !== 'rows')
    throw new FabraError('bad_usage', `"${what}" cannot be exported.`, {
      hint: 'Write: fabra export history -o file.parquet, or: fabra export rows --source events -o file.parquet',
    })
  const given = new URLSearchParams({ ...(feature === undefined ? {} : { feature }), ...(before === undefined ? {} : { before }) })
  if (what === 'history') {
    if (source !== undefined)
      throw new FabraError('bad_usage', 'History is not that of a source.', { hint: 'Write: fabra export rows --source …' })
    const output = await outputOf(options, feature ?? 'history', context)
    return saveFile({ output, files: file ?? [], address: `/v1/history?${given}` }, context, host)
  }
  if (source === undefined || feature !== undefined)
    throw new FabraError('bad_usage', source === undefined ? 'No source is given.' : 'Rows are those of a source.', {
      hint: 'Name the source whose rows are wanted: --source events.',
    })
  const output = await outputOf(options, source, context)
  await saveFile({ output, files: file ?? [], address: `/v1/sources/${encodeURIComponent(source)}/rows?${given}` }, context, host)
}

/** The file, or one in the folder that was given, named by what is in it. */
async function outputOf({ output, before }: ExportOptions, what: string, { cwd }: CliContext): Promise<string> {
  if (output === undefined)
    throw new FabraError('bad_usage', 'No output is given.', { hint: `Name the file to write: -o ${what}.parquet, or a folder.` })
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(output))
    throw new FabraError('bad_usage', `${output} cannot be written to: files are written to folders alone.`, {
      hint: `Write to a folder and copy it, say with: aws s3 cp ${what}.parquet ${output}`,
    })
  const isFolder = output.endsWith('/') || (await stat(resolve(cwd, output)).catch(() => undefined))?.isDirectory() === true
  if (isFolder) return join(output, `${what}${before === undefined ? '' : `-before-${before.replace(/[^\w.+-]/g, '')}`}.parquet`)
  if (output.toLowerCase().endsWith('.parquet')) return output
  throw new FabraError('bad_usage', `"${output}" is no Parquet file by its name, and no folder.`, {
    hint: `Name the file to write: -o ${what}.parquet.`,
  })
}
