/** Several files as one table. Each is read by itself, so that what is wrong is told with its file and line, into a table beside. */

import { ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { quoteName, quoteText } from '../sql.ts'
import type { ColumnPlan, SourceColumns } from './column-plan.ts'
import { checkColumns, checkTimes, columnValue } from './column-plan.ts'
import { type FilePlan, openFile, planOpened, readingProblem } from './file-reader.ts'
import type { LentFile, LentFiles } from './lent-files.ts'
import type { OpenedFile, SourceFile } from './opened-file.ts'
import { SourceProblem } from './source-problem.ts'
import { type TextColumns, textTypes } from './text-types.ts'

const STAGE = '__fabra_stage'
const STAGED_ROW = '__fabra_file_row'
const LOAD = ownDeadline(30 * 60_000)
/** Rows of one file are numbered below this. */
const FILE_ROWS = 1_000_000_000_000n

interface OpenedPart {
  readonly input: SourceFile
  readonly opened: OpenedFile
  readonly lent: LentFile
}

/** Reads the files, one after another, and tells of the table that has their rows. @throws SourceProblem */
export async function stageFiles(
  session: Session,
  input: SourceColumns & Pick<SourceFile, 'rejected'>,
  lent: LentFiles,
): Promise<FilePlan> {
  const parts: OpenedPart[] = []
  for (const one of lent.files) {
    const file = { ...input, file: one.file, readFrom: one.readFrom }
    parts.push({ input: file, opened: withPartition(await openFile(session, file), one), lent: one })
  }
  checkParts(input, parts)
  const types = await jointTypes(session, input, parts)
  const plans = parts.map(({ input: file, opened }) => planOpened(file, opened, types))
  const columns = jointColumns(parts, plans)
  await session.execute(
    `CREATE OR REPLACE TEMP TABLE ${STAGE} (${columns.map(({ name, type }) => `${quoteName(name)} ${type}`).join(', ')}, ${STAGED_ROW} BIGINT)`,
    LOAD,
  )
  for (const [i, plan] of plans.entries()) {
    const part = parts[i]
    if (!part) continue
    const list = columns.map((column) => partColumn(column, plan))
    try {
      await session.execute(
        `INSERT INTO ${STAGE} SELECT ${list.join(', ')}, ${BigInt(i) * FILE_ROWS} + row_number() OVER () FROM ${plan.from}`,
        LOAD,
      )
    } catch (error) {
      throw await readingProblem(session, part.input, plan, error)
    }
  }
  const isChosen = (column: string) => plans.every((plan) => !plan.plans.some(({ name }) => name === column) || plan.isChosen(column))
  return { format: 'staged', from: STAGE, row: STAGED_ROW, plans: columns, isChosen }
}

export function dropStage(session: Session): Promise<void> {
  return session.execute(`DROP TABLE IF EXISTS ${STAGE}`, LOAD)
}

/** Folders such as `year=2026` give their files a column. Where the file has it too, it is the same, and the file's is taken. */
function withPartition(opened: OpenedFile, { partition }: LentFile): OpenedFile {
  const added = partition.filter(([column]) => !opened.found.some(({ name }) => name.toLowerCase() === column.toLowerCase()))
  if (added.length === 0) return opened
  const literals = added.map(([column, value]) => `CAST(${value === null ? 'NULL' : quoteText(value)} AS VARCHAR) AS ${quoteName(column)}`)
  const names = added.map(([column]) => column)
  return {
    ...opened,
    found: [...opened.found, ...names.map((name) => ({ name, type: 'VARCHAR' }))],
    partition: names,
    reader: (plans) => `(SELECT *, ${literals.join(', ')} FROM ${opened.reader(plans.filter(({ name }) => !names.includes(name)))})`,
  }
}

/** What one file may lack are columns that came later; its times, ids and keys it has. */
function checkParts(input: SourceColumns, parts: readonly OpenedPart[]): void {
  const all = parts.flatMap(({ opened }) => opened.found.map(({ name }) => name))
  checkColumns(input.source, all, `No file of source "${input.source.name}"`, 'has a column')
  const keys = Object.keys(input.keyTypes).map((key) => key.toLowerCase())
  const needed = new Set(all.map((name) => name.toLowerCase()).filter((name) => keys.includes(name)))
  for (const { input: file, opened } of parts) {
    const names = opened.found.map(({ name }) => name)
    checkTimes(input.source, names, file.file)
    const lacking = [...needed].find((key) => !names.some((name) => name.toLowerCase() === key))
    if (lacking !== undefined) {
      throw new SourceProblem(`${file.file} has no column "${lacking}", which is a key.`, `It has: ${names.slice(0, 20).join(', ')}.`)
    }
  }
}

async function jointTypes(
  session: Session,
  input: Pick<SourceFile, 'rejected'>,
  parts: readonly OpenedPart[],
): Promise<Map<string, string>> {
  const rejected = (name: string) => input.rejected?.get(name) ?? []
  const tables = parts.flatMap(({ opened }): TextColumns[] => {
    const own = opened.texts
    return own.length === 0 ? [] : [{ from: opened.readTexts(), names: own, among: opened.among, rejected }]
  })
  const values = new Map<string, Set<string | null>>()
  for (const { lent, opened } of parts) {
    for (const [column, value] of lent.partition) {
      if (!opened.partition?.includes(column)) continue
      values.set(column, (values.get(column) ?? new Set()).add(value))
    }
  }
  const folders = [...values].map(([column, texts]): TextColumns => {
    const rows = [...texts].map((text) => `(CAST(${text === null ? 'NULL' : quoteText(text)} AS VARCHAR))`).join(', ')
    return { from: `(VALUES ${rows}) AS folders(${quoteName(column)})`, names: [column], among: 'all', rejected }
  })
  try {
    return new Map([...(await textTypes(session, folders)), ...(await textTypes(session, tables))])
  } catch {
    // One of the files has a broken row, which reading it names.
    return new Map()
  }
}

interface JointColumn extends ColumnPlan {
  readonly from: string
}

/** A type that all files' values fit, exactly. */
function jointColumns(parts: readonly OpenedPart[], plans: readonly FilePlan[]): JointColumn[] {
  const columns = new Map<string, JointColumn>()
  for (const [i, { plans: own }] of plans.entries()) {
    const file = parts[i]?.input.file ?? ''
    for (const { name, type, note } of own) {
      const before = columns.get(name.toLowerCase())
      const joint = before ? wider(before.type, type) : type
      if (joint === undefined) {
        throw new SourceProblem(
          `Column "${name}" is ${before?.type} in ${before?.from} and ${type} in ${file}.`,
          `Write the files alike, or say what the column is: columns: { ${name}: "VARCHAR" }.`,
        )
      }
      columns.set(name.toLowerCase(), {
        name: before?.name ?? name,
        readAs: joint,
        tryCast: null,
        wanted: joint,
        type: joint,
        from: before?.from ?? file,
        ...(before?.note === undefined && note === undefined ? {} : { note: before?.note ?? note ?? '' }),
      })
    }
  }
  return [...columns.values()]
}

const INTEGERS = ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT']
const UNSIGNED = ['UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT']

function wider(a: string, b: string): string | undefined {
  if (a === b) return a
  // What holds every value of an unsigned type is the signed one after it.
  const rank = (type: string) => (UNSIGNED.includes(type) ? UNSIGNED.indexOf(type) + 1 : INTEGERS.indexOf(type))
  if (rank(a) >= 0 && rank(b) >= 0) return INTEGERS[Math.max(rank(a), rank(b))]
  const isNumber = (type: string) => rank(type) >= 0 || type === 'FLOAT' || type === 'DOUBLE'
  if (isNumber(a) && isNumber(b)) return 'DOUBLE'
  const [one, other] = [decimal(a), decimal(b)]
  if (one && other) {
    const scale = Math.max(one.scale, other.scale)
    const width = Math.max(one.width - one.scale, other.width - other.scale) + scale
    return width <= 38 ? `DECIMAL(${width},${scale})` : undefined
  }
  const isNaive = (type: string) => /^(DATE|TIMESTAMP(_S|_MS)?)$/.test(type)
  return isNaive(a) && isNaive(b) ? 'TIMESTAMP' : undefined
}

function decimal(type: string): { readonly width: number; readonly scale: number } | undefined {
  const [, width, scale] = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(type) ?? []
  return width === undefined ? undefined : { width: Number(width), scale: Number(scale) }
}

function partColumn(column: JointColumn, plan: FilePlan): string {
  const index = plan.plans.findIndex(({ name }) => name.toLowerCase() === column.name.toLowerCase())
  const own = plan.plans[index]
  if (!own) return 'NULL'
  const value = columnValue(own, index)
  if (own.type === column.type) return value
  if (column.type !== 'DOUBLE' || !/INT/.test(own.type)) return `CAST(${value} AS ${column.type})`
  const fail = `error(concat(${quoteText(`Column "${column.name}" holds `)}, ${value}, ${quoteText(', which no float is; another file has floats there')}))`
  return `CASE WHEN ${value} IS NULL OR CAST(CAST(${value} AS DOUBLE) AS HUGEINT) = ${value} THEN CAST(${value} AS DOUBLE) ELSE CAST(${fail} AS DOUBLE) END`
}
