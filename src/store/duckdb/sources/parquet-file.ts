import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'
import { describe, explained, LOAD, type OpenedFile, type SourceFile } from './opened-file.ts'
import { checkParquet, reading } from './parquet-schema.ts'

/** Its columns have types of their own. @throws SourceProblem */
export async function openParquet(session: Session, input: SourceFile): Promise<OpenedFile> {
  const from = `read_parquet(${quoteText(input.readFrom)})`
  const found = await explained(input, async () => {
    await checkParquet(reading(session, LOAD), input.readFrom, input.file)
    return describe(session, from)
  })
  return { format: 'parquet', found, texts: [], among: 'times', textsAs: null, readTexts: () => from, reader: () => from }
}
