/** What a Parquet file's own schema says, and the engine does not tell: names it changes, and decimals it reads as other numbers. */

import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'
import { repeatedName } from './repeated-name.ts'
import { SourceProblem } from './source-problem.ts'

/** Digits of the longest decimal that the engine holds. Longer ones it reads wrongly (1.10 comes as 7.9e16), and says nothing. */
const MAX_DECIMAL_DIGITS = 38

/** A column of a Parquet file, or a part of one. */
interface SchemaNode {
  readonly name: string
  readonly precision: number
  readonly parts: readonly SchemaNode[]
}

/** Refuses a file of which the engine would make something else. @throws SourceProblem @param read Runs a query and gives its rows. */
export async function checkParquet(
  read: (text: string) => Promise<readonly (readonly unknown[])[]>,
  path: string,
  file: string,
): Promise<void> {
  const rows = await read(`SELECT name, num_children, precision, logical_type FROM parquet_schema(${quoteText(path)})`)
  let at = 0
  const next = (): SchemaNode => {
    const [name, children, precision, logical] = rows[at++] ?? []
    const digits = Number(precision ?? /precision=(\d+)/.exec(String(logical ?? ''))?.[1] ?? 0)
    const parts: SchemaNode[] = []
    while (parts.length < Number(children ?? 0) && at < rows.length) parts.push(next())
    return { name: String(name), precision: digits, parts }
  }
  checkParts(next(), [], file)
}

export const reading =
  (session: Session, options: Parameters<Session['read']>[2]) =>
  async (text: string): Promise<readonly (readonly unknown[])[]> =>
    (await session.read(text, [], options)).rows

function checkParts(whole: SchemaNode, path: readonly string[], file: string): void {
  const where = path.length > 1 ? `${path[0]}" (in ${path.slice(1).join('.')})` : `${path[0]}"`
  if (whole.precision > MAX_DECIMAL_DIGITS) {
    throw new SourceProblem(
      `${file}: column "${where} is a decimal of ${whole.precision} digits; at most ${MAX_DECIMAL_DIGITS} are read exactly.`,
      `Write it as a decimal of at most ${MAX_DECIMAL_DIGITS} digits, a float or a text: in pyarrow, .cast(pa.decimal128(${MAX_DECIMAL_DIGITS}, …)).`,
    )
  }
  const names = whole.parts.map(({ name }) => name)
  const repeated = repeatedName(names)
  if (repeated !== undefined) {
    const what = path.length === 0 ? 'columns' : `fields of column "${where}`
    throw new SourceProblem(`${file}: two ${what} are called ${repeated}.`, 'Rename one of them.')
  }
  for (const part of whole.parts) checkParts(part, [...path, part.name], file)
}
