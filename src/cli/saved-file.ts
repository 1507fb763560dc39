/** Files that a server makes: written beside their place, and put there when they are whole. */
import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { FabraError } from '../errors.ts'
import { connect } from './client.ts'
import type { CliContext, CliProcess } from './context.ts'

export interface AskedFile {
  /** As it was given. */
  readonly output: string
  /** Of definitions; none: the running server, or those of the folder. */
  readonly files: readonly string[]
  /** Whose answer it is. */
  readonly address: string
}

/** @throws FabraError io_failed; nothing is overwritten, and nothing stays of a file that did not come whole. */
export async function saveFile({ output, files, address }: AskedFile, context: CliContext, host: CliProcess): Promise<void> {
  const path = resolve(context.cwd, output)
  if (!(await stat(dirname(path)).catch(() => undefined))?.isDirectory())
    throw new FabraError('io_failed', `There is no folder ${dirname(path)} to write to.`, { hint: 'Make it first, or name another.' })
  if (await stat(path).catch(() => undefined))
    throw new FabraError('io_failed', `${output} is there already.`, { hint: 'Name a new file: none is overwritten.' })
  const draft = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}`)
  try {
    const bytes = await fetchDraft(draft, { files, address }, host)
    await rename(draft, path)
    tellSaved({ output: path, shown: output, bytes }, context)
  } finally {
    await rm(draft, { force: true })
  }
}

/** @returns its bytes; it came whole. */
export async function fetchDraft(draft: string, { files, address }: Omit<AskedFile, 'output'>, host: CliProcess): Promise<number> {
  const client = await connect(files, host, { cold: true })
  try {
    const response = await client.send(address, {})
    const size = Number(response.headers.get('x-fabra-bytes'))
    await save(response, draft)
    if ((await stat(draft)).size !== size) throw new FabraError('io_failed', 'The file did not come whole.', { hint: 'Ask for it again.' })
    return size
  } finally {
    await client.close()
  }
}

interface Saved {
  readonly output: string
  readonly shown: string
  readonly bytes: number
}

export function tellSaved({ output, shown, bytes }: Saved, { json, stdout }: CliContext): void {
  stdout(json ? `${JSON.stringify({ output, bytes })}\n` : `${shown}: ${bytes.toLocaleString('en')} bytes\n`)
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
