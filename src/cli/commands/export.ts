import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { bucketPlace, isBucketAddress } from '../../config/object-store.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { type AskedFile, saveFile } from '../saved-file.ts'
import { saveObject } from '../saved-object.ts'

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
  $ fabra export rows --source events --before 2025-01-01T00:00:00Z -o archive/
  $ fabra export history --feature spend -o s3://bucket/archive/

A bucket is reached with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and where
they are set AWS_SESSION_TOKEN, AWS_REGION and AWS_ENDPOINT_URL.`

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
    .option('-o, --output <file>', 'file to write (.parquet), or its folder, here or in s3://…')
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
    return save({ output, files: file ?? [], address: `/v1/history?${given}` }, context, host)
  }
  if (source === undefined || feature !== undefined)
    throw new FabraError('bad_usage', source === undefined ? 'No source is given.' : 'Rows are those of a source.', {
      hint: 'Name the source whose rows are wanted: --source events.',
    })
  const output = await outputOf(options, source, context)
  await save({ output, files: file ?? [], address: `/v1/sources/${encodeURIComponent(source)}/rows?${given}` }, context, host)
}

function save(asked: AskedFile, context: CliContext, host: CliProcess): Promise<void> {
  return isBucketAddress(asked.output) ? saveObject(asked, context, host) : saveFile(asked, context, host)
}

function objectOf(output: string): string {
  if (bucketPlace(output) !== null) return output
  throw new FabraError('bad_usage', `"${output}" is no place in a bucket.`, {
    hint: 'Write s3://bucket/path/file.parquet, of letters, digits and . _ = - alone; a time with Z at its end.',
  })
}

/** The file, or one in the folder that was given, named by what is in it. */
async function outputOf({ output, before }: ExportOptions, what: string, { cwd }: CliContext): Promise<string> {
  if (output === undefined)
    throw new FabraError('bad_usage', 'No output is given.', { hint: `Name the file to write: -o ${what}.parquet, or a folder.` })
  const name = `${what}${before === undefined ? '' : `-before-${before.replace(/[^\w.+-]/g, '')}`}.parquet`
  const isFile = output.toLowerCase().endsWith('.parquet')
  if (isBucketAddress(output)) return objectOf(isFile ? output : `${output.replace(/\/+$/, '')}/${name}`)
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(output))
    throw new FabraError('bad_usage', `${output} cannot be written to: files are written to folders and to s3:// alone.`, {
      hint: `Write to a folder and copy ${name} from there.`,
    })
  const isFolder = output.endsWith('/') || (await stat(resolve(cwd, output)).catch(() => undefined))?.isDirectory() === true
  if (isFolder) return join(output, name)
  if (isFile) return output
  throw new FabraError('bad_usage', `"${output}" is no Parquet file by its name, and no folder.`, {
    hint: `Name the file to write: -o ${what}.parquet.`,
  })
}
