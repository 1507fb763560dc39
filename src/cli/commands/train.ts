import { constants, createWriteStream } from 'node:fs'
import { access, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { FabraError } from '../../errors.ts'
import { connect } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { counted, table, tableWidth } from '../output.ts'
import { progressBar } from '../progress.ts'
import { createWarner, number, type Pace, paceText, type Report, summaryText, type Warning } from '../training-talk.ts'

interface TrainOptions {
  readonly features?: string
  readonly output?: string
  readonly labelsSql?: string
  readonly timestamp?: string
  readonly timezone?: string
  readonly method?: string
  readonly asServed?: boolean
  readonly latestKnowledge?: boolean
  readonly snapshot?: string
  readonly deterministic?: boolean
  readonly fresh?: boolean
  readonly explain?: boolean
  readonly withStatus?: boolean
  readonly withEventTimestamp?: boolean
  readonly format?: string
  readonly file?: string[]
}

interface Explanation {
  readonly rows: number | null
  readonly features: readonly { feature: string; method: string | null; how: string | null; why: string }[]
  /** A server of an earlier version tells none. */
  readonly warnings?: readonly Warning[]
}

const FORMATS: Readonly<Record<string, string>> = {
  '.parquet': 'parquet',
  '.pq': 'parquet',
  '.arrow': 'arrow',
  '.feather': 'arrow',
  '.csv': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'jsonl',
}

/** Formats that hold the metadata themselves; beside the others it is a file of its own. */
const CARRIES_METADATA: ReadonlySet<string> = new Set(['parquet', 'arrow'])

const HELP = `
Labels have the key columns of the features' entities and a time, from which
each row looks. A run that was interrupted goes on where it was when the same
command is given again; --fresh begins anew.

Examples:
  $ fabra train labels.parquet --features fraud_v1,spend -o train.parquet
  $ fabra train labels.csv --features spend --timestamp paid_at \\
      --timezone UTC -o train.csv
  $ fabra train --features spend -o train.parquet --labels-sql \\
      "SELECT user_id, created_at AS event_timestamp FROM transactions"`

export function trainCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('train')
    .description("make a training set: labels in, features as of each row's own time, a file out")
    .argument('[labels]', 'label rows: a Parquet, Arrow (Feather), CSV or JSON-lines file')
    .option('--features <names>', 'features, columns of features and feature sets, with commas between them')
    .option('-o, --output <file>', 'where the training set goes: .parquet, .arrow, .csv or .jsonl')
    .option('--format <format>', 'parquet, arrow, csv or jsonl (default: by the name of the output)')
    .option('--labels-sql <query>', 'a query over the sources that gives the labels')
    .option('--timestamp <column>', 'column of the times (default: event_timestamp)')
    .option('--timezone <zone>', 'zone of times that carry none, such as UTC')
    .option('--method <method>', 'recompute, replay or history for all features (default: each its own)')
    .option('--as-served', 'what serving showed at the time: recorded values alone')
    .option('--latest-knowledge', 'recorded values that arrived after the time count too')
    .option('--snapshot <time>', 'recorded values written after this time do not exist')
    .option('--deterministic', 'same bytes for aggregates of floats too (DuckDB)')
    .option('--with-status', 'columns <feature>__status: fresh, stale, default or missing')
    .option('--with-event-timestamp', 'columns <feature>__event_timestamp')
    .option('--fresh', 'compute all of it, also what an interrupted run has left')
    .option('--explain', 'tell how each feature was computed; without an output, how it would be')
    .addOption(fileOption('definition files (default: features.ts and features.py, or the running server)'))
    .addOption(yesOption())
    .addHelpText('after', HELP)
    .action((labels: string | undefined, options: TrainOptions) => train(labels, options, context, host))
}

