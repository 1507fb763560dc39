/**
 * SQL that comes with a request (`labels_sql`): it sees the declared sources as serving would see them now, and nothing else. What is wrong with
 * it is said in words of ours: what an engine says may hold rows of others.
 */
import type { Clock } from '../../clock.ts'
import type { Registry } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'
import { type SourceEngine, SqlError } from '../../store/ports/source-engine.ts'
import { createGatekeeper, writeSql } from './gate.ts'
import type { AnalysedSql } from './rewrite/analysis.ts'
import { lineAndColumn } from './rewrite/edits.ts'
import { aloneFor } from './rewrite/statement.ts'

export interface ClientSqlParts {
  readonly sourceEngine: SourceEngine
  readonly registry: Pick<Registry, 'sources'>
  readonly clock: Clock
}

/**
 * The statement that may be run for a client's text, without parameters.
 * @throws FabraError invalid_labels saying what is wrong and where; SqlError unavailable.
 */
export function createClientSql({ sourceEngine, registry, clock }: ClientSqlParts): (text: string) => Promise<string> {
  const admit = createGatekeeper(sourceEngine, registry.sources, 'client')
  return async (text) => {
    try {
      const admitted = await admit(text)
      if ('fault' in admitted) throw refused(text, admitted.fault.message, admitted.fault.hint, admitted.fault.at)
      const { sql, gate } = admitted
      if (sql.parameterNames.size > 0) throw refused(text, 'it takes no parameters.', 'Write the values into the SQL.', null)
      await bind(sql, sourceEngine)
      const row = { asOf: `CAST('${formatTime(clock.now())}' AS TIMESTAMPTZ)`, parameter: (written: string) => written }
      return await writeSql(sql, { row, frame: (body) => body }, gate)
    } catch (error) {
      if (!(error instanceof SqlError) || NOT_THE_TEXT.has(error.kind)) throw error
      throw refused(text, REASONS[error.kind], HINT, error.position, error)
    }
  }
}

/** Alone first: a place in what the engine says is then a place of the client's text. */
async function bind(sql: AnalysedSql, store: SourceEngine): Promise<void> {
  await store.prepare(aloneFor(sql, (written) => written).text)
}

const NOT_THE_TEXT: ReadonlySet<SqlError['kind']> = new Set(['timeout', 'interrupted', 'unavailable'])
const HINT = 'Write one SELECT over your sources that gives the key columns and event_timestamp. The server log has what the database says.'

/** What an engine's refusal means, in general. */
const REASONS: Readonly<Record<SqlError['kind'], string>> = {
  syntax: 'it is not one SELECT that parses.',
  binding: 'it names a column, function or type that is not there, or compares what does not compare.',
  runtime: 'a value in it cannot be what it is made to be.',
  internal: 'the database cannot run it.',
  timeout: '',
  interrupted: '',
  unavailable: '',
}

function refused(text: string, why: string, hint: string, at: number | null, cause?: unknown): FabraError {
  const location = at === null || at > text.length ? '' : placeIn(text, at)
  return new FabraError('invalid_labels', `The SQL of the labels is refused: ${why}${location}`, { hint, cause })
}

function placeIn(text: string, at: number): string {
  const { line, column } = lineAndColumn(text, at)
  const word = /^(?:[\p{L}\p{N}_$."]{1,60}|\S)/u.exec(text.slice(at))?.[0]
  return ` (line ${line}, column ${column}${word === undefined ? '' : `: ${word}`})`
}
