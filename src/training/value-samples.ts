/** What the values of a finished set are like, kept for a while: what is served is compared with it. */
import { measureOf, SAMPLE_SIZE, ValueSample } from '../observability/value-sample.ts'
import type { Summarized } from './summary.ts'

/** Of fewer rows nothing is said. */
const FEWEST_ROWS = 200
/** Wider sets are sampled in part: a column takes 4 KiB. */
const MOST_COLUMNS = 500

export interface ColumnSample {
  /** As features are asked for. */
  readonly column: string
  readonly feature: string
  readonly values: ValueSample
}

export async function sampleColumns({ workspace, features, columns, rows, run }: Summarized): Promise<readonly ColumnSample[]> {
  if (rows < FEWEST_ROWS) return []
  const valueColumns = columns.filter(({ content }) => content === 'value').slice(0, MOST_COLUMNS)
  const texts = await workspace.someValues({ features, columns: valueColumns, most: SAMPLE_SIZE }, run)
  return valueColumns.flatMap((column, i) => {
    const { feature } = features[column.feature] ?? {}
    if (!feature) return []
    const { name = null, type = null } = feature.columns[column.column] ?? {}
    const values = new ValueSample(measureOf(type))
    for (const text of texts[i] ?? []) values.push(text)
    return { column: name === null ? feature.name : `${feature.name}.${name}`, feature: feature.name, values }
  })
}
