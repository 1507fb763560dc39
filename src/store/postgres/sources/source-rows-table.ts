/** The table behind a source, as rows are appended to it. */
import type { Source } from '../../../definition/model.ts'
import type { SourceTable } from '../../ports/source-rows.ts'
import type { Parameter, Postgres, PostgresRows } from '../connection/postgres.ts'

export interface AppendColumn {
  readonly name: string
  /** As `SourceTable.columns` tells it. */
  readonly type: string
  /** Its type in a cast; without a length, so that what is too long is refused and not cut. */
  readonly cast: string
  readonly isArray: boolean
  /** A time without a zone: the zone that its texts are in. */
  readonly zone: string | null
  /** The table fills it in where a row says nothing of it. */
  readonly hasDefault: boolean
}

export interface AppendTable {
  /** Quoted, with its schema. */
  readonly name: string
  readonly kind: SourceTable['kind']
  readonly columns: readonly AppendColumn[]
  readonly comment: string | null
}

const LOOK = { timeoutMs: 10_000, readOnly: true } as const

/** Found as the server finds it; else by a name that differs in case alone. Columns that the table computes by itself take no values. */
const FIND_TABLE = `
SELECT format('%I.%I', n.nspname, c.relname), c.relkind IN ('r', 'p'), has_table_privilege(c.oid, 'INSERT') OR has_any_column_privilege(c.oid, 'INSERT'),
  a.attname, format_type(t.oid, NULL), format_type(t.oid, CASE WHEN t.oid = a.atttypid THEN a.atttypmod ELSE own.typtypmod END),
  t.typname, t.typcategory = 'A', a.atthasdef OR a.attidentity <> '' OR own.typdefault IS NOT NULL, obj_description(c.oid, 'pg_class')
FROM (
  SELECT one.* FROM pg_class AS one JOIN pg_namespace AS its ON its.oid = one.relnamespace
  WHERE one.relkind IN ('r', 'p', 'v', 'm', 'f') AND its.nspname <> 'fabra' AND lower(one.relname) = lower($2)
    AND CASE WHEN $1::text IS NULL THEN pg_table_is_visible(one.oid) ELSE lower(its.nspname) = lower($1) END
  ORDER BY one.relname = $2 DESC, its.nspname = $1 DESC
  LIMIT 1
) AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
JOIN pg_type AS own ON own.oid = a.atttypid
JOIN pg_type AS t ON t.oid = CASE WHEN own.typtype = 'd' THEN own.typbasetype ELSE own.oid END
ORDER BY a.attnum`

/** Asks, in a transaction of its own or in one that is under way. */
export type TableLookup = (text: string, parameters: readonly Parameter[]) => Promise<PostgresRows>

export function asking(postgres: Postgres): TableLookup {
  return (text, parameters) => postgres.run(text, parameters, LOOK)
}

export async function findAppendTable(ask: TableLookup, source: Source): Promise<AppendTable | undefined> {
  const dot = source.name.indexOf('.')
  const [schema, name] = dot < 0 ? [null, source.name] : [source.name.slice(0, dot), source.name.slice(dot + 1)]
  const { rows } = await ask(FIND_TABLE, [schema, name])
  const [first] = rows
  if (!first) return undefined
  const kind = first[1] !== 't' ? 'view' : first[2] === 't' ? 'table' : 'forbidden'
  const times = [source.timestamp, source.available, source.until].map((time) => time?.toLowerCase())
  const columns = rows.map(([, , , column, cast, full, typeName, isArray, hasDefault]): AppendColumn => {
    const isNaive = typeName === 'timestamp'
    return {
      name: String(column),
      type: commonName(String(typeName), String(full)),
      cast: String(cast),
      isArray: isArray === 't',
      zone: isNaive ? (times.includes(String(column).toLowerCase()) ? source.timezone : 'UTC') : null,
      hasDefault: hasDefault === 't',
    }
  })
  return { name: String(first[0]), kind, columns, comment: first[9] ?? null }
}

const COMMON: Readonly<Record<string, string>> = {
  int2: 'SMALLINT',
  int4: 'INTEGER',
  int8: 'BIGINT',
  float4: 'FLOAT',
  float8: 'DOUBLE',
  bool: 'BOOLEAN',
  text: 'VARCHAR',
  citext: 'VARCHAR',
  name: 'VARCHAR',
  timestamptz: 'TIMESTAMP WITH TIME ZONE',
  timestamp: 'TIMESTAMP',
  json: 'JSON',
  jsonb: 'JSON',
  uuid: 'UUID',
}

/** @param full The type with its length or precision. */
function commonName(name: string, full: string): string {
  if (name === 'varchar' && full === 'character varying') return 'VARCHAR'
  // A precision rounds, a scale below nothing too: the server is asked.
  if (/^time(stamp)?\(\d\)/.test(full)) return full
  const decimal = /^numeric\((\d+),(\d+)\)$/.exec(full)
  if (decimal && Number(decimal[2]) <= Number(decimal[1])) return `DECIMAL(${decimal[1]},${decimal[2]})`
  return COMMON[name] ?? full
}
