/**
 * What leaves goes into a folder first. Each lot of rows is written as a part and its name in the transaction that deletes the rows. So whoever finds a part
 * knows whether its rows left: parts of transactions that did not end are dropped, since their rows are still there. The others are put together in Parquet
 * files that a source reads:
 *
 *     <folder>/history/<feature>/<time>-<id>.parquet       rows/<source>/…
 *     <folder>/.parts/…       parts
 *     <folder>/.joining/…     parts of one file that is being written; it has their folder's name, so that beginning anew writes the same file
 */
import { access, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyColumn } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Logger } from '../../observability/logger.ts'
import { writeRowsFile } from '../../store/duckdb/rows-file.ts'
import type { ArchiveMarks, LeavingRows, TakeLeaving } from '../../store/ports/archive.ts'
import { listFolder, listParts, readPart, removeFolder, type Subject, syncFile, syncFolder, writePart } from './parts.ts'

/** No transaction lives so long: whoever deleted a part's rows has ended by then. */
const IN_DOUBT_MS = 600_000
/** They become a file before there are more. */
export const MOST_PARTS = 200

export interface Archive {
  /** @param about Of all rows of the subject. */
  taker(subject: Subject, about: { readonly key: readonly KeyColumn[]; readonly order: readonly string[] }): TakeLeaving
  /** Puts together what is there of the subject, if it is many parts or `atLast`. @throws FabraError io_failed */
  join(subject: Subject, when?: 'many' | 'atLast'): Promise<void>
  /** The same of all places, also of those that no definition names any more. */
  joinAll(): Promise<void>
}

export interface ArchiveOptions {
  readonly folder: string
  readonly marks: ArchiveMarks
  readonly log: Logger
}

export function createArchive({ folder, marks, log }: ArchiveOptions): Archive {
  const parts = ({ kind, name }: Subject) => join(folder, '.parts', kind, name)
  const joining = ({ kind, name }: Subject) => join(folder, '.joining', kind, name)
  const taken = new Map<string, number>()
  const idOf = ({ kind, name }: Subject) => `${kind}/${name}`

  /** @returns whether there are any whose rows have left. */
  async function collect(subject: Subject): Promise<void> {
    const found = await listParts(parts(subject))
    if (found.length === 0) return
    const written = await marks.written(found.map(({ name }) => name))
    const left = found.filter(({ name }) => written.has(name))
    for (const { path } of found.filter(({ name, ageMs }) => !written.has(name) && ageMs > IN_DOUBT_MS)) await removeFolder(path)
    if (left.length === 0) return
    const together = join(joining(subject), newFileName())
    await mkdir(together, { recursive: true })
    for (const { name, path } of left) await rename(path, join(together, `${name}.json`))
    await syncFolder(together)
  }

  async function finish(subject: Subject, name: string): Promise<void> {
    const from = join(joining(subject), name)
    const found = await listParts(from)
    const [first] = found
    const target = join(folder, subject.kind, subject.name)
    const file = join(target, `${name}.parquet`)
    if (first && !(await exists(file))) {
      const { columns, key, order } = await readPart(first.path)
      await mkdir(target, { recursive: true })
      const whole = join(from, `${crypto.randomUUID()}.parquet`)
      await writeRowsFile(
        from,
        whole,
        { columns, key, order },
        rowsOf(
          found.map(({ path }) => path),
          columns,
        ),
      )
      await syncFile(whole)
      // Another process that finished it meanwhile has begun to remove its parts.
      if (!(await exists(file))) await rename(whole, file)
      await syncFolder(target)
      log.info('what left was archived', { file })
    }
    await marks.forget(found.map((part) => part.name))
    await removeFolder(from)
  }

  const join_ = async (subject: Subject, when: 'many' | 'atLast' = 'atLast') => {
    if (when === 'many' && (taken.get(idOf(subject)) ?? 0) < MOST_PARTS) return
    taken.delete(idOf(subject))
    await orReported(async () => {
      await collect(subject)
      for (const name of await listFolder(joining(subject))) await finish(subject, name)
    })
  }

  return {
    taker:
      (subject, { key, order }) =>
      (rows: LeavingRows) =>
        orReported(async () => {
          const name = await writePart(parts(subject), { ...rows, key, order })
          taken.set(idOf(subject), (taken.get(idOf(subject)) ?? 0) + 1)
          return name
        }),
    join: join_,
    async joinAll() {
      for (const kind of ['history', 'rows'] as const)
        for (const under of ['.parts', '.joining'])
          for (const name of await orReported(() => listFolder(join(folder, under, kind)))) await join_({ kind, name })
    },
  }

  async function orReported<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      if (cause instanceof FabraError) throw cause
      throw new FabraError('io_failed', `The archive ${folder} could not be written; nothing leaves that is not in it.`, {
        hint: 'The folder of FABRA_ARCHIVE_DIR needs room, and the right to write there.',
        cause,
      })
    }
  }
}

/** Without an ending; later ones sort behind earlier ones. */
export function newFileName(): string {
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  return `${stamp}-${crypto.randomUUID().slice(0, 8)}`
}

/** Columns may have come and gone between parts. */
export async function* rowsOf(paths: readonly string[], columns: LeavingRows['columns']): AsyncGenerator<LeavingRows['rows']> {
  for (const path of paths) {
    const part = await readPart(path)
    const places = columns.map(({ name }) => part.columns.findIndex((one) => one.name === name))
    yield part.rows.map((row) => places.map((subject) => row[subject] ?? null))
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
