/** Many features of many rows, as the answer says them: as JSON, with types and times where they are asked for, or as an Arrow table. */
import { declaredType } from '../definition/declared-type.ts'
import type { DeclaredType, FeatureRef } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { Plan, PlanRow } from '../serving/plan.ts'
import type { RowResult } from '../serving/row-result.ts'
import { rowEntityJson } from '../serving/serving.ts'
import type { TableWriter, ValueColumn } from '../store/ports/value-table.ts'
import { errorJson, JSON_HEADERS } from './error-response.ts'

export const ARROW_STREAM = 'application/vnd.apache.arrow.stream'

export interface Batch {
  readonly plan: Plan
  readonly rows: readonly PlanRow[]
  readonly results: readonly RowResult[]
}

/** @param isDetailed Whether types of the features and times of the values are told. */
export function jsonAnswer({ plan, rows, results }: Batch, isDetailed: boolean): Response {
  const howJson = createHowJson(plan)
  const parts = results.map((result, r) => {
    const row = rows[r]
    const times = isDetailed ? `,"event_timestamps":[${result.sources.map(timeJson).join(',')}]` : ''
    return `{"entity":${row ? rowEntityJson(plan, row) : '{}'},"values":[${result.valuesJson ?? result.values.join(',')}],${howJson(result)}${times}}`
  })
  const errors = errorsOf(plan, results)
  const explained = errors.length === 0 ? '' : `,"errors":${JSON.stringify(errors)}`
  const types = isDetailed ? `,"types":${JSON.stringify(plan.refs.map(typeOf))}` : ''
  return new Response(`{"features":${plan.namesJson}${types},"results":[${parts.join(',')}]${explained}}\n`, { headers: JSON_HEADERS })
}

/** Key columns, the features by their names, then of each feature how it was served. */
export async function arrowAnswer({ plan, rows, results }: Batch, write: TableWriter): Promise<Response> {
  const values = plan.refs.map(({ name }, i) => ({
    name,
    type: typeOf(plan.refs[i]),
    texts: results.map((result) => result.values[i] ?? 'null'),
  }))
  const types = Object.fromEntries(values.map(({ name, type }) => [name, type]))
  const errors = errorsOf(plan, results)
  const metadata = { features: plan.refs.map(({ name }) => name), types, ...(errors.length === 0 ? {} : { errors }) }
  const bytes = await write({
    rowCount: results.length,
    columns: [...keyColumns(plan, rows), ...values, ...plan.refs.flatMap((ref, i) => howColumns(ref, i, results))],
    metadata: { fabra: JSON.stringify(metadata) },
  })
  return new Response(bytes, { headers: { 'content-type': ARROW_STREAM } })
}

function keyColumns(plan: Plan, rows: readonly PlanRow[]): ValueColumn[] {
  const columns = new Map<string, ValueColumn>()
  plan.groups.forEach(({ entity }, g) => {
    entity.key.forEach(({ name, type }, c) => {
      const own = rows.map((row) => row.keys[g]?.values[c] ?? '')
      const texts = type === 'int' ? own : own.map((text) => JSON.stringify(text))
      columns.set(name, { name, type: type === 'int' ? 'int' : 'string', texts })
    })
  })
  return [...columns.values()]
}

function howColumns({ name }: FeatureRef, i: number, results: readonly RowResult[]): ValueColumn[] {
  return [
    { name: `${name}__status`, type: 'string', texts: results.map(({ statuses }) => JSON.stringify(statuses?.[i] ?? 'fresh')) },
    {
      name: `${name}__served_from`,
      type: 'string',
      texts: results.map(({ servedFrom }) => JSON.stringify(servedFrom ? servedFrom[i] : 'online')),
    },
    { name: `${name}__freshness_ms`, type: 'int', texts: results.map(({ freshnessMs }) => String(freshnessMs[i] ?? null)) },
    { name: `${name}__event_timestamp`, type: 'timestamp', texts: results.map(({ sources }) => timeJson(sources[i])) },
  ]
}

function typeOf(ref: FeatureRef | undefined): DeclaredType {
  const column = ref?.feature.columns[ref.column]
  return (column && declaredType(column)) ?? 'json'
}

function timeJson(source: RowResult['sources'][number] | undefined): string {
  const eventAt = source?.eventAt ?? null
  return eventAt === null ? 'null' : `"${formatTime(eventAt)}"`
}

function errorsOf(plan: Plan, results: readonly RowResult[]): object[] {
  const errors: object[] = []
  for (let row = 0; row < results.length; row++)
    results[row]?.errors?.forEach((error, i) => {
      if (error) errors.push({ row, feature: plan.refs[i]?.name, ...errorJson(error) })
    })
  return errors
}

/** How the values of a row are told to be served. The words need no escaping; ages that rows share are written once. */
function createHowJson({ freshJson }: Plan): (result: RowResult) => string {
  let shared: RowResult['freshnessMs'] | undefined
  let sharedJson = ''
  return ({ statuses, servedFrom, freshnessMs }) => {
    if (statuses && servedFrom)
      return `"statuses":${JSON.stringify(statuses)},"served_from":${JSON.stringify(servedFrom)},"freshness_ms":${JSON.stringify(freshnessMs)}`
    if (freshnessMs !== shared) {
      shared = freshnessMs
      sharedJson = `${freshJson},"freshness_ms":[${freshnessMs.join(',')}]`
    }
    return sharedJson
  }
}
