import { SqlError } from '../../ports/source-engine.ts'
import type { PostgresParser } from './parser.ts'

/** What the server would not say, or not in time, of a user's statement. */
export interface UserStatement {
  /** How many parameters it takes: the highest `$n`. */
  readonly parameterCount: number
}

/** Texts whose reading is remembered. */
const MAX_TEXTS = 2_000

/**
 * Sees to it that a user's statement is exactly one SELECT: a read-only transaction alone would still run COPY, DO or SET.
 * @returns a function that throws SqlError syntax.
 */
export function createStatementCheck(parser: PostgresParser): (text: string) => Promise<UserStatement> {
  return remembered(async (text) => readStatement(await parser.parse(text)))
}

/** @param ask Of each parameter of the statement, whether it is a list. @returns the same, asked once for each text. */
export function createListPlaces(ask: (text: string) => Promise<readonly boolean[]>): (text: string) => Promise<readonly boolean[]> {
  return remembered(ask)
}

/** Failures are not kept. */
function remembered<Answer>(ask: (text: string) => Promise<Answer>): (text: string) => Promise<Answer> {
  const known = new Map<string, Answer>()
  return async (text) => {
    const seen = known.get(text)
    if (seen !== undefined) return seen
    const answer = await ask(text)
    if (known.size >= MAX_TEXTS) {
      for (const oldest of known.keys()) {
        known.delete(oldest)
        break
      }
    }
    known.set(text, answer)
    return answer
  }
}

export function readStatement(tree: unknown): UserStatement {
  const statements = (tree as { stmts: readonly { stmt: Readonly<Record<string, unknown>> }[] }).stmts
  const [first] = statements
  if (!first) throw new SqlError('syntax', 'The statement is empty.', 0)
  if (statements.some(({ stmt }) => !('SelectStmt' in stmt))) throw new SqlError('syntax', 'Only SELECT statements can be run.', null)
  if (statements.length > 1) throw new SqlError('syntax', 'Expected one statement, found several.', null)
  return { parameterCount: highestParameter(first) }
}

function highestParameter(node: unknown): number {
  if (typeof node !== 'object' || node === null) return 0
  const own = 'ParamRef' in node ? ((node.ParamRef as { number?: number }).number ?? 0) : 0
  let highest = own
  for (const child of Object.values(node)) highest = Math.max(highest, highestParameter(child))
  return highest
}
