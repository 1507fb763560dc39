import { rm } from 'node:fs/promises'
import { SourceFileProblem, type SourceFileReader, type TakeRows } from '../source-file.ts'
import { openDatabase, ownDeadline } from './database.ts'
import { type FilePlan, planFile, readingProblem } from './file-reader.ts'
import type { Session } from './session.ts'
import { fileFacts, hashFile, lendFile, selectSorted, settingsHash } from './source-loader.ts'
import { SourceProblem } from './source-problem.ts'
import { quoteName } from './sql.ts'

const LOAD = ownDeadline(30 * 60_000)

/** Reads files in an engine of their own, which is there only as long as one is read. */
export function createSourceFileReader(): SourceFileReader {
  return {
    facts: (input, file) => explained(async () => ({ ...(await fileFacts(file)), settings: settingsHash(input) })),
    hash: (file) => explained(() => hashFile(file)),
    async read(input, file, begin) {
      const { size } = await explained(() => fileFacts(file))
      const database = await openDatabase({ file: ':memory:' })
      try {
        await database.loader.use(LOAD, async (session) => {
          const readFrom = await explained(() => lendFile(file, database.loadDir, input.source.name))
          try {
            await readFile(session, { ...input, file, readFrom, size }, begin)
          } finally {
            await rm(readFrom, { force: true })
          }
        })
      } finally {
        await database.close()
      }
    },
  }
}

async function readFile(
  session: Session,
  input: Parameters<typeof planFile>[1],
  begin: Parameters<SourceFileReader['read']>[2],
): Promise<void> {
  const plan = await explained(() => planFile(session, input))
  const take = await begin(plan.plans.map(({ name, type }) => ({ name, type })))
  let theirs: { readonly error: unknown } | undefined
  const guarded: TakeRows = async (rows) => {
    try {
      await take(rows)
    } catch (error) {
      theirs = { error }
      throw error
    }
  }
  try {
    await session.stream(asTexts(input, plan), LOAD, () => (chunk) => guarded(chunk.getRows() as (string | null)[][]))
  } catch (error) {
    if (theirs) throw theirs.error
    throw await explained<never>(async () => {
      throw await readingProblem(session, input, plan, error)
    }).catch((problem: unknown) => problem)
  }
}

function asTexts(input: Parameters<typeof selectSorted>[0], plan: FilePlan): string {
  const texts = plan.plans.map(({ name, type }) => textOf(quoteName(name), type.toUpperCase()))
  return `SELECT ${texts.join(', ')} FROM (${selectSorted(input, plan)})`
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
