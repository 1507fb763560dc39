import type { Micros } from '../clock.ts'
import type { Feature } from '../definition/model.ts'
import { SqlTimestamp } from '../store/ports/source-engine.ts'
import type { FeatureStore } from './feature-store.ts'

const LATEST_ROWS = 1_000
const LONGEST_MS = 2_000

/** The key that occurs most among the latest visible rows of a source that has its columns: an answer worth looking at. */
export async function sampleKey(featureStore: FeatureStore, feature: Feature, now: Micros): Promise<readonly string[] | undefined> {
  const { registry } = featureStore.serving()
  const columns = registry.entities.get(feature.entity)?.key.map((column) => quote(column.name)) ?? []
  const tables = await featureStore.sourceEngine.tables()
  for (const source of registry.sources.values()) {
    const table = tables.find((known) => known.name === source.name || `${known.schema}.${known.name}` === source.name)
    if (!table || !registry.entities.get(feature.entity)?.key.every((key) => table.columns.some((column) => column.name === key.name)))
      continue
    const keys = columns.map((column) => `CAST(${column} AS VARCHAR)`).join(', ')
    const latest = source.timestamp === null ? '' : `WHERE ${quote(source.timestamp)} < $1 ORDER BY ${quote(source.timestamp)} DESC`
    const text = `SELECT ${keys} FROM (SELECT ${columns.join(', ')} FROM ${quote(table.schema)}.${quote(table.name)} ${latest} LIMIT ${LATEST_ROWS}) AS latest GROUP BY ${columns.join(', ')} ORDER BY COUNT(*) DESC, 1 LIMIT 1`
    const parameters = source.timestamp === null ? [] : [new SqlTimestamp(now)]
    try {
      const result = await featureStore.sourceEngine.query(text, parameters, {
        signal: AbortSignal.timeout(LONGEST_MS),
        timeoutMs: LONGEST_MS,
      })
      const [row] = result.rows
      if (row) return row.map(String)
    } catch {
      // An example is a kindness; serving does not depend on it.
    }
  }
  return undefined
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
