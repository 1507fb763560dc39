import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { stringifyExact } from '../../definition/exact-json.ts'
import { FabraError, suggest } from '../../errors.ts'
import { type Client, connect } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { counted } from '../output.ts'
import { progressBar } from '../progress.ts'
import { jsonRows, lineText, type PushTarget, pushedRow } from '../pushed-rows.ts'

/** Rows and characters of one request. */
const BATCH_ROWS = 5_000
const BATCH_LENGTH = 2_000_000

interface PushOptions {
  readonly format?: string
  readonly timezone?: string
  readonly file?: string[]
}

type Format = 'csv' | 'parquet' | 'jsonl'
const FORMATS: Readonly<Record<string, Format>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.parquet': 'parquet',
  '.pq': 'parquet',
  '.json': 'jsonl',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
}

const HELP = `
The file has the key columns and "value" (or the columns of the feature), and if
need be "event_timestamp" (default: now) and "delete". Sending a file again
changes nothing, as long as its rows have their event timestamps.

Examples:
  $ fabra push churn_score scores.parquet
  $ fabra push churn_score scores.csv --timezone UTC
  $ echo '{"user_id":"u1","value":0.3}' | fabra push churn_score -`

export function pushCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('push')
    .description('push values of a feature from a CSV, Parquet or JSON-lines file')
    .argument('<feature>', 'name of the feature')
    .argument('<data>', 'the file, or - for what comes on stdin')
    .option('--format <format>', 'csv, parquet or jsonl (default: by the name of the file; jsonl on stdin)')
    .option('--timezone <zone>', 'zone of event timestamps that carry none, such as UTC')
    .addOption(fileOption('definition files (default: features.ts and features.py, or the running server)'))
    .addOption(yesOption())
    .addHelpText('after', HELP)
    .action((feature: string, data: string, options: PushOptions) => push(feature, data, { options, context, host }))
}

interface Around {
  readonly options: PushOptions
  readonly context: CliContext
  readonly host: CliProcess
}

async function push(feature: string, data: string, { options, context, host }: Around): Promise<void> {
  const input = await openInput(data, options, context.cwd)
  const client = await connect(options.file ?? [], host)
  const done = { sent: 0, accepted: 0, duplicates: 0, fenced: 0 }
  const bar = progressBar(host, async () => ({ progress: input.progress() }))
  try {
    const target = await targetOf(client, feature)
    for await (const batch of batches(target, input)) {
      const receipt = await send(client, feature, batch, { name: input.name, before: done.sent })
      done.sent += batch.length
      done.accepted += receipt.accepted
      done.duplicates += receipt.duplicates
      done.fenced += receipt.fenced
    }
    bar.stop()
    const { sent, ...receipt } = done
    if (context.json) context.stdout(`${JSON.stringify(receipt)}\n`)
    else context.stdout(`${receiptText(sent, receipt)}\n`)
  } finally {
    bar.stop()
    await client.close()
    await input.close()
  }
}

interface Receipt {
  readonly accepted: number
  readonly duplicates: number
  readonly fenced: number
}

function receiptText(sent: number, { accepted, duplicates, fenced }: Receipt): string {
  const more = [...(duplicates > 0 ? [`${duplicates} known already`] : []), ...(fenced > 0 ? [`${fenced} of forgotten keys dropped`] : [])]
  return `Pushed ${counted(sent, 'row')}: ${[`${accepted} new`, ...more].join(', ')}.`
}

async function send(client: Client, feature: string, rows: readonly unknown[], at: { name: string; before: number }): Promise<Receipt> {
  try {
    const response = await client.send(`/v1/features/${encodeURIComponent(feature)}/values`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: stringifyExact({ rows }),
    })
    return (await response.json()) as Receipt
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    const [, index, what] = /^Row (\d+): (.*)$/s.exec(error.message) ?? []
    if (index === undefined || what === undefined) throw error
    throw rowError(error, { ...at, row: at.before + Number(index), what })
  }
}

/** Rows count from 1 in files. */
function rowError(error: FabraError, at: { name: string; before: number; row: number; what: string }): FabraError {
  const before = at.before > 0 ? ` The ${at.before} rows before its batch are pushed.` : ' Nothing was pushed.'
  return new FabraError(error.code, `${at.name}, row ${at.row + 1}: ${at.what}${before}`, {
    hint: error.hint ?? 'Mend the row and push again.',
  })
}

interface Input {
  readonly name: string
  readonly isText: boolean
  rows(target: PushTarget): AsyncIterable<readonly Record<string, unknown>[]>
  /** From 0 to 1, of what is known to come. */
  progress(): number
  close(): Promise<void>
}

