/** The file of a training set, with the hash of its rows in what it tells of itself. */
import { rm } from 'node:fs/promises'
import type { DeclaredType } from '../../../definition/model.ts'
import type { RunOptions, TableColumn } from '../../ports/source-engine.ts'
import type { Output } from '../../ports/training-store.ts'
import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'
import { columnsWithNulls, nestedSqlType, pandasMetadata } from './declared-columns.ts'
import { replaceInFooter } from './parquet-footer.ts'
import { hashSelect, type WrittenFile, writeStatement, writtenSelect } from './result.ts'
import { parquetOptions } from './typed-values.ts'
import { inGroups } from './wide.ts'

type Target = Pick<Output, 'format' | 'metadata'> & {
  readonly path: string
  /** Of the columns that come from features. */
  readonly types: ReadonlyMap<string, DeclaredType>
}

/** @param rows SQL to select from, in order. @returns the hash. */
export function writeSet(session: Session, rows: string, target: Target, options: RunOptions): Promise<string> {
  // The hash is of values as they are computed, in whatever types a file has them.
  const isAsComputed = target.format === 'parquet' && ![...target.types.values()].some((type) => nestedSqlType(type) !== null)
  return isAsComputed ? writeOnce(session, rows, target, options) : writeTwice(session, rows, target, options)
}

/** The hash is known when the rows are in the file, and so is the footer by then: what stands in for the hash there is replaced by it. */
async function writeOnce(session: Session, rows: string, { path, format, metadata, types }: Target, options: RunOptions): Promise<string> {
  const standIn = new Bun.CryptoHasher('sha256').update(crypto.randomUUID()).digest('hex')
  const columns = await columnsOf(session, rows, options)
  const pandas = pandasMetadata(columns)
  const fileMetadata = { ...metadata(standIn), ...(pandas.text === null ? {} : { pandas: pandas.text }) }
  await writeFile(
    session,
    writtenSelect(rows, columns, format, types),
    { path, format, metadata: fileMetadata, columnCount: columns.length },
    options,
  )
  const hash = await hashOf(session, path, columns, options)
  metadata(hash)
  const withNulls = pandas.text === null ? new Set<string>() : await columnsWithNulls(session, path, options)
  await replaceInFooter(path, [[standIn, hash], ...pandas.replacements((name) => withNulls.has(name))])
  return hash
}

/** What other formats tell of themselves stands before the rows, if anywhere; and in texts a value's type is no longer to be seen. */
async function writeTwice(session: Session, rows: string, { path, format, metadata, types }: Target, options: RunOptions): Promise<string> {
  const draft = `${path}.draft`
  const columns = await columnsOf(session, rows, options)
  await session.execute(`COPY ${rows} TO ${quoteText(draft)} (${parquetOptions(columns.length)})`, options)
  const from = `read_parquet(${quoteText(draft)})`
  const hash = await hashOf(session, draft, columns, options)
  const pandas = format === 'parquet' || format === 'arrow' ? await knownPandas(session, draft, columns, options) : {}
  const fileMetadata = { ...metadata(hash), ...pandas }
  await writeFile(
    session,
    writtenSelect(from, columns, format, types),
    { path, format, metadata: fileMetadata, columnCount: columns.length },
    options,
  )
  await rm(draft)
  return hash
}

async function knownPandas(
  session: Session,
  draft: string,
  columns: readonly TableColumn[],
  options: RunOptions,
): Promise<Readonly<Record<string, string>>> {
  const { text, replacements } = pandasMetadata(columns)
  if (text === null) return {}
  const withNulls = await columnsWithNulls(session, draft, options)
  return { pandas: replacements((name) => withNulls.has(name)).reduce((whole, [from, to]) => whole.replace(from, to), text) }
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
