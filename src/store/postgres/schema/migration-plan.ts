/** What the steps to come would do to tables that are there: which they lock, against what, and for about how long. Looks, and changes nothing. */
import type { Postgres } from '../connection/postgres.ts'
import { createPostgresParser } from '../sources/parser.ts'
import { MIGRATIONS, type Migration } from './migrations/index.ts'

export interface PlannedLock {
  /** With its schema. */
  readonly table: string
  /** As PostgreSQL calls it. */
  readonly mode: LockMode
  /** By PostgreSQL's own estimate. */
  readonly rows: number
  /** Roughly, by row counts alone; 0: only what the table is called and made of changes. */
  readonly seconds: number
}

export interface PlannedStatement {
  readonly sql: string
  /** Of tables that were there before the first of the steps. */
  readonly locks: readonly PlannedLock[]
}

export type LockMode = 'ROW EXCLUSIVE' | 'SHARE' | 'SHARE ROW EXCLUSIVE' | 'ACCESS EXCLUSIVE'

/** What goes through in a second, on a small server: so an estimate is rather too long. */
const ROWS_INDEXED = 500_000
const ROWS_REWRITTEN = 200_000
const LOOK_MS = 10_000

/** @param pending Ids of the steps to come. @throws SqlError syntax, unavailable, timeout */
export async function migrationPlan(
  postgres: Postgres,
  pending: ReadonlySet<number>,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<ReadonlyMap<number, readonly PlannedStatement[]>> {
  const rows = await rowsOf(postgres)
  const plan = new Map<number, readonly PlannedStatement[]>()
  for (const { id, text } of migrations) if (pending.has(id)) plan.set(id, await plannedOf(text, rows))
  return plan
}

/** What is not in it is made by the steps themselves: nobody waits for it. */
async function rowsOf(postgres: Postgres): Promise<ReadonlyMap<string, number>> {
  const { rows } = await postgres.run(
    `SELECT nspname || '.' || relname, GREATEST(reltuples, 0)::bigint + (
       SELECT COALESCE(SUM(GREATEST(part.reltuples, 0)), 0)::bigint FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid WHERE inhparent = one.oid)
     FROM pg_class AS one JOIN pg_namespace AS space ON space.oid = relnamespace
     WHERE relkind IN ('r', 'p') AND nspname = 'fabra'`,
    [],
    { timeoutMs: LOOK_MS },
  )
  return new Map(rows.map(([table, count]) => [String(table), Number(count)]))
}

async function plannedOf(text: string, rows: ReadonlyMap<string, number>): Promise<PlannedStatement[]> {
  const bytes = Buffer.from(text)
  const { stmts } = (await createPostgresParser().parse(text)) as Tree
  return stmts.map(({ stmt, stmt_location: from = 0, stmt_len: length }) => ({
    sql: bytes
      .subarray(from, length === undefined ? undefined : from + length)
      .toString()
      .trim(),
    locks: locksOf(stmt).flatMap(({ table, mode, work }) => {
      const count = rows.get(table)
      const pace = work === 'index' ? ROWS_INDEXED : ROWS_REWRITTEN
      return count === undefined ? [] : [{ table, mode, rows: count, seconds: work === 'name' ? 0 : count / pace }]
    }),
  }))
}

interface Lock {
  readonly table: string
  readonly mode: LockMode
  /** What takes the time that it is held. */
  readonly work: 'name' | 'index' | 'rows'
}

/** Of the kinds of statements that steps are made of. Any other would be a lock that nobody was told of. */
function locksOf(stmt: Statement): readonly Lock[] {
  const [kind] = Object.keys(stmt)
  const { CreateStmt, IndexStmt, AlterTableStmt, RenameStmt } = stmt
  const written = stmt.InsertStmt ?? stmt.UpdateStmt ?? stmt.DeleteStmt
  if (CreateStmt)
    return (CreateStmt.inhRelations ?? []).map(({ RangeVar }) => ({ table: nameOf(RangeVar), mode: 'ACCESS EXCLUSIVE', work: 'name' }))
  if (IndexStmt) return [{ table: nameOf(IndexStmt.relation), mode: 'SHARE', work: 'index' }]
  if (AlterTableStmt) {
    const isName = AlterTableStmt.cmds.every(({ AlterTableCmd }) => isOfNames(AlterTableCmd))
    return [{ table: nameOf(AlterTableStmt.relation), mode: 'ACCESS EXCLUSIVE', work: isName ? 'name' : 'rows' }]
  }
  if (written) return [{ table: nameOf(written.relation), mode: 'ROW EXCLUSIVE', work: 'rows' }]
  if (RenameStmt) return [{ table: nameOf(RenameStmt.relation), mode: 'ACCESS EXCLUSIVE', work: 'name' }]
  // A view's tables are only read.
  if (kind === 'CreateSchemaStmt' || kind === 'ViewStmt') return []
  throw new Error(`What ${kind} locks is not known: add it to migration-plan.ts.`)
}

/** A column that may be empty, and one that goes, are changes of the catalogue alone. */
function isOfNames({ subtype, def }: AlterTableCmd): boolean {
  if (subtype === 'AT_DropColumn') return true
  return subtype === 'AT_AddColumn' && !def?.ColumnDef?.constraints
}

function nameOf({ schemaname, relname }: RangeVar): string {
  return `${schemaname ?? 'public'}.${relname}`
}

/** What is used of the tree that libpg_query gives. */
interface Tree {
  readonly stmts: readonly { readonly stmt: Statement; readonly stmt_location?: number; readonly stmt_len?: number }[]
}

interface RangeVar {
  readonly schemaname?: string
  readonly relname: string
}

interface AlterTableCmd {
  readonly subtype: string
  readonly def?: { readonly ColumnDef?: { readonly constraints?: readonly unknown[] } }
}

interface OfTable {
  readonly relation: RangeVar
}

interface Statement {
  readonly CreateStmt?: { readonly inhRelations?: readonly { readonly RangeVar: RangeVar }[] }
  readonly IndexStmt?: OfTable
  readonly AlterTableStmt?: OfTable & { readonly cmds: readonly { readonly AlterTableCmd: AlterTableCmd }[] }
  readonly RenameStmt?: OfTable
  readonly InsertStmt?: OfTable
  readonly UpdateStmt?: OfTable
  readonly DeleteStmt?: OfTable
}
