import type { DeclaredType, Feature, ValueType } from '../../definition/model.ts'
import { suggest } from '../../errors.ts'
import type { TableColumn } from '../../store/ports/source-engine.ts'
import { castHint, fitsType, inferType } from './result-values.ts'
import type { SqlFault } from './rewrite/forbidden.ts'

/** One column of a feature and where its values are found. */
export interface SqlColumn {
  readonly name: string | null
  readonly type: ValueType
  /** Of a list or dict that says what it holds: the whole type. */
  readonly element?: DeclaredType
  readonly sqlType: string
  /** Place among the columns of the user's statement. */
  readonly index: number
}

/** What a statement gives against what the feature declares: every declared column, nothing else, of fitting types. */
export function matchColumns(feature: Feature, found: readonly TableColumn[]): { columns: readonly SqlColumn[] } | { faults: SqlFault[] } {
  const faults: SqlFault[] = []
  const fail = (message: string, hint: string) => faults.push({ message, hint, at: null })
  const names = found.map((column) => column.name)
  const single = feature.columns.length === 1 && feature.columns[0]?.name === null
  if (single && found.length !== 1) {
    const hint = `Select one column, or declare columns: { ${names.map((name) => `${name}: "${inferType(found.find((c) => c.name === name)?.type ?? '') ?? 'string'}"`).join(', ')} }.`
    fail(`It gives ${found.length} columns (${names.join(', ')}), but the feature has one value.`, hint)
  }
  const columns = feature.columns.map((declared) => {
    const wanted = (name: string) => declared.name === null || name.toLowerCase() === declared.name.toLowerCase()
    const index = found.findIndex((column) => wanted(column.name))
    const column = found[index]
    if (!column) fail(`It gives no column "${declared.name}".`, suggest(declared.name ?? '', names))
    const sqlType = column?.type ?? ''
    const type = declared.type ?? inferType(sqlType)
    if (column && (type === null || !fitsType(type, sqlType))) {
      const subject = declared.name === null ? 'Its value' : `"${declared.name}"`
      fail(
        `${subject} is ${sqlType}${type === null ? ', which JSON has no form for' : `, not ${type}`}.`,
        castHint(type ?? 'string', sqlType),
      )
    }
    if (declared.name !== null && found.filter((other) => wanted(other.name)).length > 1)
      fail(`It gives "${declared.name}" twice.`, 'Give each column its own name with AS.')
    const element = declared.element === undefined ? {} : { element: declared.element }
    return { name: declared.name, type: type ?? 'json', ...element, sqlType, index }
  })
  for (const name of single ? [] : names) {
    const known = feature.columns.some((declared) => declared.name?.toLowerCase() === name.toLowerCase())
    if (!known)
      fail(
        `It gives a column "${name}" that is not declared.`,
        `Add it to columns, or select only ${feature.columns.map((c) => c.name).join(', ')}.`,
      )
  }
  return faults.length > 0 ? { faults } : { columns }
}
