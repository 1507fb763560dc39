/**
 * The one gate for every text of SQL that a user or a client gives: features, `db`, `keys:` and the labels of training sets. A text is admitted
 * once (`analyseSql`: parsed, allow-listed, its tables looked up), and what is run is written by `writeSql` alone, which proves it (`sql-proof.ts`).
 */
import type { Source } from '../../definition/model.ts'
import type { SourceEngine } from '../../store/ports/source-engine.ts'
import { prove } from './proof.ts'
import { type AnalysedSql, analyseSql, readWorld, type SqlOwner, type SqlWorld } from './rewrite/analysis.ts'
import type { SqlFault } from './rewrite/forbidden.ts'
import { bodyFor, type RowReference } from './rewrite/statement.ts'

/** A statement around a user's text. */
export interface Statement {
  readonly row: RowReference
  readonly frame: (body: string) => string
  /** The last hand on it, and on all that `row` says: numbers of parameters. */
  readonly finish?: (text: string) => string
}

export interface Gate {
  readonly store: SourceEngine
  readonly world: SqlWorld
}

/** A text that came through, and where. */
export interface Admitted {
  readonly sql: AnalysedSql
  readonly gate: Gate
}

/** The text that is run. @throws SqlError binding where it is not certain to read only what it may. */
export async function writeSql(sql: AnalysedSql, statement: Statement, gate: Gate): Promise<string> {
  return (await writeLikeSql(sql, statement, gate)).text
}

/** And what others that say the same must be like. @throws SqlError binding */
export async function writeLikeSql(
  sql: AnalysedSql,
  { row, frame, finish = (text) => text }: Statement,
  gate: Gate,
): Promise<{ readonly text: string; readonly likeness: string }> {
  const text = finish(frame(bodyFor(sql, sql.shadows, row).text))
  const parameter = (written: string) => finish(row.parameter(written, 0))
  const likeness = await prove(sql, { text, frame, asOf: finish(row.asOf), parameter }, gate.store, gate.world)
  return { text, likeness }
}

/** For texts that come while serving: what there is to read is looked up once, and again when a text seems to be wrong about it. */
export function createGatekeeper(
  store: SourceEngine,
  sources: ReadonlyMap<string, Source>,
  owner: SqlOwner,
): (text: string) => Promise<Admitted | { readonly fault: SqlFault }> {
  let world: Promise<SqlWorld> | undefined
  /** Shared by all that ask meanwhile. That the engine could not be reached is not remembered. */
  const read = (): Promise<SqlWorld> => {
    const reading = readWorld(store, sources)
    world = reading
    reading.catch(() => {
      if (world === reading) world = undefined
    })
    return reading
  }
  const admit = async (text: string, known: Promise<SqlWorld>): Promise<Admitted> => {
    const gate = { store, world: await known }
    return { sql: await analyseSql(text, store, gate.world, owner), gate }
  }
  return async (text) => {
    const known = world
    let admitted = await admit(text, known ?? read())
    // The catalogue may be older than the table.
    if (known && admitted.sql.faults.length > 0) admitted = await admit(text, read())
    const [fault] = admitted.sql.faults
    return fault ? { fault } : admitted
  }
}
