/** Keys and times of label rows, checked and brought into the form that computing takes: the same as `entityKey` and `parseTime` do for requests. */
import { MAX_ENCODED_BYTES, MAX_KEY_BYTES } from '../../../definition/entity-key.ts'
import type { Entity, KeyColumn } from '../../../definition/model.ts'
import { FabraError, suggest } from '../../../errors.ts'
import type { RunOptions, TableColumn } from '../../ports/source-engine.ts'
import type { RowNeeds } from '../../ports/training-store.ts'
import type { Session } from '../connection/session.ts'
import { keyText } from '../sources/column-plan.ts'
import { wholeFloats } from '../sources/exact-numbers.ts'
import { keySqlType } from '../sources/row-table.ts'
import { quoteName, quoteText } from '../sql.ts'
import { DRAFT } from './typed-values.ts'

/** RFC 3339 with a zone, and the same without. */
const ZONED = String.raw`\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})`
const NAIVE = String.raw`\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?`
/** Outside of these, microseconds are not exact as numbers. */
const EARLIEST = '1684-07-28 00:12:25.259009+00'
const LATEST = '2255-06-05 23:47:34.740991+00'
/** Clocks are put forward or back by these. */
const SHIFTS = ['30 minutes', '1 hour', '2 hours'] as const

interface Checked {
  /** SQL of the value, NULL where it is wrong. */
  readonly value: string
  /** SQL of the column as text, for the message. */
  readonly text: string
}

/** What the rows are made for, and whether the labels were CSV, whose values are texts. */
export interface RowsWanted extends RowNeeds {
  readonly isCsv: boolean
}

/** The columns of the row list: `__fabra_ord`, `__fabra_as_of`, and per entity e `__fabra_e<e>_k<i>` and `__fabra_e<e>_key` (encoded). */
export async function writeRows(
  session: Session,
  file: string,
  needs: RowsWanted,
  columns: readonly TableColumn[],
  options: RunOptions,
): Promise<number> {
  const time = await timeColumn(session, needs, columns, options)
  const floats = await floatTexts(session, needs, columns, options)
  const keys = needs.entities.map((entity) => entity.key.map((column) => keyColumn(entity, column, columns, floats)))
  await refuseFirst(session, needs, time, keys, options)
  const select = [
    '__fabra_ord',
    `${time.value} AS __fabra_as_of`,
    ...needs.entities.flatMap((entity, e) => [
      ...entity.key.map((column, i) => `CAST(${keys[e]?.[i]?.value} AS ${keySqlType(column.type)}) AS __fabra_e${e}_k${i}`),
      `${encoded(keys[e] ?? [])} AS __fabra_e${e}_key`,
    ]),
  ]
  await session.execute(`COPY (SELECT ${select.join(', ')} FROM labels) TO ${quoteText(file)} (FORMAT parquet, ${DRAFT})`, options)
  const { rows } = await session.read(`SELECT COUNT(*) FROM ${quoteText(file)}`, [], options)
  return Number(rows[0]?.[0] ?? 0)
}

/** As `entityKey` encodes: no two keys have one text. */
function encoded(key: readonly Checked[]): string {
  const [only] = key
  if (key.length === 1 && only) return only.value
  return key.map(({ value }) => `replace(replace(${value}, '%', '%25'), ':', '%3A')`).join(" || ':' || ")
}

function column(name: string, columns: readonly TableColumn[], role: string): TableColumn {
  const found = columns.find((one) => one.name === name)
  if (found) return found
  const names = columns.map((one) => one.name)
  const isTime = role === 'time'
  throw new FabraError(
    'invalid_labels',
    `The labels have no column "${name}"${isTime ? ', which says when each row looks at the world' : `, ${role}`}.`,
    {
      hint: `${isTime ? 'Name the column of times with "timestamp". ' : ''}${suggest(name, names)}`,
    },
  )
}

/** Key columns of CSV, whose values are texts, all of which are whole floats. */
async function floatTexts(
  session: Session,
  needs: RowsWanted,
  columns: readonly TableColumn[],
  options: RunOptions,
): Promise<ReadonlySet<string>> {
  if (!needs.isCsv) return new Set()
  const keys = new Set(needs.entities.flatMap((entity) => entity.key.map(({ name }) => name)))
  const texts = columns.filter(({ name, type }) => keys.has(name) && type === 'VARCHAR').map(({ name }) => name)
  return wholeFloats({ session, from: 'labels', options }, texts)
}

