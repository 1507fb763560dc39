import { FabraError } from '../../errors.ts'
import { type Plan, type PlanRow, planRow } from '../../serving/plan.ts'
import type { ReadObserver } from '../../serving/read-observer.ts'
import type { RowResult } from '../../serving/row-result.ts'
import { rowEntityJson, type Serving } from '../../serving/serving.ts'
import { ARROW_STREAM, arrowAnswer, jsonAnswer } from '../batch-answer.ts'
import { flag, isObject, readBody, textList } from '../body.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { createListReader, type ListReader } from '../feature-lists.ts'
import { featuresBatchDoc, featureValueDoc } from '../openapi/reads.ts'
import type { HttpOptions } from '../options.ts'
import { parseMaxAge, rowFromQuery } from '../query.ts'
import type { Call, Route } from '../route.ts'
import { valueFieldsJson } from '../value-json.ts'

const MAX_ROWS = 10_000
const MAX_FEATURES = 1_000
const BODY_FIELDS = ['features', 'feature_set', 'rows', 'max_age', 'detailed']

export function featureRoutes(options: HttpOptions): readonly Route[] {
  const lists = createListReader()
  const { observer } = options.insight
  return [
    {
      method: 'GET',
      path: '/v1/features/:name',
      scope: 'read',
      confinable: true,
      docs: featureValueDoc,
      isRead: true,
      early: true,
      answer: (call) => getFeature(options.serving(), observer, call),
    },
    {
      method: 'POST',
      path: '/v1/features',
      scope: 'read',
      confinable: true,
      docs: featuresBatchDoc,
      isRead: true,
      early: true,
      answer: (call) => postFeatures(options, observer, call, lists),
    },
  ]
}

function getFeature(serving: Serving, observer: ReadObserver | null, call: Call): Response | Promise<Response> {
  const name = call.param('name')
  const plan = serving.planOne(name)
  const { row, maxAge } = rowFromQuery(plan, call.request)
  const rows = [row]
  const results = serving.engine.read(plan, rows, { maxAge })
  if (results instanceof Promise) {
    return results.then((found) => {
      observer?.end(plan, rows, found, call, call.begun)
      return oneResponse(name, plan, row, found[0])
    })
  }
  observer?.end(plan, rows, results, call, call.begun)
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

async function postFeatures(options: HttpOptions, observer: ReadObserver | null, call: Call, lists: ListReader): Promise<Response> {
  const { request } = call
  const serving = options.serving()
  const body = await readBody(request, BODY_FIELDS, lists.read)
  const plan = planFromBody(serving, body, lists)
  const rows = rowsFromBody(plan, body['rows'])
  const maxAge = body['max_age'] === undefined || body['max_age'] === null ? null : parseMaxAge(body['max_age'])
  const isDetailed = flag(body, 'detailed')
  const reading = serving.engine.read(plan, rows, { maxAge })
  const results = reading instanceof Promise ? await reading : reading
  if (typeof body['feature_set'] === 'string') call.set = body['feature_set']
  observer?.end(plan, rows, results, call, call.begun)
  if (request.headers.get('accept')?.includes(ARROW_STREAM)) return arrowAnswer({ plan, rows, results }, options.writeTable)
  return jsonAnswer({ plan, rows, results }, isDetailed)
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
      return planRow(plan, named(plan, row))
    } catch (error) {
      if (error instanceof FabraError) throw new FabraError(error.code, `Row ${i}: ${error.message}`, { hint: error.hint ?? '' })
      throw error
    }
  })
}

/** A row may call the key of an entity with one key column `entity_id`, as addresses do. */
function named(plan: Plan, row: Record<string, unknown>): Record<string, unknown> {
  if (!Object.hasOwn(row, 'entity_id')) return row
  const [column, ...more] = plan.groups.flatMap(({ entity }) => entity.key)
  if (plan.groups.length > 1 || more.length > 0 || column === undefined) {
    const columns = plan.groups.flatMap(({ entity }) => entity.key.map(({ name }) => name))
    throw new FabraError('invalid_key', '"entity_id" does not tell which key column is meant.', {
      hint: `Name them: ${columns.join(', ')}.`,
    })
  }
  if (Object.hasOwn(row, column.name))
    throw new FabraError('invalid_key', `Both "entity_id" and "${column.name}" are given.`, { hint: 'Give one of them.' })
  const { entity_id: id, ...rest } = row
  return { [column.name]: id, ...rest }
}
