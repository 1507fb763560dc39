import { SqlError } from '../../ports/source-engine.ts'
import type { SourceFigures, SourceGrowth } from '../../ports/storage-figures.ts'
import type { Postgres } from '../connection/postgres.ts'
import { storeErrors } from '../connection/store-errors.ts'
import { timeOf } from '../history/history-sql.ts'
import { instant } from '../sources/rows-removal.ts'
import { asking, findAppendTable } from '../sources/source-rows-table.ts'

const DAY = 86_400_000_000
const LOOK_MS = 10_000
/** Of a table, 32 MiB. */
const SAMPLE_BYTES = 4_096 * 8_192
const SIZE = 'SELECT pg_relation_size($1::regclass)'

export function createPostgresSourceFigures(postgres: Postgres): SourceFigures {
  const read = (text: string, parameters: Parameters<Postgres['run']>[1]) =>
    postgres.run(text, parameters, { timeoutMs: LOOK_MS, readOnly: true, settings: { jit: 'off' } })
  return async (sources, now, ages) => {
    const found: SourceGrowth[] = []
    for (const source of sources) {
      try {
        const table = await findAppendTable(asking(postgres), source)
        const timestamp = table?.columns.find(({ name }) => name.toLowerCase() === source.timestamp?.toLowerCase())
        if (!table || !timestamp || table.kind === 'view') continue
        const share = Math.min(1, SAMPLE_BYTES / Math.max(1, Number((await read(SIZE, [table.name])).rows[0]?.[0] ?? 0)))
        const older = ages.map((_, i) => `count(*) FILTER (WHERE t < ${timeOf(`$${i + 3}::bigint`)})`)
        const counts = [`count(*) FILTER (WHERE t >= ${timeOf('$2::bigint')})`, ...older].join(', ')
        const times = `SELECT ${instant(timestamp)} AS t FROM ${table.name} AS r TABLESAMPLE SYSTEM ($1::real) REPEATABLE (1)`
        const { rows } = await read(`SELECT ${counts} FROM (${times}) AS s`, [100 * share, now - DAY, ...ages.map((age) => now - age)])
        const [lastDay = 0, ...others] = (rows[0] ?? []).map((count) => Math.round(Number(count) / share))
        found.push({ source: source.name, rowsLastDay: lastDay, rowsOlder: others })
      } catch (error) {
        // A foreign table has no samples, and a large one takes long.
        if (!(error instanceof SqlError) || error.kind === 'unavailable') await storeErrors(() => Promise.reject(error))
      }
    }
    return found
  }
}
