/** A row of a request as values of a source's columns. Pure. Nothing is coerced: what a column cannot hold exactly is an error. */
import type { Micros } from '../clock.ts'
import { type EntityKey, entityKey } from '../definition/entity-key.ts'
import { stringifyExact } from '../definition/exact-json.ts'
import type { Entity, KeyType, Source } from '../definition/model.ts'
import { parseTime } from '../definition/time.ts'
import { FabraError, suggest } from '../errors.ts'
import { SqlDecimal, SqlTimestamp, type SqlValue, type TableColumn } from '../store/ports/source-engine.ts'
import { firstInexact, isExact, parseSqlType, type SqlType } from '../store/ports/sql-type.ts'
import { MAX_AHEAD } from './push-rows.ts'
import { isObject, rowError } from './row-error.ts'

/** What a text means only the engine can say; it is asked before anything is written. */
export type Fit = 'exact' | 'engine'

export interface ColumnReader {
  readonly column: TableColumn
  readonly fit: Fit
  readonly required: boolean
  /** @throws FabraError invalid_value or invalid_time, without the row */
  read(value: unknown, now: Micros): SqlValue
}

const INT_RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  TINYINT: [-(2n ** 7n), 2n ** 7n - 1n],
  SMALLINT: [-(2n ** 15n), 2n ** 15n - 1n],
  INTEGER: [-(2n ** 31n), 2n ** 31n - 1n],
  BIGINT: [-(2n ** 63n), 2n ** 63n - 1n],
  HUGEINT: [-(2n ** 127n), 2n ** 127n - 1n],
  UTINYINT: [0n, 2n ** 8n - 1n],
  USMALLINT: [0n, 2n ** 16n - 1n],
  UINTEGER: [0n, 2n ** 32n - 1n],
  UBIGINT: [0n, 2n ** 64n - 1n],
  UHUGEINT: [0n, 2n ** 128n - 1n],
}

/** How each column of a source takes its values. @param keyTypes Types of key columns by lower-case name, which decide over the table's. */
export function columnReaders(
  source: Source,
  columns: readonly TableColumn[],
  keyTypes: ReadonlyMap<string, KeyType>,
): readonly ColumnReader[] {
  const is = (name: string | null, column: TableColumn) => name?.toLowerCase() === column.name.toLowerCase()
  return columns.map((column) => {
    const required = is(source.timestamp, column)
    const keyType = column.type === 'VARCHAR' ? keyTypes.get(column.name.toLowerCase()) : undefined
    const read = readerOf(column, keyType === 'string')
    if (!required) return { column, required, ...read }
    return { column, required, fit: read.fit, read: (value, now) => notAhead(read.read(value, now), now) }
  })
}

/** @throws FabraError without the row's index */
export function readRow(source: Source, readers: readonly ColumnReader[], row: unknown, now: Micros): SqlValue[] {
  if (!isObject(row)) throw new FabraError('invalid_body', 'it is not an object.', { hint: 'A row names its columns.' })
  const names = readers.map(({ column }) => column.name)
  let known = 0
  const values = readers.map(({ column, required, read }) => {
    const given = Object.hasOwn(row, column.name) ? row[column.name] : undefined
    if (Object.hasOwn(row, column.name)) known++
    if (given !== undefined && given !== null) return inColumn(column.name, () => read(given, now))
    if (required) {
      throw new FabraError('invalid_value', `it has no "${column.name}", which says when it came to be.`, {
        hint: 'Write RFC 3339 with a zone, such as "2026-01-02T03:04:05Z".',
      })
    }
    // When a row arrived is known where it arrives.
    return given === undefined && source.available?.toLowerCase() === column.name.toLowerCase() ? new SqlTimestamp(now) : null
  })
  if (known === Object.keys(row).length) return values
  const unknown = Object.keys(row).find((name) => !names.includes(name)) ?? ''
  throw new FabraError('invalid_body', `"${source.name}" has no column "${unknown}".`, { hint: suggest(unknown, names) })
}

