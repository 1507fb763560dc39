/** What the server writes, as values: whole numbers, decimals and times exactly. */
import { formatTime } from '../../../definition/time.ts'
import { SqlDecimal, SqlOther, SqlStruct, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import type { Parameter } from '../connection/postgres.ts'

export type Decoder = (text: string) => SqlValue

const asText: Decoder = (text) => text
const asNumber: Decoder = (text) => Number(text)
const asWhole: Decoder = (text) => {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}
const asOther = (type: string): Decoder => {
  return (text) => new SqlOther(type, text)
}

/** By the catalogue's short names. */
const DECODERS: Readonly<Record<string, { readonly name: string; readonly decode: Decoder }>> = {
  bool: { name: 'BOOLEAN', decode: (text) => text === 't' },
  int2: { name: 'SMALLINT', decode: asNumber },
  int4: { name: 'INTEGER', decode: asNumber },
  int8: { name: 'BIGINT', decode: asWhole },
  oid: { name: 'OID', decode: asNumber },
  // Widened like any single-precision number, so that it is the same on every engine.
  float4: { name: 'REAL', decode: (text) => Math.fround(Number(text)) },
  float8: { name: 'DOUBLE PRECISION', decode: asNumber },
  numeric: { name: 'NUMERIC', decode: (text) => new SqlDecimal(text) },
  text: { name: 'TEXT', decode: asText },
  varchar: { name: 'CHARACTER VARYING', decode: asText },
  bpchar: { name: 'BPCHAR', decode: asText },
  char: { name: 'CHAR', decode: asText },
  name: { name: 'NAME', decode: asText },
  citext: { name: 'CITEXT', decode: asText },
  unknown: { name: 'UNKNOWN', decode: asText },
  json: { name: 'JSON', decode: asText },
  jsonb: { name: 'JSONB', decode: asText },
  uuid: { name: 'UUID', decode: asOther('UUID') },
  date: { name: 'DATE', decode: asOther('DATE') },
  time: { name: 'TIME', decode: asOther('TIME') },
  timetz: { name: 'TIMETZ', decode: asOther('TIME WITH TIME ZONE') },
  timestamp: { name: 'TIMESTAMP', decode: (text) => decodeTime(text, 'TIMESTAMP') },
  timestamptz: { name: 'TIMESTAMP WITH TIME ZONE', decode: (text) => decodeTime(text, 'TIMESTAMP WITH TIME ZONE') },
  hstore: { name: 'HSTORE', decode: (text) => decodeHstore(text) },
}

/** @param written The type's name for people and for types that have no value of their own in JSON. */
export function decoderOf(name: string, written: string): { readonly name: string; readonly decode: Decoder } {
  if (Object.hasOwn(DECODERS, name)) return DECODERS[name] as { name: string; decode: Decoder }
  return { name: written.toUpperCase(), decode: asOther(written.toUpperCase()) }
}

const TIME = /^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?(?:\+00)?$/

/** Sessions run in UTC. Times that microseconds in a number cannot hold exactly (far years, before Christ, infinity) stay texts. */
function decodeTime(text: string, type: string): SqlValue {
  const parts = TIME.exec(text)
  if (!parts) return new SqlOther(type, text)
  const [, year, month, day, hour, minute, second, fraction = ''] = parts
  const instant = new Date(0)
  // Unlike Date.UTC, this takes the years 0 to 99 as they are.
  instant.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  instant.setUTCHours(Number(hour), Number(minute), Number(second))
  const micros = instant.getTime() * 1000 + Number(fraction.padEnd(6, '0'))
  return Number.isSafeInteger(micros) ? new SqlTimestamp(micros) : new SqlOther(type, text)
}

/** `{1,NULL,"a b",{…}}`; bounds other than from 1 are written before it and say nothing here. */
export function decodeArray(text: string, delimiter: string, item: Decoder): SqlValue[] {
  const read = (start: number): { readonly items: SqlValue[]; readonly end: number } => {
    const items: SqlValue[] = []
    let at = start + 1
    while (at < text.length && text[at] !== '}') {
      if (text[at] === delimiter) at++
      if (text[at] === '{') {
        const inner = read(at)
        items.push(inner.items)
        at = inner.end
        continue
      }
      const quoted = text[at] === '"'
      const piece = quoted ? readQuoted(text, at) : readPlain(text, at, [delimiter, '}'])
      items.push(!quoted && piece.text === 'NULL' ? null : item(piece.text))
      at = piece.end
    }
    return { items, end: at + 1 }
  }
  return read(text.indexOf('{')).items
}

/** `(1,,"a b")`: nothing is null, `""` is empty. */
export function decodeComposite(text: string, fields: readonly { readonly name: string; readonly decode: Decoder }[]): SqlStruct {
  let at = 1
  const values = new Map<string, SqlValue>()
  for (const { name, decode } of fields) {
    let piece = ''
    let isNull = true
    while (at < text.length && text[at] !== ',' && text[at] !== ')') {
      const next = text[at] === '"' ? readQuoted(text, at) : readPlain(text, at, [',', ')', '"'])
      isNull = false
      piece += next.text
      at = next.end
    }
    values.set(name, isNull ? null : decode(piece))
    at++
  }
  return new SqlStruct(values)
}

/** `"a"=>"1", "b"=>NULL` */
function decodeHstore(text: string): SqlStruct {
  const values = new Map<string, SqlValue>()
  for (let at = 0; at < text.length; ) {
    const key = readQuoted(text, at)
    const isNull = text.startsWith('=>NULL', key.end)
    const value = isNull ? { text: '', end: key.end + 6 } : readQuoted(text, key.end + 2)
    values.set(key.text, isNull ? null : value.text)
    at = value.end + 2
  }
  return new SqlStruct(values)
}

/** From an opening quote; a quote inside is doubled or has a backslash before it. */
function readQuoted(text: string, start: number): { readonly text: string; readonly end: number } {
  let result = ''
  let at = start + 1
  while (at < text.length) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') {
      if (text[at + 1] !== '"') break
      at++
    }
    result += text[at] ?? ''
    at++
  }
  return { text: result, end: at + 1 }
}

