/**
 * What interrupted training sets leave behind, so that the same command goes on where it was: a folder for each set, with a Parquet file for
 * each part. A part's name tells what it answers (`step`, a hash of everything that decides its values), for which rows, and the hash of its
 * own bytes. It is linked under a draft's name, written through to the disk and renamed: whatever is under a part's name is whole, and bytes
 * that are not those of its name are thrown away. Parts are a help alone: that one cannot be kept fails nothing.
 */
import { constants, renameSync } from 'node:fs'
import { copyFile, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { hashFile } from '../../sources/file-facts.ts'

/** Interrupted sets that are kept, and for how long after the last part. */
const MAX_SETS = 4
const KEPT_MS = 7 * 86_400_000

/** Label rows `from` to `to` (excluded). */
export interface RowRange {
  readonly from: number
  readonly to: number
}

export interface KeptSet {
  /** Whether an earlier run has left anything. */
  readonly wasInterrupted: boolean
  /** Puts the longest part of a step that begins with this row at `target`. */
  take(step: string, from: number, target: string): Promise<RowRange | undefined>
  /** @param file Finished; it is not changed any more. */
  keep(step: string, range: RowRange, file: string): Promise<void>
  /** The set is done with, one way or the other. */
  close(): void
  /** The set was delivered: nothing of it is needed again. */
  remove(): Promise<void>
}

export interface KeptFiles {
  /** @param fresh What is there is removed first. */
  open(set: string, fresh: boolean): Promise<KeptSet>
  /** Nothing that was kept is there any more, and sets that are being made keep nothing from then on. @throws Error when it cannot be removed. */
  removeAll(): Promise<void>
}

/** @param folder Nothing else is in it. Made when there is something to keep. */
export function createKeptFiles(folder: string): KeptFiles {
  const inUse = new Map<string, number>()
  let generation = 0
  prune(folder, inUse).catch(() => undefined)
  return {
    async open(set, fresh) {
      const own = join(folder, set)
      if (fresh) await removed(own)
      inUse.set(set, (inUse.get(set) ?? 0) + 1)
      await prune(folder, inUse).catch(() => undefined)
      const opened = generation
      const parts = fresh ? [] : await partsIn(own)
      return {
        wasInterrupted: parts.length > 0,
        take: (step, from, target) => (opened === generation ? take(own, parts, { step, from, target }) : Promise.resolve(undefined)),
        keep: (step, range, file) => keep(own, { step, ...range, file }, () => opened === generation),
        close() {
          const users = (inUse.get(set) ?? 1) - 1
          if (users === 0) inUse.delete(set)
          else inUse.set(set, users)
        },
        remove: () => removed(own),
      }
    },
    async removeAll() {
      generation++
      const gone = `${folder}.${crypto.randomUUID()}`
      try {
        // At once, so that nothing can be put beside what is being removed.
        renameSync(folder, gone)
      } catch (error) {
        if ((error as { code?: unknown }).code === 'ENOENT') return
        throw error
      }
      await rm(gone, { recursive: true, force: true })
    },
  }
}

interface PartFile extends RowRange {
  readonly step: string
  readonly hash: string
  readonly name: string
}

const NAME = /^([0-9a-f]+)-(\d+)-(\d+)-([0-9a-f]+)\.parquet$/

async function partsIn(folder: string): Promise<PartFile[]> {
  const names = await readdir(folder).catch(() => [])
  return names.flatMap((name) => {
    const [, step = '', from, to, hash = ''] = NAME.exec(name) ?? []
    return from === undefined ? [] : [{ step, from: Number(from), to: Number(to), hash, name }]
  })
}

async function take(
  folder: string,
  parts: readonly PartFile[],
  { step, from, target }: { step: string; from: number; target: string },
): Promise<RowRange | undefined> {
  const found = parts.filter((part) => part.step === step && part.from === from).sort((a, b) => b.to - a.to)
  for (const part of found) {
    try {
      await lend(join(folder, part.name), target)
      if ((await hashFile(target)) === part.hash) return part
      await rm(join(folder, part.name), { force: true })
    } catch {
      // Gone meanwhile, or not to be read: it is computed again.
    }
    await rm(target, { force: true })
  }
  return undefined
}

async function keep(
  folder: string,
  { step, from, to, file }: RowRange & { readonly step: string; readonly file: string },
  mayStay: () => boolean,
): Promise<void> {
  const draft = join(folder, `draft-${crypto.randomUUID()}`)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await lend(file, draft)
    const hash = await hashFile(draft)
    await writeThrough(draft)
    // In one turn: what is forgotten meanwhile does not come back.
    if (mayStay()) renameSync(draft, join(folder, `${step}-${from}-${to}-${hash}.parquet`))
  } catch {
    // A full disk, most often: the set itself may still fit.
  } finally {
    await rm(draft, { force: true }).catch(() => undefined)
  }
}

/** What cannot be removed now goes when it is old. */
async function removed(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() => undefined)
}

/** A second name costs nothing; where the disk has none, it is a copy. */
async function lend(file: string, target: string): Promise<void> {
  await link(file, target).catch(() => copyFile(file, target, constants.COPYFILE_FICLONE))
}

async function writeThrough(file: string): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Old sets go, of the others the oldest; those being made stay. */
async function prune(folder: string, inUse: ReadonlyMap<string, number>): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  const sets: { readonly path: string; readonly at: number }[] = []
  for (const name of names) {
    if (inUse.has(name)) continue
    const path = join(folder, name)
    const facts = await stat(path).catch(() => undefined)
    if (facts) sets.push({ path, at: facts.mtimeMs })
  }
  sets.sort((a, b) => b.at - a.at)
  const oldest = Date.now() - KEPT_MS
  for (const [i, { path, at }] of sets.entries()) {
    if (i < MAX_SETS && at >= oldest) continue
    // One that is taken up this very moment is read under its own name or not at all.
    await rename(path, `${path}.gone`).catch(() => undefined)
    await rm(`${path}.gone`, { recursive: true, force: true })
  }
}
