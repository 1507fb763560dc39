import { SqlError } from '../ports/source-engine.ts'
import type { SourceFigures, SourceGrowth } from '../ports/storage-figures.ts'
import { type Database, ownDeadline } from './connection/database.ts'
import { instant } from './sources/rows-removal.ts'
import { tableColumns } from './sources/table-columns.ts'
import { quoteName, quoteTable } from './sql.ts'

const DAY = 86_400_000_000
const LOOK_MS = 10_000
/** More rows than this are told by a sample. */
const WHOLE_ROWS = 3_000_000

export function createDuckdbSourceFigures(database: Database): SourceFigures {
  return (sources, now, ages) =>
    database.readers.use(ownDeadline(LOOK_MS * sources.length + LOOK_MS), async (session) => {
      const found: SourceGrowth[] = []
      for (const source of sources) {
        const dot = source.name.indexOf('.')
        const columns = await tableColumns(session, dot < 0 ? 'main' : source.name.slice(0, dot), source.name.slice(dot + 1))
        const timestamp = columns?.find(({ name }) => name.toLowerCase() === source.timestamp?.toLowerCase())
        if (!timestamp) continue
        try {
          const table = quoteTable(source.name)
          const count = Number((await session.read(`SELECT count(*) FROM ${table}`, [], ownDeadline(LOOK_MS))).rows[0]?.[0] ?? 0)
          const share = Math.min(1, WHOLE_ROWS / Math.max(1, count))
          const sample = share < 1 ? `TABLESAMPLE ${(100 * share).toFixed(4)} PERCENT (system, 1)` : ''
          const older = ages.map((age) => `count(*) FILTER (t < ${time(now - age)})`)
          const counts = ['count(*)', `count(*) FILTER (t >= ${time(now - DAY)})`, ...older].join(', ')
          const times = `SELECT ${instant(quoteName(timestamp.name), timestamp.type, source.timezone)} AS t FROM ${table} ${sample}`
          const [row = []] = (await session.read(`SELECT ${counts} FROM (${times})`, [], ownDeadline(LOOK_MS))).rows
          const [seen = 0, lastDay = 0, ...others] = row.map(Number)
          const scale = (some: number) => Math.round((some * count) / Math.max(1, seen))
          found.push({ source: source.name, rowsLastDay: scale(lastDay), rowsOlder: others.map(scale) })
        } catch (error) {
          if (!(error instanceof SqlError)) throw error
        }
      }
      return found
    })
}

function time(micros: number): string {
  return `make_timestamptz(CAST(${Math.trunc(micros)} AS BIGINT))`
}