async function* batches(target: PushTarget, input: Input): AsyncGenerator<Record<string, unknown>[]> {
  let batch: Record<string, unknown>[] = []
  let length = 0
  let sent = 0
  for await (const rows of input.rows(target)) {
    for (const row of rows) {
      try {
        const pushed = pushedRow(target, row, input.isText)
        length += stringifyExact(pushed).length
        batch.push(pushed)
      } catch (error) {
        if (!(error instanceof FabraError)) throw error
        throw rowError(error, { name: input.name, before: sent, row: sent + batch.length, what: error.message })
      }
      if (batch.length < BATCH_ROWS && length < BATCH_LENGTH) continue
      yield batch
      sent += batch.length
      batch = []
      length = 0
    }
  }
  if (batch.length > 0) yield batch
}

async function targetOf(client: Client, name: string): Promise<PushTarget> {
  const { features } = (await client.get('/v1/features')) as { features: readonly CatalogueFeature[] }
  const feature = features.find((one) => one.name === name)
  if (!feature) {
    const hint = suggest(
      name,
      features.map((one) => one.name),
    )
    throw new FabraError('unknown_feature', `No feature "${name}".`, { hint })
  }
  const { entities } = (await client.get('/v1/entities')) as { entities: readonly { name: string; key: Record<string, string> }[] }
  const key = Object.keys(entities.find((one) => one.name === feature.entity)?.key ?? {})
  return { name, key, type: feature.type ?? null, columns: feature.columns ?? null }
}

interface CatalogueFeature {
  readonly name: string
  readonly entity: string
  readonly type?: string | null
  readonly columns?: Readonly<Record<string, string | null>>
}

async function openInput(data: string, options: PushOptions, cwd: string): Promise<Input> {
  const path = data === '-' ? null : resolve(cwd, data)
  if (path !== null && !existsSync(path)) {
    throw new FabraError('bad_usage', `The file ${data} does not exist.`, {
      hint: 'Name a CSV, Parquet or JSON-lines file, or - for stdin.',
    })
  }
  const format = formatOf(path, options.format)
  return format === 'jsonl' ? jsonInput(path, data) : tableInput(path, data, { format, zone: options.timezone ?? null })
}

function formatOf(path: string | null, given: string | undefined): Format {
  const format = given ?? (path === null ? 'jsonl' : FORMATS[extname(path).toLowerCase()])
  if (format === 'csv' || format === 'parquet' || format === 'jsonl') return format
  throw new FabraError('bad_usage', given === undefined ? `It is not known how to read ${path}.` : `--format ${given} is not known.`, {
    hint: 'Say --format csv, parquet or jsonl.',
  })
}

function jsonInput(path: string | null, data: string): Input {
  const source = path === null ? Bun.stdin : Bun.file(path)
  let read = 0
  async function* rows() {
    let rest = Buffer.alloc(0)
    let lines = 0
    for await (const bytes of source.stream()) {
      read += bytes.byteLength
      rest = Buffer.concat([rest, bytes])
      const end = rest.lastIndexOf('\n') + 1
      if (end === 0) continue
      const text = lineText(rest.subarray(0, end), lines)
      yield jsonRows(text, lines)
      lines += text.split('\n').length - 1
      rest = rest.subarray(end)
    }
    yield jsonRows(lineText(rest, lines), lines)
  }
  const progress = () => (path === null ? 0 : read / Math.max(1, source.size))
  return { name: path === null ? 'stdin' : data, isText: false, rows, progress, close: async () => undefined }
}

async function tableInput(
  path: string | null,
  data: string,
  { format, zone }: { format: 'csv' | 'parquet'; zone: string | null },
): Promise<Input> {
  const folder = path === null ? await mkdtemp(join(tmpdir(), 'fabra-push-')) : null
  const file = path ?? join(folder ?? '', `data.${format}`)
  // The engine reads files only.
  if (path === null) {
    const writer = Bun.file(file).writer()
    for await (const bytes of Bun.stdin.stream()) writer.write(bytes)
    await writer.end()
  }
  const { size } = await stat(file)
  if (size === 0)
    throw new FabraError('invalid_body', `${data === '-' ? 'stdin' : data} is empty.`, { hint: 'The first line names the columns.' })
  const name = path === null ? 'stdin' : data
  const time = zone === null ? null : { column: 'event_timestamp', zone }
  return {
    name,
    isText: format === 'csv',
    async *rows({ key }) {
      const { readTableFile } = await import('../../app/app.ts')
      yield* readTableFile({ path: file, name, format, keys: key, time })
    },
    progress: () => 0,
    close: async () => (folder === null ? undefined : rm(folder, { recursive: true, force: true })),
  }
}
