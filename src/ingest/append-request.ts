/** A request's rows as the store takes them. Pure, but for what only the engine can say of a value. */
import type { Clock, Micros } from '../clock.ts'
import { stringifyExact } from '../definition/exact-json.ts'
import type { Registry, Source } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { SqlValue, TableColumn } from '../store/ports/source-engine.ts'
import type { AppendRequest } from '../store/ports/source-rows.ts'
import { isObject, rowError } from './row-error.ts'
import { checkKeySizes, readRow, visibility } from './row-values.ts'
import type { SourceTables } from './source-tables.ts'

const SECOND: Micros = 1_000_000

/** Rows as they were sent to one source. */
export interface SentRows {
  readonly source: Source
  readonly rows: readonly unknown[]
  readonly idempotencyKey: string | null
}

export interface ReadRequest {
  readonly request: AppendRequest
  /** From when on each row is seen; null: never. */
  readonly times: readonly (Micros | null)[]
}

export interface RequestReaderOptions {
  readonly tables: SourceTables
  readonly registry: () => Registry
  readonly clock: Clock
}

/** @throws FabraError naming the row and column that is wrong; not_appendable, store_unavailable. */
export async function readRequest(
  { source, rows, idempotencyKey }: SentRows,
  { tables, registry, clock }: RequestReaderOptions,
): Promise<ReadRequest> {
  const { columns, readers } = await tables.of(source)
  const arrivedAt = clock.now()
  const values = rows.map((row, i) => {
    try {
      return readRow(source, readers, row, arrivedAt)
    } catch (error) {
      throw rowError(i, error)
    }
  })
  checkKeySizes(registry().entities.values(), columns, values)
  await tables.checkFit(readers, values)
  const texts = source.file === null ? [] : rows.map((row) => keptText(source, row, arrivedAt))
  const content = () => new Bun.CryptoHasher('sha256').update(rows.map((row) => stringifyExact(row)).join('\n')).digest('hex')
  const times = values.map(visibility(source, columns))
  const request = {
    source,
    columns,
    rows: values,
    texts,
    ids: idsOf(source, columns, values),
    idempotency: idempotencyKey === null ? null : { key: idempotencyKey, contentHash: content() },
    arrivedAt,
    visibleAt: roughly(times, arrivedAt),
  }
  return { request, times }
}

/** To the second, and what is seen already as one: after a restart it need not be known better. */
function roughly(times: readonly (Micros | null)[], now: Micros): Micros[] {
  return [...new Set(times.flatMap((at) => (at === null ? [] : [at <= now ? now : Math.ceil(at / SECOND) * SECOND])))]
}

/** The row as it was sent; with the time of its arrival where the sender left that to us. */
function keptText(source: Source, row: unknown, arrivedAt: Micros): string {
  const { available } = source
  if (available === null || !isObject(row) || Object.hasOwn(row, available)) return stringifyExact(row)
  return stringifyExact({ ...row, [available]: formatTime(arrivedAt) })
}

/** Each row's id as the engine writes it. Ids of odd types are left to the queries, which drop repeats too. */
function idsOf(source: Source, columns: readonly TableColumn[], rows: readonly (readonly SqlValue[])[]): (string | null)[] {
  const at = source.id === null ? -1 : columns.findIndex(({ name }) => name.toLowerCase() === source.id?.toLowerCase())
  if (at < 0) return rows.map(() => null)
  const isUuid = columns[at]?.type === 'UUID'
  return rows.map((row) => {
    const id = row[at]
    if (typeof id === 'number' || typeof id === 'bigint') return String(id)
    if (typeof id !== 'string') return null
    return isUuid ? id.toLowerCase().replace(/^\{?(\w{8})-?(\w{4})-?(\w{4})-?(\w{4})-?(\w{12})\}?$/, '$1-$2-$3-$4-$5') : id
  })
}
