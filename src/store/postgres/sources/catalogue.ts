/** What the server's catalogue says of tables, functions and types. */
import type { SqlFunction, Table } from '../../ports/source-engine.ts'
import type { Postgres } from '../connection/postgres.ts'
import type { TypeRow } from './result-types.ts'
import { FIND_FUNCTIONS, FIND_TYPES, LIST_TABLES } from './source-sql.ts'

/** For questions of Fabra's own. */
export const CATALOGUE = { timeoutMs: 20_000, readOnly: true } as const

export async function listTables(postgres: Postgres): Promise<Table[]> {
  const { rows } = await postgres.run(LIST_TABLES, [], CATALOGUE)
  return rows.map(([schema, name, isView, isOnPath, columns, indexed]) => ({
    schema: schema ?? '',
    name: name ?? '',
    kind: isView === 't' ? 'view' : 'table',
    isOnPath: isOnPath === 't',
    columns: pairs<string>(columns).map(([column, type]) => ({ name: column, type })),
    indexed: indexed ? (JSON.parse(indexed) as readonly string[]) : null,
  }))
}

const KINDS: Readonly<Record<string, SqlFunction['kind']>> = { a: 'aggregate', f: 'scalar', w: 'scalar', p: 'scalar' }
const STABILITIES: Readonly<Record<string, SqlFunction['stability']>> = { i: 'consistent', s: 'within_query', v: 'volatile' }

export async function findFunctions(postgres: Postgres, names: readonly string[]): Promise<SqlFunction[]> {
  if (names.length === 0) return []
  const { rows } = await postgres.run(FIND_FUNCTIONS, [[...new Set(names)]], CATALOGUE)
  const all = rows.map(([name, kind, returnsSet, stability, builtIn]): SqlFunction => {
    return {
      name: name ?? '',
      kind: returnsSet === 't' ? 'table' : (KINDS[kind ?? ''] ?? 'scalar'),
      stability: STABILITIES[stability ?? ''] ?? 'unknown',
      builtIn: builtIn === 't',
    }
  })
  return all.filter(({ builtIn, stability }) => !builtIn || stability !== 'consistent')
}

export async function findTypes(postgres: Postgres, oids: readonly number[]): Promise<TypeRow[]> {
  const { rows } = await postgres.run(FIND_TYPES, [oids], CATALOGUE)
  return rows.map(([oid, written, name, kind, base, delimiter, item, fields]) => ({
    oid: Number(oid),
    written: written ?? '',
    name: name ?? '',
    kind: kind ?? '',
    base: Number(base),
    delimiter: delimiter ?? ',',
    item: Number(item),
    fields: pairs<number>(fields),
  }))
}

function pairs<T>(json: string | null | undefined): (readonly [string, T])[] {
  return json ? (JSON.parse(json) as (readonly [string, T])[]) : []
}
