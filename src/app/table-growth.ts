/** How tables of sources grow: by the timestamps of their rows, each of which takes as much as any other of its table. */
import type { Micros } from '../clock.ts'
import { mayLoseRows } from '../compute/sql/reach/kept-rows.ts'
import type { Source } from '../definition/model.ts'
import type { Saving, StoreTable } from '../http/wire.ts'
import type { SourceFigures, SourceGrowth, TableSize } from '../store/ports/storage-figures.ts'

const DAY: Micros = 86_400_000_000
const YEAR = 365 * DAY

export interface TableGrowthDependencies {
  /** Null: nobody asks. */
  readonly growth: SourceFigures | null
  /** Of the server; null: rows stay. */
  readonly rowsKeep: Micros | null
  /** Settings that are weighed. */
  readonly settings: readonly Micros[]
}

export interface TableGrowth {
  /** In the order in which they were given. */
  readonly tables: readonly StoreTable[]
  readonly savings: readonly Saving[]
  /** Of tables of sources. */
  readonly bytesADay: number
  /** What those would hold more than now. */
  readonly moreInAYear: number
}

/** @param history What is known of its growth, which counts elsewhere. */
export async function tableGrowth(
  tables: readonly TableSize[],
  sources: ReadonlyMap<string, Source>,
  now: Micros,
  history: Pick<StoreTable, 'rows_a_day' | 'bytes_a_day' | 'bytes_in_a_year'>,
  { growth, rowsKeep, settings }: TableGrowthDependencies,
): Promise<TableGrowth> {
  const growing = [...sources.values()].filter(({ file, timestamp }) => file === null && timestamp !== null)
  const keeps = [...settings, ...(rowsKeep === null ? [] : [rowsKeep])]
  const ages = [...new Set(keeps.flatMap((keep) => [keep, Math.max(0, keep - YEAR)]))]
  const found = new Map((growth && growing.length > 0 ? await growth(growing, now, ages) : []).map((one) => [one.source, one]))
  const weigh = (table: TableSize, one: SourceGrowth, keep: Micros | null) => {
    const aRow = (table.bytes ?? 0) / Math.max(1, table.rows ?? 0)
    const older = (age: Micros) => Math.min(table.rows ?? 0, one.rowsOlder[ages.indexOf(age)] ?? 0)
    const source = sources.get(one.source)
    if (keep === null || !source || !mayLoseRows(source)) return { leaving: 0, inAYear: aRow * ((table.rows ?? 0) + 365 * one.rowsLastDay) }
    const left = keep > YEAR ? (table.rows ?? 0) - older(keep - YEAR) : 0
    return { leaving: aRow * older(keep), inAYear: aRow * (left + (Math.min(keep, YEAR) / DAY) * one.rowsLastDay) }
  }
  const weighed = tables.flatMap((table) => {
    const one = table.kind === 'source' ? found.get(table.name) : undefined
    return one ? [{ table, one }] : []
  })
  const grown = new Map(weighed.map(({ table, one }) => [table, { one, inAYear: Math.round(weigh(table, one, rowsKeep).inAYear) }]))
  const sum = (of: (table: TableSize, one: SourceGrowth) => number) => weighed.reduce((all, { table, one }) => all + of(table, one), 0)
  const perDay = (table: TableSize, one: SourceGrowth) => Math.round(((table.bytes ?? 0) / Math.max(1, table.rows ?? 0)) * one.rowsLastDay)
  const loses = weighed.some(({ one }) => mayLoseRows(sources.get(one.source) as Source))
  return {
    tables: tables.map((table): StoreTable => {
      if (table.kind === 'history') return { ...table, ...history }
      const known = grown.get(table)
      if (!known) return { ...table, rows_a_day: null, bytes_a_day: null, bytes_in_a_year: null }
      return { ...table, rows_a_day: known.one.rowsLastDay, bytes_a_day: perDay(table, known.one), bytes_in_a_year: known.inAYear }
    }),
    savings: (loses ? settings : []).map((keep) => ({
      setting: `FABRA_ROWS_KEEP=${keep / DAY}d`,
      bytes_now: Math.max(0, Math.round(sum((table, one) => weigh(table, one, keep).leaving - weigh(table, one, rowsKeep).leaving))),
      bytes_in_a_year: Math.max(0, Math.round(sum((table, one) => weigh(table, one, rowsKeep).inAYear - weigh(table, one, keep).inAYear))),
    })),
    bytesADay: sum(perDay),
    moreInAYear: sum((table, one) => Math.round(weigh(table, one, rowsKeep).inAYear) - (table.bytes ?? 0)),
  }
}
