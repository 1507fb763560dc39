/** How many rows sources have, and how new they are: looked up now and then, each within a moment, and told as unknown where that is too short. */
import type { Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Entity, KeyColumn, Source } from '../definition/model.ts'
import type { KeyRows, SourceFacts } from '../http/insight/insight.ts'
import type { ChangeStore } from '../store/ports/change-store.ts'
import { type SourceEngine, SqlTimestamp, type SqlValue, type Table } from '../store/ports/source-engine.ts'

const LOOK_MS = 400
/** Facts so old are told again. */
const KEPT_MS = 10_000
/** Tables of PostgreSQL that are larger are estimated. */
const COUNTED = 200_000
/** Rows of a key that are counted. */
const ROWS_LIMIT = 100_000

export interface SourceLook {
  facts(sources: Iterable<Source>): Promise<ReadonlyMap<string, SourceFacts>>
  rowsOfKey(sources: Iterable<Source>, entity: Entity, key: EntityKey, asOf: Micros | null): Promise<readonly KeyRows[]>
}

export function createSourceLook(engine: SourceEngine, changes: Pick<ChangeStore, 'loadedSources'>): SourceLook {
  let known: { readonly at: number; readonly facts: Promise<ReadonlyMap<string, SourceFacts>> } | undefined
  let tables: { readonly at: number; readonly list: Promise<readonly Table[]> } | undefined
  const listTables = () => {
    if (!tables || performance.now() - tables.at > KEPT_MS) {
      tables = { at: performance.now(), list: engine.tables() }
      tables.list.catch(() => {
        tables = undefined
      })
    }
    return tables.list
  }
  return {
    facts(sources) {
      if (known && performance.now() - known.at < KEPT_MS) return known.facts
      known = { at: performance.now(), facts: lookAll(engine, changes, [...sources]) }
      return known.facts
    },
    async rowsOfKey(sources, entity, key, asOf) {
      const list = await listTables().catch(() => [])
      const found = [...sources].flatMap((source) => {
        const table = list.find((one) =>
          [one.name, `${one.schema}.${one.name}`].some((name) => name.toLowerCase() === source.name.toLowerCase()),
        )
        const has = (column: string) => table?.columns.some(({ name }) => name === column) === true
        return entity.key.every(({ name }) => has(name)) ? [source] : []
      })
      return Promise.all(found.map((source) => rowsOf(engine, source, { entity, key, asOf })))
    },
  }
}

async function lookAll(
  engine: SourceEngine,
  changes: Pick<ChangeStore, 'loadedSources'>,
  sources: readonly Source[],
): Promise<ReadonlyMap<string, SourceFacts>> {
  const loaded = await changes.loadedSources().catch(() => new Map<string, Micros>())
  const facts = await Promise.all(
    sources.map(async (source) => {
      const [rows, newestAt] = await Promise.all([countRows(engine, source), newestRow(engine, source)])
      return [source.name, { rows, newestAt, loadedAt: loaded.get(source.name) ?? null }] as const
    }),
  )
  return new Map(facts)
}

/** Undefined: it cannot be told soon. */
async function ask(engine: SourceEngine, text: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlValue[] | undefined> {
  const options = { signal: AbortSignal.timeout(2 * LOOK_MS), timeoutMs: LOOK_MS }
  const result = await engine.query(text, parameters, options).catch(() => undefined)
  return result?.rows[0]
}

async function countRows(engine: SourceEngine, { name }: Source): Promise<number | null> {
  if (engine.dialect === 'postgres') {
    const guess = await ask(engine, 'SELECT reltuples::bigint FROM pg_catalog.pg_class WHERE oid = to_regclass($1::text)', [quoted(name)])
    const rows = Number(guess?.[0] ?? -1)
    if (rows > COUNTED) return rows
  }
  const counted = await ask(engine, `SELECT count(*) FROM ${quoted(name)}`)
  return counted ? Number(counted[0]) : null
}

async function newestRow(engine: SourceEngine, { name, timestamp }: Source): Promise<Micros | null> {
  if (timestamp === null) return null
  return timeOf((await ask(engine, `SELECT max(${quotedName(timestamp)}) FROM ${quoted(name)}`))?.[0])
}

async function rowsOf(
  engine: SourceEngine,
  { name, timestamp }: Source,
  { entity, key, asOf }: { readonly entity: Entity; readonly key: EntityKey; readonly asOf: Micros | null },
): Promise<KeyRows> {
  const time = timestamp === null ? 'NULL' : quotedName(timestamp)
  const conditions = entity.key.map((column, i) => `${quotedName(column.name)} = ${typed(column, i + 1)}`)
  const parameters: SqlValue[] = [...key.values]
  if (asOf !== null && timestamp !== null) {
    conditions.push(`${time} <= $${parameters.length + 1}`)
    parameters.push(new SqlTimestamp(asOf))
  }
  const rows = `SELECT ${time} AS t FROM ${quoted(name)} WHERE ${conditions.join(' AND ')} LIMIT ${ROWS_LIMIT}`
  const found = await ask(engine, `SELECT count(*), max(t) FROM (${rows}) AS r`, parameters)
  return { source: name, rows: found ? Number(found[0]) : null, rowsLimit: ROWS_LIMIT, newestAt: timeOf(found?.[1]) }
}

function typed({ type }: KeyColumn, n: number): string {
  return { string: `CAST($${n} AS VARCHAR)`, int: `CAST($${n} AS BIGINT)`, uuid: `CAST($${n} AS UUID)` }[type]
}

function timeOf(value: SqlValue | undefined): Micros | null {
  return value instanceof SqlTimestamp ? value.micros : null
}

function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** `schema.table` names both. */
function quoted(name: string): string {
  return name.split('.').map(quotedName).join('.')
}
