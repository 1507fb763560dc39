import type { Micros } from '../clock.ts'
import { entityKey } from '../definition/entity-key.ts'
import type { Entity, Feature } from '../definition/model.ts'
import { SqlTimestamp } from '../store/ports/source-engine.ts'
import type { FeatureStore } from './feature-store.ts'

const LATEST_ROWS = 1_000
/** So many keys are looked at until one can be asked for. */
const CANDIDATES = 50
const LONGEST_MS = 2_000

/** The key that occurs most among the latest visible rows of a source that has its columns: an answer worth looking at. */
export async function sampleKey(featureStore: FeatureStore, feature: Feature, now: Micros): Promise<readonly string[] | undefined> {
  const { registry } = featureStore.serving()
  const entity = registry.entities.get(feature.entity)
  const columns = entity?.key.map((column) => quote(column.name)) ?? []
  const tables = await featureStore.sourceEngine.tables()
  for (const source of registry.sources.values()) {
    const table = tables.find((known) => known.name === source.name || `${known.schema}.${known.name}` === source.name)
    if (!table || !entity?.key.every((key) => table.columns.some((column) => column.name === key.name))) continue
    const keys = columns.map((column) => `CAST(${column} AS VARCHAR)`).join(', ')
    const known = columns.map((column) => `${column} IS NOT NULL`)
    const rows = [...(source.timestamp === null ? [] : [`${quote(source.timestamp)} < $1`]), ...known].join(' AND ')
    const latest = source.timestamp === null ? '' : `ORDER BY ${quote(source.timestamp)} DESC`
    const text = `SELECT ${keys} FROM (SELECT ${columns.join(', ')} FROM ${quote(table.schema)}.${quote(table.name)} WHERE ${rows} ${latest} LIMIT ${LATEST_ROWS}) AS latest GROUP BY ${columns.join(', ')} ORDER BY COUNT(*) DESC, 1 LIMIT ${CANDIDATES}`
    const parameters = source.timestamp === null ? [] : [new SqlTimestamp(now)]
    try {
      const result = await featureStore.sourceEngine.query(text, parameters, {
        signal: AbortSignal.timeout(LONGEST_MS),
        timeoutMs: LONGEST_MS,
      })
      const key = result.rows.map((row) => row.map(String)).find((values) => entity && isKey(entity, values))
      if (key) return key
    } catch {
      // An example is a kindness; serving does not depend on it.
    }
  }
  return undefined
}

/** Tables hold what can be no key, too: texts that are none of its type, or too long. */
function isKey(entity: Entity, values: readonly string[]): boolean {
  try {
    return entityKey(entity, values).encoded !== ''
  } catch {
    return false
  }
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
