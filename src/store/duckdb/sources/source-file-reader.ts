import { type AppendedRows, SourceFileProblem, type SourceFileReader, type TakeRows } from '../../ports/source-file-reader.ts'
import { openDatabase, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { quoteName } from '../sql.ts'
import { fileFacts, hashFiles, settingsHash } from './file-facts.ts'
import { lendFiles } from './lent-files.ts'
import { planSource, selectSorted } from './source-loader.ts'
import { SourceProblem } from './source-problem.ts'

const LOAD = ownDeadline(30 * 60_000)
const KEEP_ROWS = "INSERT INTO fabra.source_rows (source, arrived_at, row) SELECT $1, TIMESTAMPTZ 'epoch', unnest($2::VARCHAR[])"

/** Reads files in an engine of their own, which is there only as long as one is read. */
export function createSourceFileReader(): SourceFileReader {
  return {
    facts: (input, file) =>
      explained(async () => {
        const { size, modified } = await fileFacts(file)
        return { size, modified, settings: settingsHash(input) }
      }),
    hash: (file) => explained(() => hashFiles(file)),
    async read(reading, begin) {
      const { list } = await explained(() => fileFacts(reading.file))
      const database = await openDatabase({ file: ':memory:' })
      try {
        await database.loader.use(LOAD, async (session) => {
          const lent = await explained(() => lendFiles(list, database.loadDir, reading.input.source.name))
          try {
            await readFiles(session, { ...reading, lent }, begin)
          } finally {
            await lent.giveBack()
          }
        })
      } finally {
        await database.close()
      }
    },
  }
}

type Reading = Parameters<SourceFileReader['read']>[0] & { readonly lent: Parameters<typeof planSource>[2] }

async function readFiles(
  session: Session,
  { input, lent, appended }: Reading,
  begin: Parameters<SourceFileReader['read']>[1],
): Promise<void> {
  await keepAppended(session, input.source.name, appended)
  const { plan, selectKept, explain } = await explained(() => planSource(session, input, lent, appended.typeNow))
  const columns = plan.plans.map(({ name, type }) => ({ name, type }))
  const take = await begin(columns)
  let theirs: { readonly error: unknown } | undefined
  const stream = async (select: string, from: Parameters<TakeRows>[1]) => {
    const texts = columns.map(({ name, type }) => textOf(quoteName(name), type.toUpperCase()))
    await session.stream(`SELECT ${texts.join(', ')} FROM (${select})`, LOAD, () => async (chunk) => {
      try {
        await take(chunk.getRows() as (string | null)[][], from)
      } catch (error) {
        theirs = { error }
        throw error
      }
    })
  }
  try {
    await stream(selectSorted(input, plan), 'files')
    if (selectKept !== null) await stream(selectKept, 'appended')
  } catch (error) {
    if (theirs) throw theirs.error
    throw await explained<never>(async () => {
      throw await explain(error)
    }).catch((problem: unknown) => problem)
  }
}

async function keepAppended(session: Session, source: string, { rows }: AppendedRows): Promise<void> {
  for await (const some of rows) await session.read(KEEP_ROWS, [source, some], LOAD)
}

function textOf(name: string, type: string): string {
  if (type === 'BLOB') return `'\\x' || lower(hex(${name}))`
  if (/\]$|^(STRUCT|MAP|UNION|LIST|ARRAY)\b/.test(type)) return `CAST(to_json(${name}) AS VARCHAR)`
  // Nobody else has nanoseconds.
  return type === 'TIMESTAMP_NS' ? `CAST(CAST(${name} AS TIMESTAMP) AS VARCHAR)` : `CAST(${name} AS VARCHAR)`
}

async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof SourceProblem ? new SourceFileProblem(error.message, error.hint, error) : error
  }
}
