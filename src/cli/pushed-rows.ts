/** Rows of a file as the rows of a push. Pure. */
import { isUtf8 } from 'node:buffer'
import { parseDistinct, stringifyExact } from '../definition/exact-json.ts'
import { jsonFault } from '../definition/json-fault.ts'
import { parseExact } from '../definition/value.ts'
import { FabraError, suggest } from '../errors.ts'

/** What GET /v1/features and /v1/entities say about the feature that is pushed. */
export interface PushTarget {
  readonly name: string
  readonly key: readonly string[]
  /** Of a feature with one value. */
  readonly type: string | null
  /** Of a feature with columns; null: it has one value. */
  readonly columns: Readonly<Record<string, string | null>> | null
}

const OTHERS = ['event_timestamp', 'delete']

/**
 * One row: key columns, `value` (or, for a feature with columns, one column each), and where the file has them `event_timestamp` and `delete`.
 * @param isText Cells are texts and become values of the feature's types (CSV).
 * @throws FabraError invalid_body or invalid_value
 */
export function pushedRow(target: PushTarget, row: Readonly<Record<string, unknown>>, isText: boolean): Record<string, unknown> {
  const { columns } = target
  const given = Object.keys(row)
  const byColumn = columns !== null && !given.includes('value')
  const values = byColumn ? Object.keys(columns) : ['value']
  const known = [...target.key, ...values, ...OTHERS]
  const unknown = given.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new FabraError('invalid_body', `unknown column "${unknown}".`, { hint: suggest(unknown, known) })
  const pushed: Record<string, unknown> = Object.create(null)
  for (const name of target.key) if (row[name] !== null && row[name] !== undefined) pushed[name] = finite(row[name], name)
  const time = row['event_timestamp']
  if (time !== null && time !== undefined) pushed['event_timestamp'] = time
  if (isDelete(row['delete'])) return { ...pushed, delete: true }
  if (byColumn) {
    const types = columns ?? {}
    pushed['value'] = Object.fromEntries(
      values.filter((name) => given.includes(name)).map((name) => [name, finite(cell(types[name], row[name], isText), name)]),
    )
  } else if (given.includes('value')) pushed['value'] = finite(cell(columns === null ? target.type : 'dict', row['value'], isText), 'value')
  return pushed
}

function isDelete(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === 'false' || value === '0') return false
  if (value === true || value === 'true' || value === '1') return true
  throw new FabraError('invalid_body', `"delete" is ${stringifyExact(value)}.`, { hint: 'Write true or false.' })
}

/** JSON has no words for what is not a number: written as JSON it would be null, which is a value. @param path Names the place. */
function finite(value: unknown, path: string): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new FabraError('invalid_value', `${path} is ${value}.`, {
      hint: 'NaN and Infinity cannot be stored. Write null where nothing is known.',
    })
  }
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) finite(item, `${path}[${i}]`)
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, part] of Object.entries(value)) finite(part, `${path}.${name}`)
  }
  return value
}

/** A cell that holds nothing is null. */
function cell(type: string | null | undefined, value: unknown, isText: boolean): unknown {
  if (!isText || typeof value !== 'string' || type === 'string' || type === 'timestamp') return value ?? null
  const text = type === 'bool' ? value.toLowerCase() : value.trim()
  try {
    return parseExact(type === 'int' || type === 'float' ? text.replace(/^\+/, '') : text)
  } catch {
    throw new FabraError('invalid_value', `${JSON.stringify(value.slice(0, 60))} is not ${type ?? 'JSON'}.`, {
      hint: `The feature is declared as ${type ?? 'json'}.`,
    })
  }
}

/** Lines of JSON, their numbers exact. @throws FabraError invalid_body */
export function jsonRows(text: string, from: number): Record<string, unknown>[] {
  const lines = text.split('\n')
  return lines.flatMap((line, i) => {
    if (line.trim() === '') return []
    const row = parsed(line)
    if (typeof row === 'object' && row !== null && !Array.isArray(row)) return [row as Record<string, unknown>]
    const fault = jsonFault(line, true)
    const why = fault ? `: ${fault.what}, at column ${fault.column}${fault.path === '' ? '' : ` (${fault.path})`}` : ''
    throw new FabraError('invalid_body', `line ${from + i + 1} is not a JSON object${why}.`, {
      hint: fault?.hint ?? 'Write one object a line.',
    })
  })
}

/** Whole lines. Read leniently, keys that differ would become the same one. @throws FabraError invalid_body */
export function lineText(bytes: Buffer, from: number): string {
  if (isUtf8(bytes)) return from === 0 ? bytes.toString('utf8').replace(/^\uFEFF/, '') : bytes.toString('utf8')
  let line = from + 1
  for (let start = 0; isUtf8(bytes.subarray(start, endOfLine(bytes, start))); line++) start = endOfLine(bytes, start)
  throw new FabraError('invalid_body', `line ${line} is not UTF-8.`, { hint: 'Save the file as UTF-8.' })
}

function endOfLine(bytes: Buffer, start: number): number {
  const end = bytes.indexOf('\n', start)
  return end < 0 ? bytes.length : end + 1
}

function parsed(line: string): unknown {
  try {
    return parseDistinct(line)
  } catch {
    return undefined
  }
}
