/** Tables that sources stand for: found as they are, made from `columns`, or filled from a file. */
import type { KeyType, Source } from '../../../definition/model.ts'
import { suggest } from '../../../errors.ts'
import { type SourceEngine, SqlError, type Table } from '../../ports/source-engine.ts'
import type { SourceFiles } from '../../ports/source-file-reader.ts'
import type { Postgres } from '../connection/postgres.ts'
import { asStoreError } from '../connection/store-errors.ts'
import { listTables } from './catalogue.ts'

export type SourceInput = Parameters<SourceEngine['load']>[0][number]
type Problem = Awaited<ReturnType<SourceEngine['load']>>[number]

/** Fills a source's table from its file, once per content. @returns false where the table is its user's own, which stays as it is. @throws LoadProblem */
export type FileLoader = (input: SourceInput, file: SourceFiles) => Promise<boolean>

/** What is wrong with a source, in the words of its author. */
export class LoadProblem extends Error {
  readonly hint: string
  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause })
    this.hint = hint
  }
}

/** Begins the comment of tables that Fabra made for rows that come by request: from others it deletes nothing. */
export const MADE_FOR_ROWS = 'Rows come through Fabra, which made this table'

const MAKE = { timeoutMs: 60_000 } as const
const LOOK = { timeoutMs: 20_000, readOnly: true } as const

const MAY_READ = `
SELECT format('%I.%I', n.nspname, c.relname), quote_ident(n.nspname),
  has_any_column_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'), quote_ident(current_user)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'fabra' AND lower(c.relname) = lower($2)
  AND CASE WHEN $1::text IS NULL THEN n.nspname = ANY (current_schemas(false)) OR pg_table_is_visible(c.oid) ELSE lower(n.nspname) = lower($1) END
ORDER BY c.relname = $2 DESC, n.nspname = $1 DESC, pg_table_is_visible(c.oid) DESC
LIMIT 1`

export interface TableMakers {
  /** Makes the tables of sources that name their columns or a file. */
  readonly owner: Postgres
  /** Null: files are not loaded, so their tables must be there. */
  readonly loadFile: FileLoader | null
}

/** @param reader Must be able to read them in the end. */
export async function loadTables(
  { owner, loadFile }: TableMakers,
  reader: Postgres,
  inputs: readonly SourceInput[],
): Promise<readonly Problem[]> {
  if (inputs.length === 0) return []
  const tables = await listTables(owner)
  const problems: Problem[] = []
  for (const input of inputs) {
    const { source } = input
    try {
      const isLoaded = source.file !== null && loadFile !== null && (await loadFile(input, source.file))
      if (!isLoaded) await findOrMake(owner, tables, input)
      await letRead(owner, reader, source)
    } catch (error) {
      if (error instanceof SqlError && error.kind === 'unavailable') throw asStoreError(error)
      const hint = error instanceof LoadProblem ? error.hint : 'Check the source and the rights of the database user.'
      problems.push({ source: source.name, message: error instanceof Error ? error.message : String(error), hint })
    }
  }
  return problems
}

async function findOrMake(owner: Postgres, tables: readonly Table[], input: SourceInput): Promise<void> {
  const { source } = input
  const table = findTable(tables, source.name)
  if (table) checkTable(source, table)
  else if (source.columns) await makeTable(owner, input, source.columns)
  else throw (await astray(owner, source)) ?? unknownTable(tables, source)
}

function unknownTable(tables: readonly Table[], source: Source): LoadProblem {
  const known = tables.map(({ schema, name, isOnPath }) => (isOnPath ? name : `${schema}.${name}`))
  return new LoadProblem(
    `There is no table "${source.name}".`,
    `Create it in PostgreSQL, or give the source columns (columns: { … }). ${known.length > 0 ? suggest(source.name, known) : ''}`.trim(),
  )
}

/** What a role of that name creates by bare name lands in the schema of that name, which is Fabra's. */
async function astray(owner: Postgres, { name }: Source): Promise<LoadProblem | undefined> {
  const inside = `fabra.${quoteName(name)}`
  const { rows } = await owner.run('SELECT to_regclass($1) IS NOT NULL', [inside], MAKE)
  if (rows[0]?.[0] !== 't') return undefined
  return new LoadProblem(
    `The table "${name}" is in the schema "fabra", where only Fabra keeps things.`,
    `Move it: ALTER TABLE ${inside} SET SCHEMA public. (The role "fabra" creates tables there unless told otherwise.)`,
  )
}

/** Tables that Fabra makes belong to one role and are read by another. */
async function letRead(owner: Postgres, reader: Postgres, source: Source): Promise<void> {
  if (owner === reader) return
  const { schema, name } = splitName(source.name)
  const { rows } = await reader.run(MAY_READ, [schema, name], LOOK)
  const [table, inSchema, mayRead, role] = rows[0] ?? []
  if (!table || mayRead === 't') return
  try {
    await owner.transaction(MAKE, async (statements) => {
      await statements.run(`GRANT SELECT ON ${table} TO ${role}`)
      await statements.run(`GRANT USAGE ON SCHEMA ${inSchema} TO ${role}`)
    })
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    throw new LoadProblem(
      `The database user ${role} may not read the table "${source.name}".`,
      `GRANT SELECT ON ${table} TO ${role};`,
      error,
    )
  }
}

export function findTable(tables: readonly Table[], source: string): Table | undefined {
  const { schema, name } = splitName(source)
  const there = tables.filter((table) => (schema === null ? table.isOnPath : table.schema.toLowerCase() === schema.toLowerCase()))
  return there.find((table) => table.name === name) ?? there.find((table) => table.name.toLowerCase() === name.toLowerCase())
}

