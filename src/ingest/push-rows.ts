/** Rows of a push, checked before any of them is accepted. Pure. */
import type { Micros } from '../clock.ts'
import { declaredType } from '../definition/declared-type.ts'
import { type EntityKey, entityKeyFromRow } from '../definition/entity-key.ts'
import type { Entity, Feature } from '../definition/model.ts'
import { parseTime } from '../definition/time.ts'
import { encodeValue } from '../definition/value.ts'
import { FabraError, suggest } from '../errors.ts'
import { isObject, rowError } from './row-error.ts'

/** How far an event may lie ahead of this process's clock: other clocks are not exact either. */
export const MAX_AHEAD: Micros = 5 * 60_000_000

export interface PushedRow {
  readonly key: EntityKey
  /** Of its key and event time, among rows of one feature. */
  readonly id: string
  /** JSON text per column; null: a tombstone. */
  readonly texts: readonly string[] | null
  readonly eventAt: Micros
  /** The sender gave the event timestamp, so the same row may come twice. */
  readonly dated: boolean
}

const FIELDS = ['value', 'event_timestamp', 'delete']

/** @throws FabraError invalid_body, invalid_key, invalid_value or invalid_time, naming the index of the first row that is wrong. */
export function readPushedRows(feature: Feature, entity: Entity, rows: readonly unknown[], now: Micros): PushedRow[] {
  const fields = [...entity.key.map((column) => column.name), ...FIELDS]
  return rows.map((row, i) => {
    try {
      return readRow(feature, entity, row, { now, fields })
    } catch (error) {
      throw rowError(i, error)
    }
  })
}

function readRow(
  feature: Feature,
  entity: Entity,
  row: unknown,
  at: { readonly now: Micros; readonly fields: readonly string[] },
): PushedRow {
  if (!isObject(row)) throw new FabraError('invalid_body', 'it is not an object.', { hint: 'A row names its key columns and a value.' })
  for (const name of Object.keys(row)) {
    if (!at.fields.includes(name)) throw new FabraError('invalid_body', `unknown field "${name}".`, { hint: suggest(name, at.fields) })
  }
  const key = entityKeyFromRow(entity, row)
  const dated = row['event_timestamp'] !== undefined
  const eventAt = dated ? readTime(row['event_timestamp'], at.now) : at.now
  return { key, id: pushedRowId(key.encoded, eventAt), texts: readTexts(feature, row), eventAt, dated }
}

export function pushedRowId(key: string, eventAt: Micros): string {
  return `${eventAt} ${key}`
}

/** @throws FabraError invalid_time */
export function readTime(value: unknown, now: Micros): Micros {
  if (typeof value !== 'string') {
    throw new FabraError('invalid_time', `event_timestamp is not a text: ${JSON.stringify(value)?.slice(0, 60)}.`, {
      hint: 'Write RFC 3339 with a zone, such as "2026-01-02T03:04:05Z".',
    })
  }
  const eventAt = parseTime(value)
  if (eventAt <= now + MAX_AHEAD) return eventAt
  throw new FabraError('invalid_time', `${JSON.stringify(value)} is more than 5 minutes ahead of this server's clock.`, {
    hint: 'Send what has happened. Compare the clocks of both machines.',
  })
}

function readTexts(feature: Feature, row: Readonly<Record<string, unknown>>): readonly string[] | null {
  const tombstone = row['delete']
  if (tombstone !== undefined && typeof tombstone !== 'boolean')
    throw new FabraError('invalid_body', '"delete" is not true or false.', { hint: 'Write "delete": true in place of a value.' })
  const given = Object.hasOwn(row, 'value')
  if (tombstone === true) {
    if (given) throw new FabraError('invalid_body', 'it has both "value" and "delete".', { hint: 'A tombstone has no value.' })
    return null
  }
  if (!given)
    throw new FabraError('invalid_body', 'it has no "value".', { hint: 'Null is a value; "delete": true says that nothing is known.' })
  const { columns } = feature
  if (columns.length === 1 && columns[0]?.name === null) return [encoded(feature, null, row['value'])]
  return columnTexts(feature, row['value'])
}

/** All columns have to be there: a value is replaced as a whole. */
function columnTexts(feature: Feature, value: unknown): string[] {
  const names = feature.columns.map((column) => column.name ?? '')
  const hint = `Write "value": {${names.map((name) => `"${name}": …`).join(', ')}}.`
  if (!isObject(value)) throw new FabraError('invalid_value', `the value of "${feature.name}" is not an object of its columns.`, { hint })
  for (const name of Object.keys(value)) {
    if (!names.includes(name))
      throw new FabraError('invalid_value', `"${feature.name}" has no column "${name}".`, { hint: suggest(name, names) })
  }
  return names.map((name) => {
    if (!Object.hasOwn(value, name)) throw new FabraError('invalid_value', `the column "${name}" is missing.`, { hint })
    return encoded(feature, name, value[name])
  })
}

function encoded(feature: Feature, name: string | null, value: unknown): string {
  const column = feature.columns.find((one) => one.name === name)
  const type = (column && declaredType(column)) ?? 'json'
  try {
    return encodeValue(type, value)
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    const subject = name === null ? `"${feature.name}"` : `"${feature.name}.${name}"`
    throw new FabraError('invalid_value', `${subject}: ${error.message}`, { hint: `It is declared as ${type}.` })
  }
}
