import type { Registry, Source } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { SqlValue, TableColumn } from '../store/ports/source-engine.ts'
import type { SourceRows, SourceTable } from '../store/ports/source-rows.ts'
import { reported } from './append-errors.ts'
import { rowError } from './row-error.ts'
import { type ColumnReader, columnReaders } from './row-values.ts'

/** A table that takes rows, and how its columns take their values. */
export interface AppendableTable {
  readonly columns: readonly TableColumn[]
  readonly readers: readonly ColumnReader[]
}

/** The tables of sources, each looked up once per definition: a reload brings new ones. */
export class SourceTables {
  private readonly sourceRows: SourceRows
  private readonly registry: () => Registry
  private readonly tables = new WeakMap<Source, Promise<AppendableTable>>()

  constructor(sourceRows: SourceRows, registry: () => Registry) {
    this.sourceRows = sourceRows
    this.registry = registry
  }

  /** @throws FabraError not_appendable, store_unavailable */
  of(source: Source): Promise<AppendableTable> {
    let table = this.tables.get(source)
    if (!table) {
      table = this.open(source)
      table.catch(() => this.tables.delete(source))
      this.tables.set(source, table)
    }
    return table
  }

  /** The table may have been changed: it is looked up again. */
  drop(source: Source): void {
    this.tables.delete(source)
  }

  /** Types that only the engine can read, such as dates and lists. @throws FabraError invalid_value naming row and column */
  async checkFit(readers: readonly ColumnReader[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    for (const [c, { column, fit }] of readers.entries()) {
      if (fit === 'exact') continue
      const texts = rows.map((row) => (typeof row[c] === 'string' ? row[c] : null))
      if (texts.every((text) => text === null)) continue
      const unfit = await reported(() => this.sourceRows.firstUnfit(column.type, texts))
      if (unfit === undefined) continue
      const message = `column "${column.name}": ${JSON.stringify(texts[unfit]?.slice(0, 60))} is not ${column.type}.`
      throw rowError(unfit, new FabraError('invalid_value', message, { hint: `Send it as ${column.type} is written in SQL.` }))
    }
  }

  private async open(source: Source): Promise<AppendableTable> {
    const table = await reported(() => this.sourceRows.table(source))
    if (table?.kind !== 'table') throw notAppendable(source, table?.kind)
    const keyTypes = new Map(
      [...this.registry().entities.values()].flatMap(({ key }) => key.map(({ name, type }) => [name.toLowerCase(), type] as const)),
    )
    return { columns: table.columns, readers: columnReaders(source, table.columns, keyTypes) }
  }
}

function notAppendable({ name }: Source, kind: SourceTable['kind'] | undefined): FabraError {
  const begin = `The source "${name}" takes no rows:`
  if (kind === 'forbidden') {
    return new FabraError('not_appendable', `${begin} Fabra's database user may not insert into its table.`, {
      hint: `GRANT INSERT ON ${name} TO the user of FABRA_POSTGRES_URL.`,
    })
  }
  if (kind === 'elsewhere') {
    return new FabraError('not_appendable', `${begin} it is in another database than Fabra's schema.`, {
      hint: 'Let FABRA_SOURCE_URL and FABRA_POSTGRES_URL name one database, or write to the table yourself.',
    })
  }
  return new FabraError('not_appendable', `${begin} it is a view.`, { hint: 'Append to the table that the view reads.' })
}
