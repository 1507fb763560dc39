/**
 * Training sets of many columns. One statement that joins all of them would take the engine's planner a time that grows much faster than their
 * number, and hold a hash table for every feature at once. Instead the columns are brought into the order of the labels some at a time, each
 * group in a file of its own, and the files are read side by side at the end: the n-th row of each is the n-th row of the set.
 */
import type { RunOptions, TableColumn } from '../../ports/source-engine.ts'
import type { OutputColumn, OutputFeature, ValuesId } from '../../ports/training-store.ts'
import type { Session } from '../connection/session.ts'
import { quoteName, quoteText } from '../sql.ts'
import { type FreshUntilTables, type HeldValues, resultSelect } from './result.ts'
import { parquetOptions } from './typed-values.ts'

/** Columns of one file, and of a set that is no wide one. */
const COLUMNS_AT_ONCE = 100
/** Tables joined in one statement of a wide set, and in all of one that is not: planning 16 joins takes as long as planning 4 eight times. */
const PLACES_AT_ONCE = 8
const MOST_PLACES = 16

export interface WideDesk {
  readonly session: Session
  /** File of the rows, quoted. */
  readonly rows: string
  readonly labels: { readonly columns: readonly TableColumn[]; readonly file: string }
  /** Path of a new file. */
  readonly file: (name: string) => string
  readonly held: (values: ValuesId) => HeldValues
  readonly freshUntil: FreshUntilTables
}

export interface WideOutput {
  readonly features: readonly OutputFeature[]
  readonly columns: readonly OutputColumn[]
}

export function isWide({ labels, held, freshUntil }: WideDesk, { features, columns }: WideOutput): boolean {
  const access = new Set(features.map((feature) => held(feature.values).from))
  return labels.columns.length + columns.length > COLUMNS_AT_ONCE || access.size + freshUntil.size > MOST_PLACES
}

/** @returns a SELECT of the columns of the labels, then those asked for, in the order of the labels. */
export async function wideSelect(workspace: WideDesk, output: WideOutput, options: RunOptions): Promise<string> {
  const { session, labels, file } = workspace
  const width = labels.columns.length + output.columns.length
  const parts: { readonly path: string; readonly columns: readonly { readonly name: string; readonly as: string }[] }[] = []
  const add = async (select: string, names: readonly string[]) => {
    const path = file('part')
    await session.execute(`COPY (${select}) TO ${quoteText(path)} (${parquetOptions(width)})`, options)
    parts.push({ path, columns: names.map((as, i) => ({ name: `c${i}`, as })) })
  }
  // Files of others may hold columns in pieces so large that those of thousands do not fit into memory together.
  for (const names of inGroups(labels.columns.map(({ name }) => name))) {
    const select = names.map((name, i) => `${quoteName(name)} AS c${i}`)
    await add(`SELECT ${select.join(', ')} FROM read_parquet(${quoteText(labels.file)})`, names)
  }
  for (const columns of groupsOf(workspace, output)) {
    const renamed = columns.map((column, i) => ({ ...column, name: `c${i}` }))
    const select = resultSelect(workspace.rows, [], output.features, workspace.held, renamed, workspace.freshUntil)
    await add(
      `SELECT * EXCLUDE (__fabra_ord) FROM (${select})`,
      columns.map(({ name }) => name),
    )
  }
  const select = parts.flatMap(({ columns }, p) => columns.map(({ name, as }) => `p${p}.${name} AS ${quoteName(as)}`))
  const from = parts.map(({ path }, p) => `read_parquet(${quoteText(path)}) AS p${p}`)
  return `SELECT ${select.join(', ')} FROM ${from.join(' POSITIONAL JOIN ')}`
}

/** Columns in their order, few enough of them and from few enough places. */
function groupsOf({ held, freshUntil }: WideDesk, { features, columns }: WideOutput): OutputColumn[][] {
  const found: OutputColumn[][] = []
  let group: OutputColumn[] = []
  let access = new Set<string>()
  for (const column of columns) {
    const feature = features[column.feature]
    const from = feature ? [held(feature.values).from] : []
    const until = feature && column.content === 'status' ? freshUntil.get(feature) : undefined
    if (until !== undefined) from.push(until)
    if (group.length >= COLUMNS_AT_ONCE || (access.size >= PLACES_AT_ONCE && !from.every((table) => access.has(table)))) {
      found.push(group)
      group = []
      access = new Set()
    }
    group.push(column)
    for (const table of from) access.add(table)
  }
  return group.length === 0 ? found : [...found, group]
}

/** Some at a time. */
export function inGroups<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / COLUMNS_AT_ONCE)
  return Array.from({ length: count }, (_, i) => items.slice(i * COLUMNS_AT_ONCE, (i + 1) * COLUMNS_AT_ONCE))
}
