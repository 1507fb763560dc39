/** What one transaction does with the rows of some requests. */
import type { Source } from '../../../definition/model.ts'
import { SqlError, type SqlValue } from '../../ports/source-engine.ts'
import type { AppendOutcome, AppendRequest } from '../../ports/source-rows.ts'
import type { Statements } from '../connection/postgres.ts'
import {
  ADD_ARRIVALS,
  FIND_KEYS,
  findIds,
  HOLD_SOURCE,
  insertDefaults,
  insertRows,
  KEEP_ROWS,
  REMEMBER_KEYS,
  valueText,
} from './source-rows-sql.ts'
import { type AppendColumn, type AppendTable, findAppendTable } from './source-rows-table.ts'

const STATEMENT_ROWS = 5_000

/** @returns what is to be said of those requests whose key was seen before, in these requests or earlier. */
export async function seenBefore(statements: Statements, requests: readonly AppendRequest[]): Promise<Map<AppendRequest, AppendOutcome>> {
  const outcomes = new Map<AppendRequest, AppendOutcome>()
  const firsts = new Map<string, AppendRequest>()
  const nameOf = (source: string, key: string) => JSON.stringify([source, key])
  for (const request of requests) {
    if (request.idempotency === null) continue
    const name = nameOf(request.source.name, request.idempotency.key)
    const first = firsts.get(name)
    if (first) outcomes.set(request, repeated(request, first.idempotency?.contentHash))
    else firsts.set(name, request)
  }
  if (firsts.size === 0) return outcomes
  const list = [...firsts.values()]
  const sources = list.map(({ source }) => source.name)
  const keys = list.map(({ idempotency }) => idempotency?.key ?? '')
  const hashes = list.map(({ idempotency }) => idempotency?.contentHash ?? '')
  const { rows } = await statements.run(REMEMBER_KEYS, [sources, keys, hashes, list.map(({ arrivedAt }) => arrivedAt)])
  const fresh = new Set(rows.map(([source, key]) => nameOf(String(source), String(key))))
  if (fresh.size === list.length) return outcomes
  const known = await statements.run(FIND_KEYS, [sources, keys])
  for (const [source, key, hash] of known.rows) {
    const name = nameOf(String(source), String(key))
    const request = firsts.get(name)
    if (request && !fresh.has(name)) outcomes.set(request, repeated(request, String(hash)))
  }
  return outcomes
}

function repeated({ idempotency, rows }: AppendRequest, hash: string | undefined): AppendOutcome {
  return idempotency?.contentHash === hash ? { kind: 'replayed', repeats: rows.map(() => true) } : { kind: 'conflict', repeats: [] }
}

/** Rows of one source. @returns of each request, which of its rows were there already. */
export async function appendGroup(
  statements: Statements,
  group: readonly AppendRequest[],
  { tables, writer }: { readonly tables: WeakMap<Source, AppendTable>; readonly writer: string },
): Promise<[AppendRequest, readonly boolean[]][]> {
  const [first] = group
  if (!first) return []
  const { source } = first
  const table = tables.get(source) ?? (await findAppendTable((text, parameters) => statements.run(text, parameters), source))
  if (!table) throw new SqlError('binding', `There is no table "${source.name}" any more.`, null)
  const ids = group.flatMap((request) => request.ids).filter((id) => id !== null)
  const seen = ids.length === 0 ? new Set<string>() : await knownIds(statements, table, source, ids)
  const kept: (readonly SqlValue[])[] = []
  const texts: string[] = []
  const times: number[] = []
  const repeats = group.map((request): [AppendRequest, readonly boolean[]] => [
    request,
    request.rows.map((row, i) => {
      const id = request.ids[i] ?? null
      if (id !== null && seen.has(id)) return true
      if (id !== null) seen.add(id)
      kept.push(row)
      texts.push(request.texts[i] ?? '')
      times.push(request.arrivedAt)
      return false
    }),
  ])
  const columns = first.columns.map(({ name }) => columnOf(table, name))
  await writeRows(statements, table, columns, kept)
  await statements.run(ADD_ARRIVALS, [writer, source.name, [...new Set(group.flatMap((request) => request.visibleAt))]])
  if (source.file !== null) await statements.run(KEEP_ROWS, [source.name, times, texts])
  return repeats
}

function columnOf(table: AppendTable, name: string): AppendColumn {
  const column = table.columns.find((one) => one.name === name)
  if (!column) throw new SqlError('binding', `The table has no column "${name}" any more.`, null)
  return column
}

/** Ids among those given that the table has already. From here on no other process appends rows with ids to this source. */
async function knownIds(statements: Statements, table: AppendTable, source: Source, ids: readonly string[]): Promise<Set<string>> {
  await statements.run(HOLD_SOURCE, [source.name])
  const column = table.columns.find(({ name }) => name.toLowerCase() === source.id?.toLowerCase())
  if (!column) return new Set()
  const { rows } = await statements.run(findIds(table, column), [[...new Set(ids)]])
  return new Set(rows.map(([id]) => String(id)))
}

/** Rows that say nothing of a column with a default leave it to the table, so rows go in by what they leave out. */
async function writeRows(
  statements: Statements,
  table: AppendTable,
  columns: readonly AppendColumn[],
  rows: readonly (readonly SqlValue[])[],
): Promise<void> {
  const defaulted = (row: readonly SqlValue[]) =>
    columns.flatMap(({ hasDefault }, c) => (hasDefault && (row[c] ?? null) === null ? [c] : []))
  for (const [without, part] of Map.groupBy(rows, (row) => defaulted(row).join(','))) {
    const out = new Set(without.split(','))
    const written = columns.map((column, c) => ({ column, c })).filter(({ c }) => !out.has(String(c)))
    if (written.length === 0) {
      for (const _ of part) await statements.run(insertDefaults(table))
      continue
    }
    const text = insertRows(
      table,
      written.map(({ column }) => column),
    )
    for (let from = 0; from < part.length; from += STATEMENT_ROWS) {
      const piece = part.slice(from, from + STATEMENT_ROWS)
      await statements.run(
        text,
        written.map(({ c }) => piece.map((row) => valueText(row[c]))),
      )
    }
  }
}
