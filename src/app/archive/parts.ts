/** Rows on their way into the archive: one file for each lot, whole and on the disk before the lot's transaction ends. */
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyColumn } from '../../definition/model.ts'
import type { LeavingRows } from '../../store/ports/archive.ts'

/** What is archived together: the history of a feature, or the rows of a source. */
export interface Subject {
  readonly kind: 'history' | 'rows'
  /** Of the feature or the source. */
  readonly name: string
}

export interface PartHead {
  readonly columns: LeavingRows['columns']
  readonly key: readonly KeyColumn[]
  readonly order: readonly string[]
}

export interface Part extends PartHead {
  readonly rows: LeavingRows['rows']
}

export const ENDING = '.json'

/** A line each for the head and the rows. */
export function partText({ rows, ...head }: Part): string {
  return [head, ...rows].map((line) => JSON.stringify(line)).join('\n')
}

export async function writePart(folder: string, part: Part): Promise<string> {
  const name = crypto.randomUUID()
  const path = join(folder, `${name}${ENDING}`)
  await mkdir(folder, { recursive: true })
  await writeDurably(`${path}.new`, partText(part))
  await rename(`${path}.new`, path)
  await syncFolder(folder)
  return name
}

export async function readPart(path: string): Promise<Part> {
  const [head = '{}', ...rows] = (await readFile(path, 'utf8')).split('\n')
  return { ...(JSON.parse(head) as PartHead), rows: rows.map((row) => JSON.parse(row) as LeavingRows['rows'][number]) }
}

export interface ListedPart {
  readonly name: string
  readonly path: string
  readonly ageMs: number
}

/** Nothing where there is no such folder. */
export async function listParts(folder: string): Promise<readonly ListedPart[]> {
  const names = (await listFolder(folder)).filter((name) => name.endsWith(ENDING)).sort()
  const parts = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      const facts = await stat(path).catch(() => null)
      return facts && { name: name.slice(0, -ENDING.length), path, ageMs: Date.now() - facts.mtimeMs }
    }),
  )
  return parts.filter((part) => part !== null)
}

export async function listFolder(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 'ENOENT') return []
    throw error
  }
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r')
  await file.sync().finally(() => file.close())
}

/** So that a name is there after a power cut, too; not every system can. */
export async function syncFolder(folder: string): Promise<void> {
  await syncFile(folder).catch(() => undefined)
}
