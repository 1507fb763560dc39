/**
 * The archive in a bucket. Nothing can be moved there, and two processes may work at once, so the database says which parts make up a file: the mark that was
 * written with a part's rows is given the name of one file, once. Whoever finds the parts then writes the same file under the same name.
 *
 *     <place>/history/<feature>/<time>-<id>.parquet       rows/<source>/…
 *     <place>/.parts/…       parts, until their file is there
 *
 * A file is there whole before its marks and then its parts go. Parts without a mark are those of transactions that did not end, or of a file that is there.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../observability/logger.ts'
import { writeRowsFile } from '../../store/duckdb/rows-file.ts'
import type { ArchiveMarks } from '../../store/ports/archive.ts'
import { type Archive, MOST_PARTS, newFileName, rowsOf } from './archive.ts'
import type { Bucket } from './bucket.ts'
import { ENDING, partText, readPart, type Subject } from './parts.ts'

/** No transaction lives so long, and no clock that a bucket lets in is so far from its own. */
const IN_DOUBT_MS = 3_600_000

export interface BucketArchiveOptions {
  readonly bucket: Bucket
  readonly marks: ArchiveMarks
  readonly log: Logger
}

export function createBucketArchive({ bucket, marks, log }: BucketArchiveOptions): Archive {
  const folderOf = ({ kind, name }: Subject) => `.parts/${kind}/${name}/`
  const keyOf = (subject: Subject, part: string) => `${folderOf(subject)}${part}${ENDING}`
  const taken = new Map<string, number>()

  async function joinNow(subject: Subject): Promise<void> {
    const prefix = folderOf(subject)
    const found = (await bucket.list(prefix)).flatMap(({ key, ageMs }) =>
      key.endsWith(ENDING) ? [{ name: key.slice(prefix.length, -ENDING.length), ageMs }] : [],
    )
    if (found.length === 0) return
    const files = await marks.assign(
      found.map(({ name }) => name),
      newFileName(),
    )
    const assigned = new Set([...files.values()].flat())
    for (const { name } of found.filter((part) => !assigned.has(part.name) && part.ageMs > IN_DOUBT_MS))
      await bucket.remove(keyOf(subject, name))
    for (const [file, names] of files) await finish(subject, file, names)
  }

  async function finish(subject: Subject, file: string, names: readonly string[]): Promise<void> {
    const target = `${subject.kind}/${subject.name}/${file}.parquet`
    if (!(await bucket.exists(target))) {
      await write(subject, target, names)
      log.info('what left was archived', { file: `${bucket.address}/${target}` })
    }
    await marks.forget(names.map((name) => `${file}/${name}`))
    for (const name of names) await bucket.remove(keyOf(subject, name))
  }

  /** A part that is gone belongs to a file that another process has finished meanwhile: reading it fails, and the next time the file is there. */
  async function write(subject: Subject, target: string, names: readonly string[]): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'fabra-archive-'))
    try {
      const paths: string[] = []
      for (const name of [...names].sort()) {
        const path = join(folder, `${name}${ENDING}`)
        await writeFile(path, await bucket.read(keyOf(subject, name)), { mode: 0o600 })
        paths.push(path)
      }
      const { columns, key, order } = await readPart(paths[0] ?? '')
      const whole = join(folder, 'whole.parquet')
      await writeRowsFile(folder, whole, { columns, key, order }, rowsOf(paths, columns))
      await bucket.upload(target, whole)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  const idOf = ({ kind, name }: Subject) => `${kind}/${name}`
  return {
    taker:
      (subject, { key, order }) =>
      async (rows) => {
        const name = crypto.randomUUID()
        await bucket.put(keyOf(subject, name), partText({ ...rows, key, order }))
        taken.set(idOf(subject), (taken.get(idOf(subject)) ?? 0) + 1)
        return name
      },
    async join(subject, when = 'atLast') {
      if (when === 'many' && (taken.get(idOf(subject)) ?? 0) < MOST_PARTS) return
      taken.delete(idOf(subject))
      await joinNow(subject)
    },
    async joinAll() {
      for (const kind of ['history', 'rows'] as const) {
        const found = await bucket.list(`.parts/${kind}/`)
        const names = new Set(found.map(({ key }) => key.split('/').at(-2) ?? ''))
        for (const name of names) await joinNow({ kind, name })
      }
    },
  }
}
