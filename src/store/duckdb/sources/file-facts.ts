/** What tells whether the files of a source must be read again. */
import { createReadStream, existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { suggest } from '../../../errors.ts'
import { type FileList, fileName, formatOfFile, listFiles } from '../../ports/source-file-list.ts'
import type { SourceColumns } from './column-plan.ts'
import { SourceProblem } from './source-problem.ts'

export interface FileFacts {
  readonly list: FileList
  /** Bytes of all. */
  readonly size: number
  /** Microseconds of one; of several a number that changes when one of them does. */
  readonly modified: number
}

const KINDS = 'Use .csv, .tsv, .json or .jsonl, also with .gz or .zst behind it, or .parquet.'

/** @throws SourceProblem */
export async function fileFacts(file: string | readonly string[]): Promise<FileFacts> {
  const list = listed(file)
  if (list.files.length === 0) {
    if (typeof file === 'string' && existsSync(file)) {
      throw new SourceProblem(`${file} is not a file, and as a folder it has none that can be read.`, KINDS)
    }
    throw new SourceProblem(`No file is there for ${fileName(file)}.`, `Paths are relative to the file that defines the source. ${KINDS}`)
  }
  const all: [name: string, size: number, modified: number][] = []
  for (const { path, name } of list.files) {
    const { size, modified } = await factsOfOne(path)
    all.push([name, size, modified])
  }
  checkKinds(list)
  if (list.isOne) return { list, size: all[0]?.[1] ?? 0, modified: all[0]?.[2] ?? 0 }
  const modified = Number((Bun.hash(JSON.stringify(all)) as bigint) % 2n ** 53n)
  return { list, size: all.reduce((sum, [, size]) => sum + size, 0), modified }
}

/** Of the content of all, and of their names where there are several. @throws SourceProblem */
export async function hashFiles(file: string | readonly string[]): Promise<string> {
  const list = listed(file)
  const [one] = list.files
  if (list.isOne && one) return hashFile(one.path)
  const hasher = new Bun.CryptoHasher('sha256')
  for (const { path, name } of list.files) hasher.update(JSON.stringify([name, await hashFile(path)]))
  return hasher.digest('hex')
}

/** Everything that decides what the table holds, besides the files themselves. */
export function settingsHash({ source, keyTypes }: SourceColumns): string {
  const { timestamp, available, until, timezone, columns, format } = source
  return Bun.hash(JSON.stringify([2, timestamp, available, until, timezone, columns, keyTypes, format ?? null])).toString(16)
}

function listed(file: string | readonly string[]): FileList {
  try {
    return listFiles(file)
  } catch (error) {
    throw new SourceProblem(`${fileName(file)} cannot be read: ${messageOf(error)}`, 'Check the permissions of its folders.', error)
  }
}

function checkKinds({ files }: FileList): void {
  const [first] = files
  for (const { path } of files) {
    const kind = formatOfFile(path)
    if (!kind) {
      const name = basename(path)
      const extension = /(\.[^.]+)$/.exec(name)?.[1]
      throw new SourceProblem(`${path}: files of type "${extension ?? 'without extension'}" cannot be read.`, KINDS)
    }
    if (first && kind.format !== formatOfFile(first.path)?.format) {
      throw new SourceProblem(
        `${path} and ${first.path} are of different kinds.`,
        'Files of one source are all CSV, all JSON or all Parquet: name them with a pattern, such as "./data/*.csv".',
      )
    }
  }
}

async function factsOfOne(file: string): Promise<{ size: number; modified: number }> {
  try {
    const facts = await stat(file)
    if (facts.isFile()) return { size: facts.size, modified: Math.floor(facts.mtimeMs * 1000) }
    throw new SourceProblem(`${file} is not a file.`, 'Name a CSV, Parquet or JSON-lines file, or a folder of them.')
  } catch (error) {
    if (error instanceof SourceProblem) throw error
    if ((error as { code?: unknown }).code !== 'ENOENT') {
      throw new SourceProblem(`${file} cannot be read: ${messageOf(error)}`, 'Check its permissions.', error)
    }
    const siblings = await readdir(dirname(file)).catch(() => undefined)
    const hint = siblings ? suggest(basename(file), siblings) : `The folder ${dirname(file)} does not exist either.`
    throw new SourceProblem(`The file ${file} does not exist.`, `${hint} Paths are relative to the file that defines the source.`, error)
  }
}

export async function hashFile(file: string): Promise<string> {
  const hasher = new Bun.CryptoHasher('sha256')
  for await (const bytes of createReadStream(file, { highWaterMark: 1 << 20 })) hasher.update(bytes)
  return hasher.digest('hex')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
