/** Values of queries as functions of each language get them, and parameters as they come from there; see `CellForm`. */
import { parseExact, stringifyExact } from '../../definition/exact-json.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'
import { SqlDecimal, SqlOther, SqlStruct, SqlTimestamp, type SqlValue, type TableColumn } from '../../store/ports/source-engine.ts'
import type { CellForm } from '../db.ts'

type Cell = (value: SqlValue) => unknown

/** How the values of each column are given. */
export function cellsOf(columns: readonly TableColumn[], form: CellForm): readonly Cell[] {
  return columns.map(({ type }) => (form === 'plain' ? plainCell(type) : taggedCell(type)))
}

export function toSqlValue(value: unknown): SqlValue {
  if (value === undefined || value === null) return null
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return value
  if (value instanceof Date && !Number.isNaN(value.getTime())) return new SqlTimestamp(value.getTime() * 1000)
  if (Array.isArray(value)) return value.map(toSqlValue)
  if (typeof value === 'object') return untagged(value)
  throw new FabraError('feature_failed', `A ${typeof value} cannot be a parameter of a query.`, {
    hint: 'Give strings, numbers, booleans, dates or null.',
  })
}

function untagged(value: object): SqlValue {
  const [[tag, content] = ['', undefined], ...more] = Object.entries(value)
  if (more.length > 0 || !tag.startsWith('$')) return stringifyExact(value)
  if (tag === '$ts' && Number.isSafeInteger(content)) return new SqlTimestamp(Number(content))
  if (tag === '$dec' && typeof content === 'string' && /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)$/.test(content)) return new SqlDecimal(content)
  if (tag === '$uuid' && typeof content === 'string') return content
  if (tag === '$obj') return stringifyExact(content)
  throw new FabraError('feature_failed', `${String(content)} cannot be a parameter of a query.`, { hint: 'Give finite numbers.' })
}

const JSON_COLUMN = /^JSONB?(?:\[\d*\])*$/

function plainCell(type: string): Cell {
  return JSON_COLUMN.test(type) ? plainJson : plainValue
}

/** JSON, and lists of it. */
function plainJson(value: SqlValue): unknown {
  if (typeof value === 'string') return parseExact(value)
  return Array.isArray(value) ? value.map(plainJson) : plainValue(value)
}

function plainValue(value: SqlValue): unknown {
  if (value instanceof SqlDecimal) return value.toNumber()
  if (value instanceof SqlTimestamp) return formatTime(value.micros)
  if (value instanceof SqlOther) return value.text
  if (value instanceof SqlStruct) return Object.fromEntries([...value.fields].map(([name, field]) => [name, plainValue(field)]))
  return Array.isArray(value) ? value.map(plainValue) : value
}

const FLOAT_COLUMN = /^(?:FLOAT|DOUBLE|REAL|DOUBLE PRECISION)(?:\[\d*\])*$/

function taggedCell(type: string): Cell {
  if (JSON_COLUMN.test(type)) return taggedJson
  return FLOAT_COLUMN.test(type) ? taggedFloat : tagged
}

/** The guest reads the text itself: then 1.0 is no whole number there. */
function taggedJson(value: SqlValue): unknown {
  if (typeof value === 'string') return { $json: value }
  return Array.isArray(value) ? value.map(taggedJson) : tagged(value)
}

/** JSON writes a float without a fraction as a whole number, and has none of those that are not finite. */
function taggedFloat(value: SqlValue): unknown {
  if (typeof value === 'number') return Number.isInteger(value) || !Number.isFinite(value) ? { $float: String(value) } : value
  return Array.isArray(value) ? value.map(taggedFloat) : tagged(value)
}

function tagged(value: SqlValue): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : { $float: String(value) }
  if (value instanceof SqlDecimal) return { $dec: value.text }
  if (value instanceof SqlTimestamp) return { $ts: value.micros }
  if (value instanceof SqlOther) return value.type.toUpperCase() === 'UUID' ? { $uuid: value.text } : value.text
  if (Array.isArray(value)) return value.map(tagged)
  if (!(value instanceof SqlStruct)) return value
  const object = Object.fromEntries([...value.fields].map(([name, field]) => [name, tagged(field)]))
  return Object.keys(object)[0]?.startsWith('$') ? { $obj: object } : object
}
