/** Features of PostgreSQL computed in DuckDB, over copies of the rows that they read. */
import type { Feature, Source } from '../../../definition/model.ts'
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import { createSqlDefinitions, type SqlDefinition, type SqlDefinitions } from '../sql-definitions.ts'
import { createSqlExecutor, type SqlExecutor } from '../sql-executor.ts'
import { type Kind, kindOf } from './kinds.ts'

export type OverCopies = Pick<SqlExecutor, 'pastStatement' | 'pastMerges'> & {
  /** Whether it may be computed so. */
  has(feature: string): boolean
}

/** @param engine Holds the copies, each under its source's name. @throws SqlError unavailable */
export async function overCopies(definitions: SqlDefinitions, names: readonly string[], engine: SourceEngine): Promise<OverCopies> {
  const copied = await copiedDefinitions(definitions, names, engine)
  const { pastStatement, pastMerges } = createSqlExecutor({ sourceEngine: engine, definitions: copied })
  return { has: (name) => copied.get(name) !== undefined, pastStatement, pastMerges }
}

/** Of those features whose values are the same over the copies. */
export async function copiedDefinitions(
  definitions: SqlDefinitions,
  names: readonly string[],
  engine: SourceEngine,
): Promise<Pick<SqlDefinitions, 'get'>> {
  const features = new Map<string, Feature>()
  const sources = new Map<string, Source>()
  for (const name of names) {
    const feature = definitions.registry.features.get(name)
    const portable = definitions.get(name)?.portability?.portable
    if (!feature || !portable) continue
    const { source } = portable.read
    features.set(name, { ...feature, computation: { kind: 'sql', sql: portable.text } })
    sources.set(source.name, { ...source, file: null })
  }
  const copied = await createSqlDefinitions({ ...definitions.registry, features, sources }, engine)
  return {
    get(name) {
      const [own, theirs] = [copied.get(name), definitions.get(name)]
      return own && theirs && areAlike(own, theirs) ? own : undefined
    },
  }
}

/** What each kind is in DuckDB; anything else would have been rounded on its way. */
const TYPES: Readonly<Partial<Record<Kind, RegExp>>> = {
  int2: /^SMALLINT$/,
  int4: /^INTEGER$/,
  int8: /^BIGINT$/,
  numeric: /^DECIMAL\(/,
  float8: /^DOUBLE$/,
  text: /^VARCHAR$/,
  bool: /^BOOLEAN$/,
  timestamptz: /^TIMESTAMP WITH TIME ZONE$/,
  timestamp: /^TIMESTAMP$/,
}

function areAlike(own: SqlDefinition, theirs: SqlDefinition): boolean {
  if (own.past !== null || own.columns.length !== theirs.columns.length) return false
  return own.columns.every(({ name, type, sqlType }, i) => {
    const other = theirs.columns[i]
    const wanted = TYPES[kindOf(other?.sqlType ?? '') ?? 'null']
    return name === other?.name && type === other.type && wanted?.test(sqlType) === true
  })
}
