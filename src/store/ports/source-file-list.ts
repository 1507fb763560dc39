/** What the `file` of a source names: a file, a folder with all below it, a pattern, or a list of these. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, relative, sep } from 'node:path'
import { Glob } from 'bun'

export type FileFormat = 'csv' | 'json' | 'parquet'

const FORMATS: Readonly<Record<string, FileFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.txt': 'csv',
  '.json': 'json',
  '.jsonl': 'json',
  '.ndjson': 'json',
  '.parquet': 'parquet',
  '.pq': 'parquet',
}
const COMPRESSED = /\.(gz|zst)$/i
const PATTERN = /[*?[{]/
/** More are a table in the wrong place. */
const MOST_FILES = 100_000

export interface ListedFile {
  readonly path: string
  /** Below what the source names: the same on every machine. */
  readonly name: string
  /** Columns that folders such as `year=2026` stand for; null: Hive's name for no value. */
  readonly partition: readonly (readonly [column: string, value: string | null])[]
}

export interface FileList {
  /** One file that was named as it is. */
  readonly isOne: boolean
  /** In an order that is the same on every machine. */
  readonly files: readonly ListedFile[]
}

/** The file's format and compression by its name; undefined where neither is known. */
export function formatOfFile(path: string): { readonly format: FileFormat; readonly packed: 'gz' | 'zst' | null } | undefined {
  const packed = COMPRESSED.exec(path)?.[1]?.toLowerCase()
  const format = FORMATS[extname(packed === undefined ? path : path.slice(0, -packed.length - 1)).toLowerCase()]
  if (format === undefined || (packed !== undefined && format === 'parquet')) return undefined
  return { format, packed: packed === 'gz' || packed === 'zst' ? packed : null }
}

/** For messages and to be remembered by. */
export function fileName(file: string | readonly string[]): string {
  return typeof file === 'string' ? file : file.join(', ')
}

/** Files that exist and those that are named though they do not. Sorted, each once. @throws what the file system says of a folder that cannot be read */
export function listFiles(file: string | readonly string[]): FileList {
  if (typeof file === 'string' && !isMany(file)) return { isOne: true, files: [{ path: file, name: basename(file), partition: [] }] }
  const found = new Map<string, ListedFile>()
  for (const one of typeof file === 'string' ? [file] : file) {
    const base = baseOf(one)
    const paths = isFolder(one) ? below(one) : isMany(one) ? matching(one) : [one]
    for (const path of paths) {
      const name = isMany(one) ? relative(base, path) : basename(path)
      found.set(path, { path, name: name.split(sep).join('/'), partition: partitionOf(relative(base, path)) })
    }
  }
  const files = [...found.values()].sort((a, b) => compare(a.name, b.name) || compare(a.path, b.path))
  return { isOne: false, files }
}

/** Folders in which files may appear that the source names: those there are now. */
export function foldersOf(file: string | readonly string[]): string[] {
  const folders = new Set<string>()
  for (const one of typeof file === 'string' ? [file] : file) {
    if (!isMany(one)) continue
    let base = isFolder(one) ? one : fixedPart(one)
    if (isFolder(base)) {
      for (const each of [base, ...foldersBelow(base, isFolder(one) ? Number.POSITIVE_INFINITY : depthOf(one, base))]) folders.add(each)
      continue
    }
    while (base !== dirname(base) && !isFolder(base)) base = dirname(base)
    folders.add(base)
  }
  return [...folders].sort()
}

/** Whether a change of what is called so, in one of those folders, may concern a source: a file of data, or a folder. */
export function maybeData(name: string): boolean {
  return !isHidden(name) && (formatOfFile(name) !== undefined || extname(name) === '' || name.includes('='))
}

/** How many folders deep the pattern looks. */
function depthOf(pattern: string, base: string): number {
  const rest = pattern.slice(base.length)
  return rest.includes('**') ? Number.POSITIVE_INFINITY : rest.split('/').filter((part) => part !== '').length - 1
}

function isMany(file: string): boolean {
  return isFolder(file) || (PATTERN.test(file) && !existsSync(file))
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** Where names begin: with the partitions that the folder's own path ends in. */
function baseOf(file: string): string {
  let base = isFolder(file) ? file : fixedPart(file)
  while (/^[^=]+=/.test(basename(base))) base = dirname(base)
  return base
}

/** The folders of a pattern that are written out. */
function fixedPart(pattern: string): string {
  const parts = pattern.split('/')
  const first = parts.findIndex((part, i) => PATTERN.test(part) && !existsSync(parts.slice(0, i + 1).join('/')))
  return (first < 0 ? dirname(pattern) : parts.slice(0, first).join('/')) || '/'
}

function matching(pattern: string): string[] {
  const base = fixedPart(pattern)
  if (!isFolder(base)) return []
  const glob = new Glob(pattern.slice(base === '/' ? 1 : base.length + 1))
  const paths: string[] = []
  for (const name of glob.scanSync({ cwd: base, onlyFiles: true, followSymlinks: true })) {
    if (!isHidden(name)) paths.push(join(base, name))
    if (paths.length > MOST_FILES) break
  }
  return paths
}

/** Files whose kind is known; what else lies there (a README, a mark that a job is done) is no data. */
function below(folder: string): string[] {
  return [folder, ...foldersBelow(folder)].flatMap((one) =>
    readdirSync(one)
      .filter(
        (name) => !isHidden(name) && formatOfFile(name) !== undefined && statSync(join(one, name), { throwIfNoEntry: false })?.isFile(),
      )
      .map((name) => join(one, name)),
  )
}

/** Links back up are not followed. */
function foldersBelow(folder: string, depth = Number.POSITIVE_INFINITY): string[] {
  if (depth <= 0) return []
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() && !isHidden(entry.name) ? [join(folder, entry.name), ...foldersBelow(join(folder, entry.name), depth - 1)] : [],
  )
}

/** What jobs leave beside their data: `_SUCCESS`, `_temporary`, `.part-0.crc`. */
function isHidden(name: string): boolean {
  return name.split(sep).some((part) => /^[._]/.test(part) && !part.includes('='))
}

function partitionOf(name: string): [string, string | null][] {
  return name
    .split(sep)
    .slice(0, -1)
    .flatMap((folder): [string, string | null][] => {
      const [, column, value] = /^([^=]+)=(.*)$/.exec(folder) ?? []
      if (column === undefined || value === undefined) return []
      return [[decoded(column), value === '__HIVE_DEFAULT_PARTITION__' ? null : decoded(value)]]
    })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