function inColumn(name: string, read: () => SqlValue): SqlValue {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    throw new FabraError(error.code, `column "${name}": ${error.message}`, error.hint === undefined ? {} : { hint: error.hint })
  }
}

function readerOf(column: TableColumn, isKey: boolean): Pick<ColumnReader, 'fit' | 'read'> {
  const { type } = column
  const range = INT_RANGES[type]
  if (range) return { fit: 'exact', read: (value) => readInt(type, value, range) }
  if (/^DECIMAL/.test(type)) return { fit: 'exact', read: (value) => readDecimal(type, value) }
  if (type === 'JSON') return { fit: 'exact', read: (value) => stringifyExact(value) }
  if (/^TIMESTAMP(?: WITH TIME ZONE|_S|_MS|_NS)?$/.test(type)) return { fit: 'exact', read: (value) => readInstant(type, value) }
  switch (type) {
    case 'VARCHAR':
      return { fit: 'exact', read: (value) => readText(value, isKey) }
    case 'BOOLEAN':
      return { fit: 'exact', read: (value) => (typeof value === 'boolean' ? value : refuse('true or false', value)) }
    case 'FLOAT':
    case 'DOUBLE':
      return { fit: 'exact', read: (value) => readFloat(type, value) }
    case 'DATE':
    case 'date':
      return { fit: 'engine', read: (value) => readWritten(value, /^\d{4}-\d{2}-\d{2}$/, 'a day such as "2026-01-02"') }
    case 'TIME':
    case 'time without time zone':
      return {
        fit: 'engine',
        read: (value) => readWritten(value, /^\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?$/, 'a time of day such as "03:04:05"'),
      }
    default: {
      const parsed = parseSqlType(type)
      return { fit: 'engine', read: (value) => readNested(type, parsed, value) }
    }
  }
}

function readText(value: unknown, isKey: boolean): string {
  const text = isKey && (typeof value === 'bigint' || Number.isSafeInteger(value)) ? String(value) : value
  if (typeof text !== 'string') return refuse('a text', value)
  if (!text.isWellFormed()) throw wrong('the text has a lone surrogate, which is not valid Unicode.', 'Send well-formed Unicode.')
  return text
}

/** What engines would cut: a day takes no time of day, a time no more digits than it keeps. */
function readWritten(value: unknown, form: RegExp, wanted: string): string {
  return typeof value === 'string' && form.test(value) ? value : refuse(wanted, value)
}

function readInt(type: string, value: unknown, [least, greatest]: readonly [bigint, bigint]): number | bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    if (value >= least && value <= greatest) return value
  } else if (typeof value !== 'bigint') return refuse('a whole number', value)
  else if (value >= least && value <= greatest) return value
  throw wrong(`${value} does not fit into ${type}.`, `Send a number from ${least} to ${greatest}.`)
}

function readFloat(type: 'FLOAT' | 'DOUBLE', value: unknown): number {
  if (typeof value !== 'bigint' && (typeof value !== 'number' || !Number.isFinite(value))) return refuse('a number', value)
  if (isExact(value, type === 'FLOAT')) return Number(value)
  throw inexact(String(value), type)
}

/** What the engine reads by itself, it reads as floats where its type says so. */
function readNested(type: string, parsed: SqlType, value: unknown): string {
  if (typeof value === 'string') return readText(value, false)
  const found = firstInexact(value, parsed)
  if (found) throw inexact(`${found.text}${found.path === '' ? '' : ` (in ${found.path.replace(/^\./, '')})`}`, type)
  return stringifyExact(value)
}

function inexact(shown: string, type: string): FabraError {
  return wrong(
    `${shown.slice(0, 120)} is another number in ${type}.`,
    'Give the column a type that holds it, such as "DECIMAL(38, 0)" under columns.',
  )
}

