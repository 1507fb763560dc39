import { type Definition, define, type SourceDraft } from './draft.ts'
import type { SourceLocation } from './model.ts'
import { TABLE_NAME } from './naming.ts'
import { type OptionReader, readOptions } from './options.ts'
import { show } from './show.ts'
import { callPlace } from './source-location.ts'

const OPTIONS = [
  'timestamp',
  'delay',
  'available',
  'until',
  'id',
  'timezone',
  'static',
  'file',
  'format',
  'columns',
  'description',
  'owner',
  'tags',
]
const EXAMPLE = 'source("transactions", { timestamp: "created_at" })'

/** See fabra.d.ts. */
export function source(name: unknown, given?: unknown): Definition<'source'> {
  return define(readSource(name, given, callPlace()))
}

export function readSource(name: unknown, given: unknown, location: SourceLocation | null): SourceDraft {
  const options = readOptions('source', given ?? {}, OPTIONS, EXAMPLE)
  const nameText = checkName(name, options)
  const read = {
    timestamp: options.text('timestamp'),
    delay: options.duration('delay') ?? 0,
    available: options.text('available'),
    until: options.text('until'),
    id: options.text('id'),
    timezone: options.text('timezone') ?? 'UTC',
    static: options.flag('static') ?? false,
    file: readFile(options),
    format: readFormat(options),
    columns: readColumns(options),
  }
  checkTogether(read, options)
  return {
    kind: 'source',
    name: nameText,
    options: read,
    description: options.text('description'),
    owner: options.text('owner'),
    tags: options.texts('tags'),
    location,
    complaints: options.complaints,
  }
}

function checkName(name: unknown, options: OptionReader): string {
  if (typeof name !== 'string') {
    options.complain(`source() needs the table's name first, got ${show(name)}.`, `Write ${EXAMPLE}.`)
    return ''
  }
  if (!TABLE_NAME.test(name)) {
    options.complain(`${show(name)} cannot be a table's name.`, 'Use letters, digits and "_", with the schema before a dot: "shop.orders".')
  }
  return name
}

function readFile(options: OptionReader): string | readonly string[] | null {
  if (!Array.isArray(options.raw('file'))) return options.text('file')
  const files = options.texts('file')
  if (files.length === 0) options.complain('file is a list of no files.', 'Write file: ["./data/a.csv", "./data/b.csv"].')
  return files.length === 0 ? null : files
}

function readFormat(options: OptionReader): string | Record<string, string> | null {
  const given = options.raw('format')
  if (given === undefined || typeof given === 'string') return options.text('format')
  const formats: [string, string][] = []
  for (const [name, format] of options.record('format', 'format: { created_at: "%d/%m/%Y" }') ?? []) {
    if (typeof format === 'string' && format.trim() !== '') formats.push([name, format])
    else options.complain(`column "${name}" has the format ${show(format)}.`, 'Write it as strptime does: "%d/%m/%Y %H:%M:%S".')
  }
  return Object.fromEntries(formats)
}

function readColumns(options: OptionReader): Record<string, string> | null {
  const entries = options.record('columns', 'columns: { user_id: "VARCHAR", created_at: "TIMESTAMPTZ" }')
  if (entries === null) return null
  const columns: [string, string][] = []
  for (const [name, type] of entries) {
    if (typeof type === 'string' && /^[A-Za-z][A-Za-z0-9_ (),[\]"]*$/.test(type)) columns.push([name, type])
    else
      options.complain(
        `column "${name}" has the type ${show(type)}.`,
        'Write an SQL type, such as "VARCHAR", "BIGINT", "DOUBLE" or "TIMESTAMPTZ".',
      )
  }
  return Object.fromEntries(columns)
}

function checkTogether(read: SourceDraft['options'], options: OptionReader): void {
  if (read.static && read.timestamp !== null) {
    options.complain('it is static and has a timestamp.', 'Leave one of them out: a static table has the same rows at every time.')
  }
  for (const name of ['delay', 'available', 'until'] as const) {
    if (options.has(name) && read.timestamp === null && !read.static && !options.has('timestamp')) {
      options.complain(`${name} needs a timestamp.`, 'Name the column that says when a row came to be: timestamp: "created_at".')
    }
  }
  if (options.has('format')) {
    const times = [read.timestamp, read.available, read.until].filter((name) => name !== null)
    const example = 'format says how the time columns of a file are written: timestamp: "created_at", format: "%d/%m/%Y".'
    if (!options.has('file')) options.complain('format needs a file.', example)
    else if (times.length === 0) options.complain('format needs a column of times.', example)
    for (const name of typeof read.format === 'object' ? Object.keys(read.format ?? {}) : []) {
      if (times.includes(name)) continue
      options.complain(`format names the column "${name}", which is none of timestamp, available and until.`, example)
    }
  }
  if (!isTimeZone(read.timezone)) {
    options.complain(
      `timezone ${show(read.timezone)} is not known.`,
      'Write an IANA name, such as "UTC", "Europe/Berlin" or "America/New_York".',
    )
  }
  for (const name of ['timestamp', 'available', 'until', 'id'] as const) {
    const column = read[name]
    if (column === null) continue
    if (column.includes('\0') || column.startsWith('__fabra')) {
      options.complain(`${name} ${show(column)} cannot be a column.`, 'Names that begin with "__fabra" are taken.')
    }
    const known = read.columns !== null && read.file === null ? Object.keys(read.columns) : null
    if (known !== null && !known.some((one) => one.toLowerCase() === column.toLowerCase())) {
      options.complain(`${name} names the column "${column}", which columns does not have.`, `Add it: columns: { ${column}: "…" }.`)
    }
  }
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
