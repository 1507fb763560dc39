/** Names in files of JSON. The engine's columns and fields know no case: of `amount` and `Amount` it makes two columns with names of its own. */
import type { RunOptions } from '../../ports/source-engine.ts'
import type { Session } from '../connection/session.ts'
import { engineMessage } from '../connection/sql-errors.ts'
import { quoteText } from '../sql.ts'
import { repeatedName } from './repeated-name.ts'
import { SourceProblem } from './source-problem.ts'

export interface JsonFile {
  readonly session: Session
  /** What messages call it. */
  readonly file: string
  /** A call of read_json_objects. */
  readonly objects: string
  readonly options: RunOptions
}

const DOUBLED_FIELD = /Duplicate name "([\s\S]*?)" in struct auto-detected/
const HINT = 'Write it in one way in all rows.'

/** @param found Names of columns as the engine gives them. @throws SourceProblem where two keys of the rows are one name */
export async function checkJsonNames(json: JsonFile, found: readonly string[]): Promise<void> {
  const folded = new Set(found.map((name) => name.toLowerCase()))
  const mayBeRenamed = found.some((name) => folded.has(name.toLowerCase().replace(/_\d+$/, '')) && /_\d+$/.test(name))
  if (!mayBeRenamed) return
  const { session, objects, options, file } = json
  // In the order of the rows, so that the later spelling is the one to be told of.
  const { rows } = await session.read(
    `SELECT name, min(row) FROM (SELECT row_number() OVER () AS row, unnest(json_keys(json)) AS name FROM ${objects}) GROUP BY name ORDER BY 2, name`,
    [],
    options,
  )
  const names = rows.map(([name]) => String(name))
  const repeated = repeatedName(names)
  if (repeated === undefined) return
  const second = names.find((name, i) => names.findIndex((other) => other.toLowerCase() === name.toLowerCase()) < i)
  const row = rows.find(([name]) => name === second)?.[1]
  throw new SourceProblem(`${file}, row ${row}: two columns are called ${repeated}.`, HINT)
}

/** The same inside of objects, which the engine refuses itself; undefined where the error is another one. */
export async function doubledField({ session, objects, options, file }: JsonFile, error: unknown): Promise<SourceProblem | undefined> {
  const name = DOUBLED_FIELD.exec(engineMessage(error))?.[1]
  if (name === undefined) return undefined
  const { rows } = await session.read(
    `SELECT min(row) FROM (SELECT row_number() OVER () AS row, json FROM ${objects}) WHERE contains(CAST(json AS VARCHAR), ${quoteText(JSON.stringify(name))})`,
    [],
    options,
  )
  const row = rows[0]?.[0]
  const place = typeof row === 'number' ? `${file}, row ${row}` : file
  return new SourceProblem(
    `${place}: an object has a key ${JSON.stringify(name)} beside one that differs from it only in case; they are one name.`,
    HINT,
  )
}
