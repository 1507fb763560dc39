import { join, resolve } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { RunningFabra } from '../support/binary.ts'

export const EXAMPLES = resolve(import.meta.dir, '../../examples')

/** A hook's own limit is five seconds; loading three million flights, or building the executable first, takes longer. */
export const START_LIMIT_MS = 180_000

/** Plain SQL over the examples' files: shares nothing with Fabra but the engine. */
export interface Oracle {
  /** @param sql with `$asOf` and `$key`; both are put in as literals. */
  rows(sql: string, given: { asOf: string; key: string }): Promise<Record<string, unknown>[]>
  /** The only column of the only row. */
  one(sql: string, given: { asOf: string; key: string }): Promise<unknown>
}

export async function createOracle(tables: Readonly<Record<string, string>>): Promise<Oracle> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  await connection.run("SET TimeZone = 'UTC'")
  for (const [name, file] of Object.entries(tables)) await connection.run(`CREATE TABLE ${name} AS FROM '${join(EXAMPLES, file)}'`)
  const rows: Oracle['rows'] = async (sql, { asOf, key }) => {
    const text = sql.replaceAll('$asOf', `TIMESTAMPTZ '${asOf}'`).replaceAll('$key', `'${key}'`)
    return (await connection.runAndReadAll(text)).getRowObjectsJson()
  }
  return { rows, one: async (sql, given) => Object.values((await rows(sql, given))[0] ?? {})[0] }
}

export interface Answer {
  readonly value: unknown
  readonly status: string
  readonly served_from: string
  readonly freshness_ms: number
  readonly event_timestamp: string
}

/** `get(fabra, 'spend', 'u1', { amount: '3' })` */
export async function get(fabra: RunningFabra, feature: string, key: string, inputs: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${fabra.url}/v1/features/${feature}?${new URLSearchParams({ entity_id: key, ...inputs })}`)
  if (!response.ok) throw new Error(`${feature} of ${key}: ${response.status} ${await response.text()}`)
  return (await response.json()) as Answer
}
