import { FabraError } from '../../errors.ts'
import { type Plan, type PlanRow, planRow } from '../../serving/plan.ts'
import type { ReadObserver } from '../../serving/read-observer.ts'
import type { RowResult } from '../../serving/row-result.ts'
import { rowEntityJson, type Serving } from '../../serving/serving.ts'
import { isObject, readBody, textList } from '../body.ts'
import { errorJson, JSON_HEADERS } from '../error-response.ts'
import { createListReader, type ListReader } from '../feature-lists.ts'
import { featuresBatchDoc, featureValueDoc } from '../openapi/reads.ts'
import type { HttpOptions } from '../options.ts'
import { parseMaxAge, rowFromQuery } from '../query.ts'
import type { Call, Route } from '../route.ts'
import { valueFieldsJson } from '../value-json.ts'

const MAX_ROWS = 10_000
const MAX_FEATURES = 1_000
const BODY_FIELDS = ['features', 'feature_set', 'rows', 'max_age']

export function featureRoutes(options: HttpOptions): readonly Route[] {
  const lists = createListReader()
  const { observer } = options.insight
  return [
    {
      method: 'GET',
      path: '/v1/features/:name',
      scope: 'read',
      docs: featureValueDoc,
      isRead: true,
      answer: (call) => getFeature(options.serving(), observer, call),
    },
    {
      method: 'POST',
      path: '/v1/features',
      scope: 'read',
      docs: featuresBatchDoc,
      isRead: true,
      answer: (call) => postFeatures(options.serving(), observer, call, lists),
    },
  ]
}

function getFeature(serving: Serving, observer: ReadObserver | null, call: Call): Response | Promise<Response> {
  const name = call.param('name')
  const plan = serving.planOne(name)
  const { row, maxAge } = rowFromQuery(plan, call.request)
  const rows = [row]
  const weight = observer?.begin() ?? 0
  const results = serving.engine.read(plan, rows, { maxAge })
  if (results instanceof Promise) {
    return results.then((found) => {
      observer?.end(plan, rows, found, call, call.begun, weight, true)
      return oneResponse(name, plan, row, found[0])
    })
  }
  observer?.end(plan, rows, results, call, call.begun, weight, false)
  return oneResponse(name, plan, row, results[0])
}

/** The name needs no escaping: it is one the registry knows. */
function oneResponse(name: string, plan: Plan, row: PlanRow, result: RowResult | undefined): Response {
  if (!result) throw new FabraError('internal', 'The engine gave no result.')
  const error = result.errors?.find((candidate) => candidate !== undefined)
  if (error) throw error
  return new Response(`{"feature":"${name}","entity":${rowEntityJson(plan, row)},${valueFieldsJson(plan, result)}}\n`, {
    headers: JSON_HEADERS,
  })
}

async function postFeatures(serving: Serving, observer: ReadObserver | null, call: Call, lists: ListReader): Promise<Response> {
  const body = await readBody(call.request, BODY_FIELDS, lists.read)
  const plan = planFromBody(serving, body, lists)
  const rows = rowsFromBody(plan, body['rows'])
  const maxAge = body['max_age'] === undefined || body['max_age'] === null ? null : parseMaxAge(body['max_age'])
  const weight = observer?.begin() ?? 0
  const reading = serving.engine.read(plan, rows, { maxAge })
  const waited = reading instanceof Promise
  const results = waited ? await reading : reading
  if (typeof body['feature_set'] === 'string') call.set = body['feature_set']
  observer?.end(plan, rows, results, call, call.begun, weight, waited)
  return new Response(batchJson(plan, rows, results), { headers: JSON_HEADERS })
}

function planFromBody(serving: Serving, body: Readonly<Record<string, unknown>>, lists: ListReader): Plan {
  const byName = body['features'] !== undefined
  if (byName === (body['feature_set'] !== undefined)) {
    throw new FabraError(
      'invalid_body',
      byName ? 'Both "features" and "feature_set" are given.' : 'Neither "features" nor "feature_set" is given.',
      {
        hint: 'Name features in a list, or one feature set.',
      },
    )
  }
  if (!byName) {
    const name = body['feature_set']
    if (typeof name !== 'string')
      throw new FabraError('invalid_body', '"feature_set" is not a name.', { hint: 'Write "feature_set": "fraud_v1".' })
    return serving.planSet(name)
  }
  const given = body['features']
  const isKnown = lists.isKnown(given)
  const names = isKnown ? given : textList(body, 'features')
  if (names.length === 0) throw new FabraError('invalid_body', '"features" is empty.', { hint: 'Name at least one feature.' })
  if (names.length > MAX_FEATURES)
    throw new FabraError('invalid_body', `"features" has ${names.length} names.`, { hint: `At most ${MAX_FEATURES}.` })
  return serving.plan(names, isKnown)
}

function rowsFromBody(plan: Plan, rows: unknown): PlanRow[] {
  if (!Array.isArray(rows))
    throw new FabraError('invalid_body', '"rows" is not a list.', {
      hint: `Write "rows": [{${plan.columns.map((column) => `"${column}": …`).join(', ')}}].`,
    })
  if (rows.length > MAX_ROWS)
    throw new FabraError('invalid_body', `"rows" has ${rows.length} rows.`, { hint: `At most ${MAX_ROWS} in one request.` })
  return rows.map((row: unknown, i) => {
    if (!isObject(row)) throw new FabraError('invalid_body', `Row ${i} is not an object.`, { hint: 'A row names its key columns.' })
    try {
      return planRow(plan, row)
    } catch (error) {
      if (error instanceof FabraError) throw new FabraError(error.code, `Row ${i}: ${error.message}`, { hint: error.hint ?? '' })
      throw error
    }
  })
}

function batchJson(plan: Plan, rows: readonly PlanRow[], results: readonly RowResult[]): string {
  const errors: object[] = []
  const parts = results.map((result, r) => {
    const row = rows[r]
    result.errors?.forEach((error, i) => {
      if (error) errors.push({ row: r, feature: plan.refs[i]?.name, ...errorJson(error) })
    })
    return `{"entity":${row ? rowEntityJson(plan, row) : '{}'},"values":[${result.values.join(',')}],${howAllJson(plan, result)}}`
  })
  const explained = errors.length === 0 ? '' : `,"errors":${JSON.stringify(errors)}`
  return `{"features":${plan.namesJson},"results":[${parts.join(',')}]${explained}}\n`
}

/** The words need no escaping. */
function howAllJson({ freshJson }: Plan, { statuses, servedFrom, freshnessMs }: RowResult): string {
  if (!statuses || !servedFrom) return `${freshJson},"freshness_ms":[${freshnessMs.join(',')}]`
  return `"statuses":${JSON.stringify(statuses)},"served_from":${JSON.stringify(servedFrom)},"freshness_ms":${JSON.stringify(freshnessMs)}`
}
