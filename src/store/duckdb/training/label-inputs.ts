import { parseExact } from '../../../definition/exact-json.ts'
import { formatTime } from '../../../definition/time.ts'
import { SqlDecimal, SqlOther, SqlStruct, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'

/** A column of the labels as an input of a request: what JSON would hold in its place. */
export function inputOf(value: SqlValue, sqlType: string): unknown {
  if (sqlType === 'JSON' && typeof value === 'string') return parseExact(value)
  if (value instanceof SqlTimestamp) return formatTime(value.micros)
  if (value instanceof SqlDecimal) return value.toNumber()
  if (value instanceof SqlOther) return value.text
  if (value instanceof SqlStruct) return Object.fromEntries([...value.fields].map(([name, field]) => [name, inputOf(field, '')]))
  if (Array.isArray(value)) return value.map((item: SqlValue) => inputOf(item, ''))
  return value
}