function checkTable(source: Source, table: Table): void {
  const columns = [
    ...timeColumns(source),
    ...(source.id === null ? [] : [{ option: 'id', name: source.id }]),
    ...Object.keys(source.columns ?? {}).map((name) => ({ option: 'columns', name })),
  ]
  const names = table.columns.map((column) => column.name)
  for (const { option, name } of columns) {
    const column = table.columns.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase())
    if (!column) {
      const message = `The table "${source.name}" has no column "${name}" (${option} of the source).`
      throw new LoadProblem(message, `${suggest(name, names)} It has: ${names.slice(0, 20).join(', ')}.`)
    }
    if (option !== 'id' && option !== 'columns' && !/^(?:TIMESTAMP|DATE)/.test(column.type)) {
      const message = `Column "${name}" (${option} of the source) is ${column.type}, not a time.`
      throw new LoadProblem(message, 'Name a column of timestamps.')
    }
  }
}

async function makeTable(owner: Postgres, { source, keyTypes }: SourceInput, columns: Readonly<Record<string, string>>): Promise<void> {
  const times = timeColumns(source).map(({ name }) => name)
  const typed = Object.entries(columns).map(([name, type]) => {
    const key = keyTypes[name]
    return `${quoteName(name)} ${times.includes(name) ? 'timestamptz' : type === '' && key ? KEY_SQL[key] : postgresType(type)}`
  })
  const { schema, name } = splitName(source.name)
  const table = schema === null ? quoteName(name) : `${quoteName(schema)}.${quoteName(name)}`
  try {
    await owner.transaction(MAKE, async (statements) => {
      // Processes start at once, and what two make at once fails for one of them, whatever IF NOT EXISTS says.
      await statements.run("SELECT pg_advisory_xact_lock(hashtext('fabra.source'))")
      const there = await statements.run('SELECT to_regclass($1) IS NOT NULL', [table])
      if (there.rows[0]?.[0] === 't') return
      if (schema !== null) await statements.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(schema)}`)
      await statements.run(`CREATE TABLE ${table} (${typed.join(', ')})`)
      await statements.run(`COMMENT ON TABLE ${table} IS '${MADE_FOR_ROWS}'`)
      for (const key of Object.keys(columns).filter((column) => Object.hasOwn(keyTypes, column))) {
        const indexed = [key, ...(source.timestamp === null ? [] : [source.timestamp])].map(quoteName)
        await statements.run(`CREATE INDEX ON ${table} (${indexed.join(', ')})`)
      }
      // Every row that is appended is looked for.
      if (source.id !== null) await statements.run(`CREATE INDEX ON ${table} (${quoteName(source.id)})`)
    })
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    throw new LoadProblem(
      `The table "${source.name}" cannot be made: ${error.message}`,
      'columns maps each column to an SQL type: { user_id: "VARCHAR" }. The database user needs the right to create tables.',
      error,
    )
  }
}

/** Columns of `source` that hold times, in the order of the definition. */
export function timeColumns(source: Source): { readonly option: string; readonly name: string }[] {
  const all = { timestamp: source.timestamp, available: source.available, until: source.until }
  return Object.entries(all).flatMap(([option, name]) => (name === null ? [] : [{ option, name }]))
}

const KEY_SQL: Readonly<Record<KeyType, string>> = { string: 'varchar', int: 'bigint', uuid: 'uuid' }

/** DuckDB's names of types that PostgreSQL calls otherwise, or takes for another. */
const TYPES: Readonly<Record<string, string>> = {
  STRING: 'text',
  NVARCHAR: 'varchar',
  DOUBLE: 'double precision',
  'DOUBLE PRECISION': 'double precision',
  FLOAT: 'real',
  TINYINT: 'smallint',
  INT1: 'smallint',
  SHORT: 'smallint',
  INT16: 'smallint',
  SIGNED: 'integer',
  INT32: 'integer',
  INT64: 'bigint',
  LONG: 'bigint',
  INT128: 'numeric(38, 0)',
  UTINYINT: 'smallint',
  UINT8: 'smallint',
  USMALLINT: 'integer',
  UINT16: 'integer',
  UINTEGER: 'bigint',
  UINT32: 'bigint',
  UBIGINT: 'numeric(20, 0)',
  UINT64: 'numeric(20, 0)',
  HUGEINT: 'numeric(38, 0)',
  UHUGEINT: 'numeric(39, 0)',
  LOGICAL: 'boolean',
  DATETIME: 'timestamp',
  TIMESTAMP_S: 'timestamp',
  TIMESTAMP_MS: 'timestamp',
  TIMESTAMP_US: 'timestamp',
  TIMESTAMP_NS: 'timestamp',
  BLOB: 'bytea',
  BINARY: 'bytea',
  VARBINARY: 'bytea',
  BITSTRING: 'bit varying',
}

/** Types whose digits say how exact they are: PostgreSQL has two floats, and takes digits for no other name of them. */
const FLOAT_OF_DIGITS = /^\s*float\s*\(\s*(\d+)\s*\)/i
const SINGLE_DIGITS = 24

/** An SQL type of either engine, as PostgreSQL writes it. */
export function postgresType(type: string): string {
  return type
    .replace(FLOAT_OF_DIGITS, (_, digits: string) => (Number(digits) > SINGLE_DIGITS ? 'double precision' : 'real'))
    .replace(/^\s*(?:double\s+precision|\w+)/i, (words) => TYPES[words.trim().replace(/\s+/g, ' ').toUpperCase()] ?? words)
}

export function splitName(name: string): { readonly schema: string | null; readonly name: string } {
  const dot = name.indexOf('.')
  return dot === -1 ? { schema: null, name } : { schema: name.slice(0, dot), name: name.slice(dot + 1) }
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
