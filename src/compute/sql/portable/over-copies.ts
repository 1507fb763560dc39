/** Features of PostgreSQL computed in DuckDB, over copies of the rows that they read. */
import type { Feature, Source } from '../../../definition/model.ts'
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import { createSqlDefinitions, type SqlDefinition, type SqlDefinitions } from '../sql-definitions.ts'
import { createSqlExecutor, type PastStatement, type SqlExecutor } from '../sql-executor.ts'
import type { Kind } from './kinds.ts'

export type OverCopies = Pick<SqlExecutor, 'pastStatement' | 'pastMerges'> & {
  /** Whether it may be computed so. */
  has(feature: string): boolean
}

/** @param engine Holds the copies, each under its source's name. @throws SqlError unavailable */
export async function overCopies(definitions: SqlDefinitions, names: readonly string[], engine: SourceEngine): Promise<OverCopies> {
  const copied = await copiedDefinitions(definitions, names, engine)
  const executor = createSqlExecutor({ sourceEngine: engine, definitions: copied })
  return {
    has: (name) => copied.get(name) !== undefined,
    async pastStatement(name, count, sample) {
      const statement = await executor.pastStatement(name, count, sample)
      return statement && { ...statement, columns: asDeclared(statement.columns) }
    },
    async pastMerges(some, count, fits) {
      const merges = await executor.pastMerges(some, count, (columns) => fits(asDeclared(columns)))
      return merges.map((merge) => ({ ...merge, columns: merge.columns.map(asDeclared) }))
    },
  }
}

/** Quotients are the only records that there are. */
function asDeclared(columns: PastStatement['columns']): PastStatement['columns'] {
  return columns.map((column) => (column.type === 'dict' ? { ...column, type: 'float' } : column))
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
    const { columns } = definitions.get(name) ?? { columns: [] }
    const types = columns.map((column) => (portable.kinds[column.index] === 'quotient' ? 'dict' : column.type))
    const declared = feature.columns.map((column, i) => ({ ...column, type: types[i] ?? null }))
    features.set(name, { ...feature, columns: declared, computation: { kind: 'sql', sql: portable.text } })
    // Copied are rows that are no repeats, with times in UTC.
    for (const { source } of portable.reads) sources.set(source.name, { ...source, file: null, id: null, timezone: 'UTC' })
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
  quotient: /^STRUCT\("?n"? DECIMAL\(\d+,\d+\), "?d"? DECIMAL\(\d+,\d+\)(?:, "?o"? DOUBLE)?\)$/,
  float8: /^DOUBLE$/,
  text: /^VARCHAR$/,
  bool: /^BOOLEAN$/,
  timestamptz: /^TIMESTAMP WITH TIME ZONE$/,
  timestamp: /^TIMESTAMP$/,
}

function areAlike(own: SqlDefinition, theirs: SqlDefinition): boolean {
  // Row by row it would be no quicker here.
  if (own.past !== null || own.set.text === null || own.columns.length !== theirs.columns.length) return false
  return own.columns.every(({ name, type, sqlType }, i) => {
    const other = theirs.columns[i]
    const kind = theirs.portability?.portable?.kinds[other?.index ?? -1] ?? 'null'
    const wanted = kind === 'quotient' ? 'float' : type
    return name === other?.name && other.type === wanted && TYPES[kind]?.test(sqlType) === true
  })
}
