/**
 * Loads DuckDB's native library out of the executable.
 *
 * The executable carries duckdb.node and libduckdb.so compressed. The loader of the operating system only opens real files, so at the
 * first start they are unpacked into a folder named after their contents, and every later start finds them there. Each file appears
 * under its name by a rename, complete or not at all, so a process killed in between leaves nothing that looks finished. Folders that
 * another user could have written to are not trusted. Where no folder will do (a read-only disk, mounted noexec), the library is
 * loaded from memory; see native-memory.ts.
 *
 * From the sources this module is not used: the package "@duckdb/node-bindings" finds its files by itself.
 */
import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { NativeFile, NativeLibrary } from './library.ts'
import { holdUnpackLock, isDead } from './native-lock.ts'
import { loadFromMemory } from './native-memory.ts'

/**
 * The exports of the addon. Several processes may call this at once for one folder.
 * @throws Error with a line for each place that was tried, if none would do.
 */
export function loadNative(library: NativeLibrary, folders: readonly string[]): unknown {
  const refusals: string[] = []
  for (const folder of folders) {
    try {
      return openAddon(join(unpack(library, join(folder, `native-${library.fingerprint}`)), library.addon.name))
    } catch (error) {
      refusals.push(`  ${folder}: ${reasonOf(error)}`)
    }
  }
  try {
    return loadFromMemory(library, decompress, openAddon)
  } catch (error) {
    refusals.push(`  memory: ${reasonOf(error)}`)
  }
  throw new Error(
    `The embedded DuckDB library could not be loaded.\n${refusals.join('\n')}\n` +
      'Set FABRA_CACHE_DIR to a folder you own, on a disk that allows executables; on a slim image install libstdc++6.',
  )
}

/** @returns the folder, which now holds every file of the library. */
function unpack(library: NativeLibrary, folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  refuseForeign(folder)
  const files = [...library.libraries, library.addon]
  const isUnpacked = () => files.every((file) => isComplete(folder, file))
  if (isUnpacked()) return folder
  const release = holdUnpackLock(folder, isUnpacked)
  try {
    removeDraftsOfTheDead(folder)
    for (const file of files) if (!isComplete(folder, file)) writeWhole(folder, file)
  } finally {
    release()
  }
  return folder
}

/** Code is loaded from here: nobody else may be able to put it there. */
function refuseForeign(folder: string): void {
  const stat = lstatSync(folder)
  if (!stat.isDirectory()) throw new Error('is not a folder')
  if (process.getuid && stat.uid !== process.getuid()) throw new Error('belongs to another user')
  if ((stat.mode & 0o022) !== 0) throw new Error('can be written by other users')
}

function isComplete(folder: string, file: NativeFile): boolean {
  const stat = lstatSync(join(folder, file.name), { throwIfNoEntry: false })
  return stat?.isFile() === true && stat.size === file.size && (!process.getuid || stat.uid === process.getuid())
}

function writeWhole(folder: string, file: NativeFile): void {
  const draft = join(folder, `.${file.name}.${process.pid}.${crypto.randomUUID()}`)
  const descriptor = openSync(draft, 'wx', 0o500)
  try {
    const bytes = decompress(file)
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written)
    // A rename may reach the disk before the bytes do; after a power cut the file would have its size and not its contents.
    fsyncSync(descriptor)
    renameSync(draft, join(folder, file.name))
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  } finally {
    closeSync(descriptor)
  }
}

/** What a killed process had half-written is 70 MB that nobody would ever use. */
function removeDraftsOfTheDead(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = /^\..+\.(\d+)\.[\w-]+$/.exec(name)?.[1]
    if (pid !== undefined && isDead(Number(pid))) rmSync(join(folder, name), { force: true })
  }
}

function decompress(file: NativeFile): Uint8Array {
  const bytes = Bun.zstdDecompressSync(readFileSync(file.path))
  if (bytes.length !== file.size) throw new Error(`${file.name} has ${bytes.length} bytes instead of ${file.size}`)
  return bytes
}

function openAddon(path: string): unknown {
  const module: { exports: unknown } = { exports: {} }
  process.dlopen(module, path)
  return module.exports
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
