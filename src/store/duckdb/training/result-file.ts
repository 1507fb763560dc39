/** The file of a training set, with the hash of its rows in what it tells of itself. */
import { rm } from 'node:fs/promises'
import type { RunOptions, TableColumn } from '../../ports/source-engine.ts'
import type { Output } from '../../ports/training-store.ts'
import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'
import { replaceInFooter } from './parquet-footer.ts'
import { hashSelect, type WrittenFile, writeStatement, writtenSelect } from './result.ts'
import { parquetOptions } from './typed-values.ts'
import { inGroups } from './wide.ts'

type Target = Pick<Output, 'format' | 'metadata'> & { readonly path: string }

/** @param rows SQL to select from, in order. @returns the hash. */
export function writeSet(session: Session, rows: string, target: Target, options: RunOptions): Promise<string> {
  return target.format === 'parquet' ? writeOnce(session, rows, target, options) : writeTwice(session, rows, target, options)
}

/** The hash is known when the rows are in the file, and so is the footer by then: what stands in for the hash there is replaced by it. */
async function writeOnce(session: Session, rows: string, { path, format, metadata }: Target, options: RunOptions): Promise<string> {
  const standIn = new Bun.CryptoHasher('sha256').update(crypto.randomUUID()).digest('hex')
  const columns = await columnsOf(session, rows, options)
  await writeFile(
    session,
    writtenSelect(rows, columns, format),
    { path, format, metadata: metadata(standIn), columnCount: columns.length },
    options,
  )
  const hash = await hashOf(session, path, columns, options)
  metadata(hash)
  await replaceInFooter(path, standIn, hash)
  return hash
}

/** What other formats tell of themselves stands before the rows, if anywhere; and in texts a value's type is no longer to be seen. */
async function writeTwice(session: Session, rows: string, { path, format, metadata }: Target, options: RunOptions): Promise<string> {
  const draft = `${path}.draft`
  const columns = await columnsOf(session, rows, options)
  await session.execute(`COPY ${rows} TO ${quoteText(draft)} (${parquetOptions(columns.length)})`, options)
  const from = `read_parquet(${quoteText(draft)})`
  const hash = await hashOf(session, draft, columns, options)
  await writeFile(
    session,
    writtenSelect(from, columns, format),
    { path, format, metadata: metadata(hash), columnCount: columns.length },
    options,
  )
  await rm(draft)
  return hash
}

async function columnsOf(session: Session, from: string, options: RunOptions): Promise<readonly TableColumn[]> {
  const { rows } = await session.read(`SELECT column_name, column_type FROM (DESCRIBE FROM ${from})`, [], options)
  return rows.map(([name, type]) => ({ name: String(name), type: String(type) }))
}

async function hashOf(session: Session, file: string, columns: readonly TableColumn[], options: RunOptions): Promise<string> {
  const hashes: string[] = []
  // Of thousands of columns the texts of one row alone are a lot to hold.
  for (const some of inGroups(columns)) hashes.push(String((await session.read(hashSelect(file, some), [], options)).rows[0]?.[0]))
  const [only = ''] = hashes
  return hashes.length === 1 ? only : new Bun.CryptoHasher('sha256').update(hashes.join(' ')).digest('hex')
}

async function writeFile(session: Session, select: string, target: WrittenFile, options: RunOptions): Promise<void> {
  if (target.format !== 'arrow') return session.execute(writeStatement(select, { ...target, format: target.format }), options)
  const { writeArrowFile } = await import('./arrow-file.ts')
  await writeArrowFile(session, select, target, options)
}