/** Canonical text of a key column; NULL where the value is no key. */
function keyColumn(entity: Entity, key: KeyColumn, columns: readonly TableColumn[], floats: ReadonlySet<string>): Checked {
  const { name, type } = column(key.name, columns, `a key column of ${entity.name}`)
  const whole = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT))$/.test(type)
  if (!whole && !/^(VARCHAR|UUID|DOUBLE|FLOAT|DECIMAL.*|ENUM.*|JSON)$/.test(type)) {
    throw new FabraError('invalid_key', `The labels' column "${name}" is ${type}; a key column of type ${key.type} cannot be.`, {
      hint: 'Keys are texts, whole numbers or uuids.',
    })
  }
  const text = type === 'JSON' ? `json_extract_string(${quoteName(name)}, '$')` : `CAST(${quoteName(name)} AS VARCHAR)`
  // pandas makes floats of whole numbers as soon as one value is missing.
  return { value: keyValue(key, keyText(quoteName(name), type, floats.has(name))), text }
}

function keyValue({ type }: KeyColumn, text: string): string {
  if (type === 'int')
    return `CASE WHEN regexp_full_match(${text}, '[+-]?[0-9]{1,20}') THEN CAST(TRY_CAST(${text} AS BIGINT) AS VARCHAR) END`
  if (type === 'uuid') {
    const hex = '[0-9a-fA-F]'
    const pattern = `${hex}{8}-?${hex}{4}-?${hex}{4}-?${hex}{4}-?${hex}{12}`
    return `CASE WHEN regexp_full_match(${text}, '${pattern}') THEN CAST(TRY_CAST(${text} AS UUID) AS VARCHAR) END`
  }
  return `CASE WHEN ${text} <> '' AND strlen(${text}) <= ${MAX_KEY_BYTES} AND instr(${text}, chr(0)) = 0 THEN ${text} END`
}

async function timeColumn(session: Session, needs: RowNeeds, columns: readonly TableColumn[], options: RunOptions): Promise<Checked> {
  const { name, type } = column(needs.timestamp, columns, 'time')
  const given = quoteName(name)
  const text = `CAST(${given} AS VARCHAR)`
  if (needs.timezone !== null) await checkZone(session, needs.timezone, options)
  if (type === 'TIMESTAMP WITH TIME ZONE') return { value: inRange(given), text }
  if (/^(TIMESTAMP(_S|_MS|_NS)?|DATE)$/.test(type)) {
    if (needs.timezone === null) throw withoutZone(`The labels' column "${name}" holds times without a zone (${type}).`)
    return { value: inRange(inZone(`CAST(${given} AS TIMESTAMP)`, needs.timezone)), text }
  }
  if (type !== 'VARCHAR') {
    throw new FabraError('invalid_time', `The labels' column "${name}" is ${type}, not a time.`, {
      hint: 'Write times, or texts such as "2026-01-02T03:04:05Z".',
    })
  }
  // Digits beyond microseconds are cut off, as everywhere.
  const upper = `regexp_replace(upper(${given}), '(\\.\\d{6})\\d+', '\\1')`
  const zoned = `WHEN regexp_full_match(${given}, '${ZONED}') THEN TRY_CAST(${upper} AS TIMESTAMPTZ)`
  const naive =
    needs.timezone === null
      ? ''
      : ` WHEN regexp_full_match(${given}, '${NAIVE}') THEN ${inZone(`TRY_CAST(${upper} AS TIMESTAMP)`, needs.timezone)}`
  return { value: inRange(`CASE ${zoned}${naive} END`), text }
}

/** A time of the clock on the wall that comes twice, or never, means no instant: NULL. */
function inZone(wall: string, zone: string): string {
  if (zone === 'UTC') return `timezone('UTC', ${wall})`
  const z = quoteText(zone)
  const instant = `timezone(${z}, ${wall})`
  const twice = SHIFTS.flatMap((shift) => ['-', '+'].map((sign) => `timezone(${z}, ${instant} ${sign} INTERVAL '${shift}') = ${wall}`))
  return `CASE WHEN timezone(${z}, ${instant}) = ${wall} AND NOT (${twice.join(' OR ')}) THEN ${instant} END`
}

function inRange(instant: string): string {
  return `CASE WHEN ${instant} BETWEEN TIMESTAMPTZ '${EARLIEST}' AND TIMESTAMPTZ '${LATEST}' THEN ${instant} END`
}

