/** Writes several files as one: all of them are there afterwards, or everything is as it was. */
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { FabraError } from '../../errors.ts'

export interface FileToWrite {
  /** Relative to the folder, with forward slashes. */
  readonly path: string
  readonly data: string | Uint8Array
  /** Permissions. Default 0644. */
  readonly mode?: number
  /** Left as it is where it exists. */
  readonly ifMissing?: boolean
}

export type FileState = 'new' | 'unchanged' | 'kept' | 'different'

/** What writing a file would meet. @throws FabraError io_failed when a file in its place cannot be read. */
export function stateOf(folder: string, file: FileToWrite): FileState {
  const path = join(folder, file.path)
  try {
    const stat = lstatSync(path)
    if (stat.isFile() && Buffer.from(file.data).equals(readFileSync(path))) return 'unchanged'
    return file.ifMissing ? 'kept' : 'different'
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR') return 'new'
    throw new FabraError('io_failed', `Cannot read ${path}: ${reasonOf(cause)}.`, { cause })
  }
}

/**
 * @param options.force Replace what is different.
 * @param options.hint What to do about files in the way.
 * @returns what was done, in the order given.
 * @throws FabraError file_exists naming every file in the way; io_failed. Nothing was changed then.
 */
export function writeFiles(
  folder: string,
  files: readonly FileToWrite[],
  options: { readonly force: boolean; readonly hint?: string },
): FileState[] {
  const states = options.force ? files.map((file) => stateOf(folder, file)) : refuseDifferent(folder, files, options.hint)
  const undo: (() => void)[] = []
  try {
    const drafts = files.flatMap((file, i) => (states[i] === 'new' || states[i] === 'different' ? [draft(folder, file, undo)] : []))
    for (const one of drafts) putInPlace(one, undo)
    for (const one of drafts) rmSync(one.old, { force: true, recursive: true })
  } catch (cause) {
    for (const step of undo.reverse()) step()
    if (cause instanceof FabraError) throw cause
    throw unwritable(folder, cause)
  }
  return states
}

const IN_THE_WAY = 'See what would change with --diff; replace them with --force.'

/** @throws FabraError file_exists naming every file that would be replaced. */
export function refuseDifferent(folder: string, files: readonly FileToWrite[], hint = IN_THE_WAY): FileState[] {
  const states = files.map((file) => stateOf(folder, file))
  const inTheWay = files.filter((_, i) => states[i] === 'different').map((file) => file.path)
  if (inTheWay.length === 0) return states
  throw new FabraError('file_exists', `${folder} already has ${inTheWay.join(', ')} with other contents. Nothing was written.`, {
    hint,
  })
}

/** For work that takes long: better known before it. @throws FabraError io_failed */
export function refuseUnwritable(folder: string): void {
  let location = resolve(folder)
  while (!existsSync(location)) location = dirname(location)
  try {
    // The dot tells a file from a folder.
    accessSync(`${location}/.`, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw unwritable(folder, cause)
  }
}

function unwritable(folder: string, cause: unknown): FabraError {
  return new FabraError('io_failed', `Could not write in ${resolve(folder)}: ${reasonOf(cause)}.`, {
    hint: 'Nothing was left behind. Choose a folder that can be written.',
    cause,
  })
}

interface Draft {
  readonly path: string
  readonly draft: string
  /** Where a file that was there is kept until all is done. */
  readonly old: string
}

/** Everything that needs space and permissions happens here, before anything is replaced. */
function draft(folder: string, file: FileToWrite, undo: (() => void)[]): Draft {
  const path = join(folder, file.path)
  const made = mkdirSync(dirname(path), { recursive: true })
  if (made !== undefined) undo.push(() => rmSync(made, { recursive: true, force: true }))
  const names = { path, draft: `${path}.${process.pid}.new`, old: `${path}.${process.pid}.old` }
  undo.push(() => rmSync(names.draft, { force: true }))
  writeFileSync(names.draft, file.data, { flag: 'wx', mode: file.mode ?? 0o644 })
  if (file.mode !== undefined) chmodSync(names.draft, file.mode)
  return names
}

function putInPlace({ path, draft, old }: Draft, undo: (() => void)[]): void {
  if (lstatSync(path, { throwIfNoEntry: false })) {
    renameSync(path, old)
    undo.push(() => renameSync(old, path))
  }
  // Unlike a rename this does not replace a file that came in between.
  linkSync(draft, path)
  undo.push(() => rmSync(path, { force: true }))
  rmSync(draft)
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : ''
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'the file system is read-only',
  ENOENT: 'the folder cannot be made there',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'a part of the path is a file',
}

export function reasonOf(cause: unknown): string {
  const code = codeOf(cause)
  return REASONS[code] ?? (code === '' ? String(cause) : code)
}
