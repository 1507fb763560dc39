/**
 * Puts the embedded package on disk, where an interpreter finds it. The folder is named after its contents, and each file appears under its name
 * by a rename, whole or not at all: several processes may do this at once, and one that is killed leaves nothing that looks finished.
 */
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

type Files = Readonly<Record<string, string>>

/**
 * @param folders Where it may be, best first.
 * @returns the folder that holds `fabra/`. @throws Error with a line for each folder that was tried, if none would do
 */
export function unpackPackage(files: Files, folders: readonly string[]): string {
  const fingerprint = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 16)
  const refusals: string[] = []
  for (const folder of folders) {
    try {
      const target = join(folder, `python-${fingerprint}`)
      unpackInto(join(target, 'fabra'), files)
      refuseForeign(target)
      return target
    } catch (error) {
      refusals.push(`${folder}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new Error(`The embedded Python package could not be unpacked (${refusals.join('; ')}).`)
}

function unpackInto(folder: string, files: Files): void {
  for (const inner of new Set(Object.keys(files).map(dirname))) mkdirSync(join(folder, inner), { recursive: true, mode: 0o700 })
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name)
    refuseForeign(dirname(path))
    if (!isComplete(path, text)) writeWhole(path, text)
  }
}

/** Code is loaded from here: nobody else may be able to put it there. */
function refuseForeign(folder: string): void {
  const stat = lstatSync(folder)
  if (!stat.isDirectory()) throw new Error('is not a folder')
  if (process.getuid && stat.uid !== process.getuid()) throw new Error('belongs to another user')
  if ((stat.mode & 0o022) !== 0) throw new Error('can be written by other users')
}

function isComplete(path: string, text: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  return stat?.isFile() === true && stat.size === Buffer.byteLength(text)
}

function writeWhole(path: string, text: string): void {
  const draft = join(dirname(path), `.${basename(path)}.${process.pid}.${crypto.randomUUID()}`)
  try {
    // A rename may reach the disk before the bytes do; after a power cut the file would have its name and not its contents.
    writeFileSync(draft, text, { mode: 0o600, flag: 'wx', flush: true })
    renameSync(draft, path)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}