async function checkZone(session: Session, zone: string, options: RunOptions): Promise<void> {
  try {
    await session.read(`SELECT timezone(${quoteText(zone)}, TIMESTAMP '2000-01-01')`, [], options)
  } catch (cause) {
    throw new FabraError('invalid_input', `The time zone "${zone}" is not known.`, {
      hint: 'Use a name like "Europe/Berlin" or "UTC".',
      cause,
    })
  }
}

/** One look over all rows; the first that is wrong in any way is named. */
async function refuseFirst(
  session: Session,
  needs: RowNeeds,
  time: Checked,
  keys: readonly (readonly Checked[])[],
  options: RunOptions,
): Promise<void> {
  const checks = [{ ...time, entity: undefined as Entity | undefined, key: undefined as KeyColumn | undefined }]
  needs.entities.forEach((entity, e) => {
    entity.key.forEach((key, i) => {
      const checked = keys[e]?.[i]
      if (checked) checks.push({ ...checked, entity, key })
    })
  })
  needs.entities.forEach((entity, e) => {
    if (entity.key.length > 1) checks.push({ ...together(keys[e] ?? []), entity, key: undefined })
  })
  const wrong = checks.map(({ value }) => `${value} IS NULL`)
  const { rows } = await session.read(
    `SELECT __fabra_ord, ${checks.flatMap(({ text }, i) => [wrong[i], text]).join(', ')} FROM labels WHERE ${wrong.join(' OR ')} ORDER BY __fabra_ord LIMIT 1`,
    [],
    options,
  )
  const [row] = rows
  if (!row) return
  const i = checks.findIndex((_, c) => row[1 + c * 2] === true)
  const check = checks[i]
  const text = row[2 + i * 2]
  const place = `Row ${Number(row[0])} of the labels (counting from 0)`
  const shown = text === null || text === undefined ? null : JSON.stringify(String(text).slice(0, 60))
  if (check?.entity && check.key) throw wrongKey(place, check.entity, check.key, text === null || text === undefined ? null : String(text))
  if (check?.entity) {
    throw new FabraError('invalid_key', `${place}: the key columns of ${check.entity.name} have ${text} bytes together.`, {
      hint: `They hold at most ${MAX_ENCODED_BYTES}, where "%" and ":" count as three. Leave such rows out.`,
    })
  }
  throw wrongTime(place, needs, shown, String(text))
}

function wrongKey(place: string, entity: Entity, key: KeyColumn, text: string | null): FabraError {
  const bytes = text === null ? 0 : Buffer.byteLength(text)
  const isLong = key.type === 'string' && bytes > MAX_KEY_BYTES
  const shown = JSON.stringify((text ?? '').slice(0, 60))
  const what = text === null || text === '' ? 'is empty' : isLong ? `has ${bytes} bytes` : `is ${shown}, which is no ${key.type}`
  return new FabraError('invalid_key', `${place}: the key column "${key.name}" of ${entity.name} ${what}.`, {
    hint: isLong ? `A key column holds at most ${MAX_KEY_BYTES} bytes.` : `Give every row a ${key.name}, or leave such rows out.`,
  })
}

/** NULL where the columns of a key are too long together; as text their bytes. */
function together(key: readonly Checked[]): Checked {
  const bytes = `strlen(${encoded(key)})`
  return { value: `CASE WHEN ${bytes} <= ${MAX_ENCODED_BYTES} THEN ${bytes} END`, text: `CAST(${bytes} AS VARCHAR)` }
}

function wrongTime(place: string, needs: RowNeeds, shown: string | null, text: string): FabraError {
  if (shown === null) {
    return new FabraError('invalid_time', `${place}: "${needs.timestamp}" is empty.`, {
      hint: 'Every row looks at the world from a time of its own.',
    })
  }
  if (needs.timezone === null && new RegExp(`^${NAIVE}$`).test(text))
    return withoutZone(`${place}: "${needs.timestamp}" is ${shown}, which has no time zone.`)
  const zone = needs.timezone === null || needs.timezone === 'UTC' ? '' : ` in ${needs.timezone}`
  return new FabraError('invalid_time', `${place}: "${needs.timestamp}" is ${shown}, which is not one time${zone}.`, {
    hint:
      zone === ''
        ? 'Write RFC 3339 with a zone, such as "2026-01-02T03:04:05Z", from 1684 to 2255.'
        : 'Where clocks are put forward or back, write times with their zone.',
  })
}

function withoutZone(message: string): FabraError {
  return new FabraError('invalid_time', message, {
    hint: 'Write a zone, or say which one is meant: --timezone UTC (in a request: timezone).',
  })
}