/** Without an output nothing is made. */
async function explain(labels: string | undefined, options: TrainOptions, context: CliContext, host: CliProcess): Promise<void> {
  const body = labels === undefined && options.labelsSql === undefined ? null : await labelsBody(labels, options, context)
  const client = await connect(options.file ?? [], host, { cold: true })
  try {
    const query = address(options, options.format ?? 'parquet')
    query.set('explain', 'true')
    const response = await client.send(`/v1/training-sets?${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      ...(body === null ? {} : { body }),
    })
    const explanation = (await response.json()) as Explanation
    if (context.json) return context.stdout(`${JSON.stringify(explanation)}\n`)
    const rows = explanation.features.map(({ feature, method, how, why }) => [feature, method ?? 'refused', how ?? '', why])
    context.stdout(table([['feature', 'method', 'how', 'why'], ...rows], tableWidth(host.stdoutIsTerminal, host)))
    createWarner(context).tell(explanation.warnings ?? [])
    if (explanation.rows !== null) context.stderr(`${counted(explanation.rows, 'row')}\n`)
  } finally {
    await client.close()
  }
}

async function train(labels: string | undefined, options: TrainOptions, context: CliContext, host: CliProcess): Promise<void> {
  if (options.features === undefined)
    throw new FabraError('bad_usage', 'No features are given.', { hint: 'Name them: --features spend,fraud_v1.' })
  if (options.explain && options.output === undefined) return explain(labels, options, context, host)
  const output = await checkOutput(options, context)
  if (labels !== undefined) await refuseOverwriting(labels, output, context)
  const body = await labelsBody(labels, options, context)
  const client = await connect(options.file ?? [], host, { cold: true })
  const id = crypto.randomUUID()
  const warner = createWarner(context)
  const ask = async () => (await client.get(`/v1/training-sets/${id}`)) as Partial<Report> & { progress: number; pace: Pace | null }
  const bar = progressBar(host, ask, {
    words: ({ pace }) => (pace === null ? '' : paceText(pace)),
    onNews: ({ warnings }) => (context.json ? undefined : warner.tell(warnings ?? [])),
  })
  const draft = join(dirname(output.path), `.${basename(output.path)}.${id}`)
  try {
    const response = await client.send(`/v1/training-sets?${address(options, output.format)}`, {
      method: 'POST',
      headers: { 'x-request-id': id, 'content-type': 'application/octet-stream' },
      ...(body === null ? {} : { body }),
    })
    await save(response, draft)
    const report = (await client.get(`/v1/training-sets/${id}`)) as Report
    await rename(draft, output.path)
    if (!CARRIES_METADATA.has(output.format)) await Bun.write(metadataPath(output.path), `${JSON.stringify(report.metadata, null, 2)}\n`)
    bar.stop()
    tell(report, output.path, options, { context, width: tableWidth(host.stderrIsTerminal, host), warner })
  } finally {
    bar.stop()
    await rm(draft, { force: true })
    await client.close()
  }
}

async function checkOutput(options: TrainOptions, context: CliContext): Promise<{ path: string; format: string }> {
  const misuse = (message: string, hint: string) => new FabraError('bad_usage', message, { hint })
  if (options.output === undefined) throw misuse('No output is given.', 'Name the file to write: -o train.parquet.')
  const format = options.format ?? FORMATS[extname(options.output).toLowerCase()]
  if (format === undefined)
    throw misuse(
      `The format of "${options.output}" is not known by its name.`,
      'Call it .parquet, .arrow, .csv or .jsonl, or add --format.',
    )
  const path = resolve(context.cwd, options.output)
  // Before hours of work, not after.
  const folder = await stat(dirname(path)).catch(() => undefined)
  if (!folder?.isDirectory())
    throw new FabraError('io_failed', `There is no folder ${dirname(path)} to write to.`, { hint: 'Make it first, or name another.' })
  if ((await stat(path).catch(() => undefined))?.isDirectory())
    throw new FabraError('io_failed', `${options.output} is a folder.`, { hint: 'Name a file to write.' })
  await access(dirname(path), constants.W_OK).catch((cause: unknown) => {
    throw new FabraError('io_failed', `The folder ${dirname(path)} cannot be written to.`, { hint: 'Name an output in another.', cause })
  })
  return { path, format }
}

/** Whatever names they go by: labels are made by hand, often, and there once. */
async function refuseOverwriting(labels: string, output: { path: string; format: string }, context: CliContext): Promise<void> {
  const file = (path: string) => stat(path, { bigint: true }).catch(() => undefined)
  const given = await file(resolve(context.cwd, labels))
  if (!given) return
  const written = CARRIES_METADATA.has(output.format) ? [output.path] : [output.path, metadataPath(output.path)]
  for (const path of written) {
    const found = await file(path)
    if (found?.dev !== given.dev || found.ino !== given.ino) continue
    throw new FabraError('bad_usage', `The labels would be overwritten: ${labels} and ${path} are the same file.`, {
      hint: 'Name another output.',
    })
  }
}

function metadataPath(output: string): string {
  return `${output}.metadata.json`
}

async function labelsBody(
  labels: string | undefined,
  options: TrainOptions,
  context: CliContext,
): Promise<ReadableStream<Uint8Array> | null> {
  if ((labels === undefined) === (options.labelsSql === undefined)) {
    throw new FabraError('bad_usage', labels === undefined ? 'No labels are given.' : 'Both a file and --labels-sql are given.', {
      hint: 'Name a file of label rows, or give a query with --labels-sql.',
    })
  }
  if (labels === undefined) return null
  const path = resolve(context.cwd, labels)
  const found = await stat(path).catch(() => undefined)
  const hint = 'Labels are a Parquet, Arrow, CSV or JSON-lines file.'
  if (!found) throw new FabraError('io_failed', `There is no file ${labels}.`, { hint })
  if (!found.isFile()) throw new FabraError('io_failed', `${labels} is ${found.isDirectory() ? 'a folder' : 'no ordinary file'}.`, { hint })
  return Bun.file(path).stream()
}

function address(options: TrainOptions, format: string): URLSearchParams {
  const given: Record<string, string | boolean | undefined> = {
    features: options.features,
    format,
    labels_sql: options.labelsSql,
    timestamp: options.timestamp,
    timezone: options.timezone,
    method: options.method,
    snapshot: options.snapshot,
    as_served: options.asServed,
    latest_knowledge: options.latestKnowledge,
    deterministic: options.deterministic,
    with_status: options.withStatus,
    with_event_timestamp: options.withEventTimestamp,
    fresh: options.fresh,
  }
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(given)) if (value !== undefined) query.set(name, String(value))
  return query
}

/** Beside the output first, under a name of its own: what stands under the output's name is always whole. */
async function save(response: Response, draft: string): Promise<void> {
  if (!response.body) throw new FabraError('internal', 'The answer has no body.')
  try {
    await pipeline(Readable.fromWeb(response.body as never), createWriteStream(draft, { flags: 'wx' }))
  } catch (cause) {
    throw new FabraError('io_failed', `${dirname(draft)} cannot be written to: ${cause instanceof Error ? cause.message : String(cause)}`, {
      hint: 'Name an output in a folder that exists and has room.',
      cause,
    })
  }
}

interface Talk {
  readonly context: CliContext
  readonly width: number | null
  readonly warner: ReturnType<typeof createWarner>
}

function tell(report: Report, path: string, options: TrainOptions, { context, width, warner }: Talk): void {
  if (context.json) {
    context.stdout(`${JSON.stringify({ output: path, ...report })}\n`)
    return
  }
  if (options.explain) {
    const rows = report.features.map(({ feature, method, how, seconds }) => [
      feature,
      method,
      how ?? '',
      seconds === null ? '' : `${seconds.toFixed(2)} s`,
    ])
    context.stderr(table([['feature', 'method', 'how', 'took'], ...rows], width))
  }
  if (report.resumed > 0) {
    const all = report.rows * report.features.length
    context.stderr(`${number(report.resumed)} of ${number(all)} values were there from a run that was interrupted\n`)
  }
  context.stderr(summaryText(report, width))
  warner.tell(report.warnings)
  context.stderr(`${counted(report.rows, 'row')}\n`)
  context.stdout(`${path}\n`)
}