/** Decimals may come as texts, so that no digit passes through a float. */
function readDecimal(type: string, value: unknown): SqlDecimal {
  const [, width = '18', scale = '3'] = /\((\d+),\s*(\d+)\)/.exec(type) ?? []
  const text = typeof value === 'number' || typeof value === 'bigint' ? plainDigits(value) : value
  const match = typeof text === 'string' ? /^([+-]?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(text) : null
  if (!match || text === '') return refuse('a decimal number', value)
  const [, sign = '', whole = '', fraction = ''] = match
  if (fraction.length > Number(scale) || whole.length > Number(width) - Number(scale))
    throw wrong(`${String(value).slice(0, 60)} does not fit into ${type}.`, `At most ${scale} digits after the point.`)
  return new SqlDecimal(`${sign === '-' ? '-' : ''}${whole || '0'}.${fraction.padEnd(Number(scale), '0')}`.replace(/\.$/, ''))
}

function plainDigits(value: number | bigint): string {
  const text = String(value)
  return text.includes('e') ? Number(value).toFixed(20) : text
}

function readInstant(type: string, value: unknown): SqlTimestamp {
  if (typeof value !== 'string') return refuse('a time, RFC 3339 with a zone', value)
  const zoned =
    type !== 'TIMESTAMP WITH TIME ZONE' && /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?$/.test(value) ? `${value}Z` : value
  return new SqlTimestamp(parseTime(zoned))
}

function notAhead(value: SqlValue, now: Micros): SqlValue {
  if (!(value instanceof SqlTimestamp) || value.micros <= now + MAX_AHEAD) return value
  throw new FabraError('invalid_time', "it is more than 5 minutes ahead of this server's clock.", {
    hint: 'Send what has happened. Compare the clocks of both machines.',
  })
}

function refuse(wanted: string, value: unknown): never {
  const shown = stringifyExact(value) ?? typeof value
  throw wrong(`expected ${wanted}, got ${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown}.`, 'See GET /v1/sources for what there is.')
}

function wrong(message: string, hint: string): FabraError {
  return new FabraError('invalid_value', message, { hint })
}

/** Where an entity's key columns stand among a source's; undefined when it does not have them all. */
export function keyPositions(entity: Entity, columns: readonly TableColumn[]): readonly number[] | undefined {
  const at = entity.key.map(({ name }) => columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase()))
  return at.includes(-1) ? undefined : at
}

/** The key a row is about; undefined where a key column is empty or holds what no key can be. */
export function keyOfRow(entity: Entity, positions: readonly number[], row: readonly SqlValue[]): EntityKey | undefined {
  try {
    return entityKey(
      entity,
      positions.map((i) => row[i]),
    )
  } catch (error) {
    if (error instanceof FabraError) return undefined
    throw error
  }
}

/**
 * Rows about a key that is too long for any store would be kept and never be asked for. Of what else no key can be, only the column decides.
 * @throws FabraError invalid_key, naming the row
 */
export function checkKeySizes(entities: Iterable<Entity>, columns: readonly TableColumn[], rows: readonly (readonly SqlValue[])[]): void {
  for (const { key, ...entity } of entities) {
    const asTexts = { ...entity, key: key.map((column) => ({ ...column, type: 'string' as const })) }
    const positions = keyPositions(asTexts, columns)
    if (!positions) continue
    for (const [r, row] of rows.entries()) {
      const values = positions.map((i) => row[i] ?? '')
      if (values.some((value) => value === '' || typeof value === 'object' || typeof value === 'boolean')) continue
      try {
        entityKey(asTexts, values.map(String))
      } catch (error) {
        throw rowError(r, error)
      }
    }
  }
}

/** Tells the first moment from which a row is seen; null: never. */
export function visibility(source: Source, columns: readonly TableColumn[]): (row: readonly SqlValue[]) => Micros | null {
  const at = (name: string | null) => (name === null ? -1 : columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase()))
  const [timestamp, available] = [at(source.timestamp), at(source.available)]
  const time = (value: SqlValue | undefined) => (value instanceof SqlTimestamp ? value.micros : null)
  if (source.timestamp === null) return () => 0
  return (row) => {
    const happened = time(row[timestamp])
    if (happened === null) return null
    if (source.available === null) return happened + source.delay + 1
    const arrived = time(row[available])
    return arrived === null ? null : Math.max(happened + source.delay + 1, arrived)
  }
}
