/** The page of one key: a row for each column of each feature. */
import type { EntityPage, FeatureList, HistoryStep, State } from '../../../http/wire.ts'

type Value = EntityPage['features'][number]

export interface KeyRow {
  readonly name: string
  readonly of: Value
  readonly value: unknown
  readonly before: unknown
  readonly history: readonly HistoryStep[]
}

const ORDER: readonly State[] = ['error', 'stale', 'missing', 'default', 'fresh']

export function keyRows(page: EntityPage, features: FeatureList['features']): KeyRow[] {
  const columnsOf = new Map(features.map(({ name, columns }) => [name, columns && Object.keys(columns)]))
  const rows = page.features.flatMap((of): KeyRow[] => {
    const columns = columnsOf.get(of.feature)
    const history = of.history ?? []
    if (!columns) return [{ name: of.feature, of, value: of.value, before: of.before?.value, history }]
    return columns.map((column) => ({
      name: `${of.feature}.${column}`,
      of,
      value: part(of.value, column),
      before: part(of.before?.value, column),
      history: history.map((step) => ('value' in step ? { at: step.at, value: part(step.value, column) } : step)),
    }))
  })
  return rows.toSorted((a, b) => ORDER.indexOf(a.of.status) - ORDER.indexOf(b.of.status))
}

function part(value: unknown, column: string): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value).find(([name]) => name === column)?.[1]
}

/** Address of the API for a key: `-` and the columns in the query where there are several, which the page's own address holds joined by commas. */
export function keyPath(entity: string, columns: readonly string[], id: string, query: Readonly<Record<string, string>>): string {
  const base = `/v1/entities/${encodeURIComponent(entity)}`
  if (columns.length <= 1) {
    const text = new URLSearchParams(query).toString()
    return `${base}/${encodeURIComponent(id)}${text === '' ? '' : `?${text}`}`
  }
  const parts = id.split(',')
  const search = new URLSearchParams({ ...Object.fromEntries(columns.map((column, i) => [column, parts[i] ?? ''])), ...query })
  return `${base}/-?${search}`
}
