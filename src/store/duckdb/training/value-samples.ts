/** Some values of each column, as JSON: what a finished set is like, compared with what is served later. */
import type { RunOptions } from '../../ports/source-engine.ts'
import type { OutputColumn, OutputFeature, ValuesId } from '../../ports/training-store.ts'
import type { Session } from '../connection/session.ts'
import { byPlace, type Counted } from './column-counts.ts'
import type { HeldValues } from './result.ts'
import { memberText } from './typed-values.ts'
import { inGroups } from './wide.ts'

/** The same rows each time: equal sets have equal samples. */
const SEED = 1

export async function sampleValues(
  session: Session,
  { features, columns, most }: Counted & { readonly most: number },
  held: (values: ValuesId) => HeldValues,
  options: RunOptions,
): Promise<readonly (readonly string[])[]> {
  const found = new Map<OutputColumn, string[]>()
  for (const [from, own] of byPlace(features, columns, held)) {
    for (const some of inGroups(own)) {
      const select = some.map(({ column, given }) => jsonOf(column, given, held(given.values)))
      const { rows } = await session.read(
        `SELECT ${select.join(', ')} FROM ${from} AS t USING SAMPLE reservoir(${most} ROWS) REPEATABLE (${SEED})`,
        [],
        options,
      )
      for (const [i, { column }] of some.entries()) {
        const texts = rows.map((row) => row[i]).filter((text) => text !== null && text !== undefined)
        found.set(column, texts.map(String))
      }
    }
  }
  return columns.map((column) => found.get(column) ?? [])
}

function jsonOf({ column }: OutputColumn, { feature, firstColumn }: OutputFeature, { kind, f }: HeldValues): string {
  const { name = null, type = null } = feature.columns[column] ?? {}
  if (kind === 'typed') return typedJson(`t.v${firstColumn + column}`, type)
  if (kind === 'decoded') return typedJson(`t.v${f}`, type)
  if (kind === 'texts') return `t.c${column}`
  return name === null ? `t.v${f}` : memberText(`t.v${f}`, column)
}

function typedJson(value: string, type: string | null): string {
  const json = type === 'timestamp' ? `to_json(strftime(${value} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ'))` : `to_json(${value})`
  return `CASE WHEN ${value} IS NULL THEN 'null' ELSE CAST(${json} AS VARCHAR) END`
}
