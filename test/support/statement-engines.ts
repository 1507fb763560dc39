/** The tables of random statements, on both engines. */
import { type ComputeBench, openComputeBench, type SqlBench } from './compute-bench.ts'
import type { OracleRow, OracleSource } from './oracle.ts'
import type { Case } from './oracle-cases.ts'
import { openPostgresBench, type PostgresBench } from './postgres-bench.ts'
import type { TestServer } from './servers.ts'
import { asRows, type StatementEngine } from './statements.ts'

const TIME_TYPES = { instant: 'TIMESTAMP WITH TIME ZONE', naive: 'TIMESTAMP', date: 'DATE' } as const
const AMOUNT_TYPES = { 1: 'BIGINT', 8: 'DOUBLE PRECISION', 1000: 'DECIMAL(18,3)' } as const
const KEY_TYPES = { string: ['VARCHAR'], int: ['BIGINT'], uuid: ['UUID'], pair: ['VARCHAR', 'BIGINT'] } as const

export async function openDuckdbStatements(): Promise<StatementEngine & { close(): Promise<void> }> {
  const [bench, plain] = await Promise.all([openComputeBench(1), openComputeBench(1)])
  return { ...engineOf(bench, plain, (sql) => sql), close: () => closeAll([bench, plain]) }
}

async function closeAll(benches: readonly ComputeBench[]): Promise<void> {
  for (const { store } of benches) await store.close()
}

export async function openPostgresStatements(server: TestServer): Promise<StatementEngine & { close(): Promise<void> }> {
  const benches: PostgresBench[] = []
  for (const name of ['statements', 'statements_plain']) benches.push(await openPostgresBench(server, name))
  const [bench, plain] = benches
  if (!bench || !plain) throw new Error('No benches.')
  const close = async () => {
    for (const one of benches) await one.close()
  }
  return { ...engineOf(bench, plain, inPostgres), close }
}

function engineOf(bench: SqlBench, plain: SqlBench, inDialect: (sql: string) => string): StatementEngine {
  const dropped = new Map<SqlBench, string>()
  const fill = async (one: SqlBench, world: Case, rows: Rows) => {
    const { make, drop } = tablesOf(world, rows, one.store.dialect)
    const before = dropped.get(one)
    await one.execute(before === undefined ? make : `${before}; ${make}`)
    dropped.set(one, drop)
  }
  return {
    store: bench.store,
    plain: plain.store,
    inDialect,
    fill: (world) => fill(bench, world, { events: world.events.rows, facts: world.facts.rows }),
    // What a query sees of naive times is in UTC already.
    fillPlain: (world, { events, facts }) => fill(plain, withoutViews(world), { events: asRows(events), facts: asRows(facts) }),
  }
}

function withoutViews(world: Case): Case {
  return { ...world, events: { ...world.events, view: false }, facts: { ...world.facts, view: false } }
}

type Rows = Readonly<Record<'events' | 'facts', readonly OracleRow[]>>

function tablesOf(world: Case, rows: Rows, dialect: 'duckdb' | 'postgres'): { readonly make: string; readonly drop: string } {
  const texts = (['events', 'facts'] as const).flatMap((name) => {
    const source = world[name]
    const other = TIME_TYPES[source.otherType]
    const keys = KEY_TYPES[world.keyKind].map((type, i) => `k${i} ${type}`)
    const category = dialect === 'postgres' ? 'category VARCHAR COLLATE "C"' : 'category VARCHAR'
    const rest = [`seen ${other}`, `until ${other}`, 'event_id INTEGER', category, `amount ${AMOUNT_TYPES[source.scale]}`]
    const columns = ['n BIGINT', ...keys, `ts ${TIME_TYPES[source.timestampType]}`, ...rest]
    const table = source.view ? `${name}_rows` : name
    const values = rows[name].map((row) => rowSql(row, source))
    return [
      `CREATE TABLE s.${table} (${columns.join(', ')})`,
      ...(values.length === 0 ? [] : [`INSERT INTO s.${table} VALUES ${values.join(', ')}`]),
      ...(source.view ? [`CREATE VIEW s.${name} AS SELECT * FROM s.${table}`] : []),
    ]
  })
  const schema = dialect === 'postgres' ? 'public' : 'main'
  const named = texts.map((text) => text.replaceAll(' s.', ` ${schema}.`))
  const drops = (['events', 'facts'] as const).flatMap((name) =>
    world[name].view ? [`DROP VIEW ${name}`, `DROP TABLE ${name}_rows`] : [`DROP TABLE ${name}`],
  )
  return { make: named.join('; '), drop: drops.join('; ') }
}

function rowSql(row: OracleRow, source: OracleSource): string {
  const time = (micros: number | null, type: keyof typeof TIME_TYPES) => {
    if (micros === null) return 'NULL'
    if (!Number.isFinite(micros)) return `CAST('${micros < 0 ? '-' : ''}infinity' AS ${TIME_TYPES[type]})`
    const seconds = Math.floor(micros / 1e6)
    const text = `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(micros - seconds * 1e6).padStart(6, '0')}`
    return `CAST('${text}${type === 'instant' ? '+00' : ''}' AS ${type === 'date' ? 'TIMESTAMP' : TIME_TYPES[type]})`
  }
  const text = (value: string | null) => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`)
  const amount = row.amount === null ? 'NULL' : source.scale === 1 ? String(row.amount) : decimal(row.amount, source.scale)
  const times = [time(row.at, source.timestampType), time(row.available, source.otherType), time(row.until, source.otherType)]
  return `(${[row.n, ...row.key.map(text), ...times, row.id ?? 'NULL', text(row.category), amount].join(', ')})`
}

function decimal(amount: bigint, scale: number): string {
  const thousandths = scale === 8 ? amount * 125n : amount
  const digits = (thousandths < 0n ? -thousandths : thousandths).toString().padStart(4, '0')
  return `${thousandths < 0n ? '-' : ''}${digits.slice(0, -3)}.${digits.slice(-3)}`
}

/** A shape of DuckDB's in PostgreSQL's words. */
export function inPostgres(sql: string): string {
  const qualified = /^SELECT category FROM (.*) QUALIFY (row_number\(\) OVER \(.*\)) = 1$/.exec(sql)
  if (qualified) return `SELECT category FROM (SELECT category, ${qualified[2]} AS place FROM ${qualified[1]}) AS q WHERE place = 1`
  return sql
    .replace('FILTER (category IS NULL)', 'FILTER (WHERE category IS NULL)')
    .replace('EXISTS (FROM facts', 'EXISTS (SELECT 1 FROM facts')
    .replace('LIST(', 'ARRAY_AGG(')
}