function readPlain(text: string, start: number, ends: readonly string[]): { readonly text: string; readonly end: number } {
  let result = ''
  let at = start
  for (; at < text.length && !ends.includes(text[at] ?? ''); at++) {
    if (text[at] === '\\') at++
    result += text[at] ?? ''
  }
  return { text: result, end: at }
}

/** A parameter as the server reads it; its type is what it stands beside. */
export function toParameter(value: SqlValue): Parameter {
  if (value instanceof SqlTimestamp) return formatTime(value.micros)
  if (value instanceof SqlDecimal || value instanceof SqlOther) return value.text
  if (value instanceof SqlStruct) return structText(value)
  return Array.isArray(value) ? arrayText(value) : (value as Parameter)
}

function arrayText(values: readonly SqlValue[]): string {
  const items = values.map((value) => {
    if (value === null) return 'NULL'
    if (Array.isArray(value)) return arrayText(value)
    return `"${String(toParameter(value)).replace(/["\\]/g, '\\$&')}"`
  })
  return `{${items.join(',')}}`
}

/** As JSON, which is what a struct is compared with or made from. */
function structText(value: SqlStruct): string {
  const plain = (field: SqlValue): unknown => {
    if (field instanceof SqlStruct) return Object.fromEntries([...field.fields].map(([name, inner]) => [name, plain(inner)]))
    if (Array.isArray(field)) return field.map(plain)
    return typeof field === 'bigint' ? String(field) : field !== null && typeof field === 'object' ? toParameter(field as SqlValue) : field
  }
  return JSON.stringify(plain(value))
}
