import type { SourceEngine, Table } from '../../ports/source-engine.ts'
import { SqlError } from '../../ports/source-engine.ts'
import { offsetOfCodePoint } from '../../ports/text-offsets.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { LIST_TABLES, SERIALIZE } from '../sql.ts'
import { withCopies } from './copies.ts'
import { createFunctionLookup } from './functions.ts'
import { fillRowTable, releaseRowTable } from './row-table.ts'
import { loadSources } from './source-loader.ts'
import { tableColumns } from './table-columns.ts'

/** User SQL on the embedded engine. Loaded files are plain tables of their source's name. */
export function createDuckdbSourceEngine(database: Database): SourceEngine {
  const { readers } = database
  return {
    dialect: 'duckdb',
    load: (sources, watch) => loadSources(database, sources, watch),
    parse: (text) =>
      readers.use(ownDeadline(), async (session, left) => {
        const { rows } = await session.read(SERIALIZE, [text], left)
        return checkedTree(text, String(rows[0]?.[0] ?? ''))
      }),
    tables: () => readers.use(ownDeadline(), listTables),
    functions: createFunctionLookup(database),
    prepare: (text) => readers.use(ownDeadline(), async (session) => ({ columns: await session.describe(text), parameters: [] })),
    query: (text, parameters, options) => readers.use(options, (session, left) => session.select(text, parameters, left)),
    queryInto: (take, text, parameters, options) =>
      readers.use(options, (session, left) => session.selectInto(take, text, parameters, left)),
    queryOver: (take, text, rows, options) =>
      readers.use(options, async (session, left) => {
        const started = performance.now()
        await fillRowTable(session, rows, left)
        try {
          await session.selectInto(take, text, [], { signal: left.signal, timeoutMs: left.timeoutMs - (performance.now() - started) })
        } finally {
          await releaseRowTable(session, rows)
        }
      }),
    copies: { use: (copies, options, work) => readers.use(options, (session, left) => withCopies(session, copies, left, work)) },
    close: () => database.close(),
  }
}

/** json_serialize_sql tells errors inside its answer. */
function checkedTree(text: string, json: string): unknown {
  const tree: unknown = JSON.parse(json)
  if (typeof tree === 'object' && tree !== null && 'error' in tree && tree.error === true) {
    const field = (name: string) => (name in tree ? String((tree as Record<string, unknown>)[name]) : null)
    const position = field('position')
    throw new SqlError(
      'syntax',
      field('error_type') === 'not implemented' ? 'Only SELECT statements can be run.' : (field('error_message') ?? 'It does not parse.'),
      position === null ? null : offsetOfCodePoint(text, Number(position)),
    )
  }
  return tree
}

async function listTables(session: Session): Promise<Table[]> {
  const tables: Table[] = []
  for (const [schema, name, isView] of (await session.read(LIST_TABLES, [], ownDeadline())).rows) {
    const columns = await tableColumns(session, String(schema), String(name))
    // A view over a table that is gone has no columns; it cannot be read either.
    if (!columns) continue
    const kind = isView === true ? 'view' : 'table'
    tables.push({ schema: String(schema), name: String(name), kind, isOnPath: schema === 'main', columns, indexed: null })
  }
  return tables
}
