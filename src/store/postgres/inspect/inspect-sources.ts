/** What is to be known of sources' tables before many rows and requests come. */
import type { Source } from '../../../definition/model.ts'
import { SqlError, type Table } from '../../ports/source-engine.ts'
import type { Postgres } from '../connection/postgres.ts'
import { listTables } from '../sources/catalogue.ts'
import { FIND_INDEXES } from '../sources/source-sql.ts'
import { findTable, quoteName } from '../sources/source-tables.ts'

export interface SourceFacts {
  readonly source: string
  /** `missing`: there is no such table. */
  readonly kind: 'table' | 'view' | 'missing'
  /** The role that runs SQL of features may read it. */
  readonly mayRead: boolean
  /**
   * Columns by which it is asked for and that no index begins with: a key's in any order, then the timestamp; and the id. With the statement that
   * makes one.
   */
  readonly unindexed: readonly { readonly columns: readonly string[]; readonly create: string }[]
  /** Rows that are never visible: they have no timestamp. Null where it was not found out in time, or the source has none. */
  readonly untimed: number | null
  /** Rows of the future, by the server's clock. */
  readonly future: number | null
}

const LOOK_MS = 5_000

/** @param keys Key columns of every entity. */
export async function inspectSources(
  postgres: Postgres,
  sources: readonly Source[],
  keys: readonly (readonly string[])[],
): Promise<readonly SourceFacts[]> {
  const tables = await listTables(postgres)
  const facts: SourceFacts[] = []
  for (const source of sources) {
    const table = findTable(tables, source.name)
    facts.push(table ? await inspectTable(postgres, source, table, keys) : { ...UNKNOWN, source: source.name })
  }
  return facts
}

/** The same without looking at rows, and without ids: what many rows are computed by. */
export async function inspectIndexes(
  postgres: Postgres,
  sources: readonly Source[],
  keys: readonly (readonly string[])[],
): Promise<readonly Pick<SourceFacts, 'source' | 'unindexed'>[]> {
  const tables = await listTables(postgres)
  const facts: Pick<SourceFacts, 'source' | 'unindexed'>[] = []
  for (const source of sources) {
    const table = findTable(tables, source.name)
    if (!table) continue
    const { unindexed } = await inspectTable(postgres, { ...source, id: null }, table, keys, false)
    facts.push({ source: source.name, unindexed })
  }
  return facts
}

const UNKNOWN = { kind: 'missing', mayRead: false, unindexed: [], untimed: null, future: null } as const

async function inspectTable(
  postgres: Postgres,
  source: Source,
  table: Table,
  keys: readonly (readonly string[])[],
  counts = true,
): Promise<SourceFacts> {
  const physical = `${quoteName(table.schema)}.${quoteName(table.name)}`
  const columnOf = (name: string) => table.columns.find((column) => column.name.toLowerCase() === name.toLowerCase())?.name
  const { rows } = await postgres.run(FIND_INDEXES, [physical], { timeoutMs: LOOK_MS, readOnly: true })
  const mayRead = rows[0]?.[0] === 't'
  const indexes = JSON.parse(rows[0]?.[1] ?? '[]') as readonly (readonly string[])[]
  const timestamp = source.timestamp === null ? undefined : columnOf(source.timestamp)
  const asked = keys.map((key) => key.map(columnOf)).filter((key) => key.every((column) => column !== undefined)) as string[][]
  // An event is looked for by its id to know a repeat.
  const id = source.id === null ? undefined : columnOf(source.id)
  const missing = [
    ...distinct(asked)
      .filter((key) => !indexes.some((index) => serves(index, key, timestamp)))
      .map((key) => [...key, ...(timestamp === undefined ? [] : [timestamp])]),
    ...(id === undefined || indexes.some(([first]) => first === id) ? [] : [[id]]),
  ]
  const unindexed = (table.kind === 'view' ? [] : missing).map((columns) => {
    return { columns, create: `CREATE INDEX CONCURRENTLY ON ${physical} (${columns.map(quoteName).join(', ')})` }
  })
  const unseen = !counts || timestamp === undefined || !mayRead ? null : await countUnseen(postgres, physical, timestamp, source)
  const [untimed, future] = unseen ?? [null, null]
  return { source: source.name, kind: table.kind, mayRead, unindexed, untimed, future }
}

/** The key's columns first, in any order, then the time. */
function serves(index: readonly string[], key: readonly string[], timestamp: string | undefined): boolean {
  const first = index.slice(0, key.length)
  return key.every((column) => first.includes(column)) && (timestamp === undefined || index[key.length] === timestamp)
}

function distinct(keys: readonly string[][]): string[][] {
  return [...new Map(keys.map((key) => [key.join('\0'), key])).values()]
}

/** Null where it takes too long. */
async function countUnseen(postgres: Postgres, physical: string, timestamp: string, source: Source): Promise<[number, number] | null> {
  const time = quoteName(timestamp)
  // Naive times are read in the zone that the session is in.
  const text =
    `SELECT COUNT(*) FILTER (WHERE ${time} IS NULL), COUNT(*) FILTER (WHERE ${time} > clock_timestamp()) ` +
    `FROM ${physical} WHERE ${time} IS NULL OR ${time} > clock_timestamp()`
  try {
    const { rows } = await postgres.run(text, [], { timeoutMs: LOOK_MS, readOnly: true, settings: { TimeZone: source.timezone } })
    return [Number(rows[0]?.[0]), Number(rows[0]?.[1])]
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    return null
  }
}
