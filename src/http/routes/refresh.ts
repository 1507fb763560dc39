import { entityKeyFromRow } from '../../definition/entity-key.ts'
import { parseDistinct } from '../../definition/exact-json.ts'
import type { Entity } from '../../definition/model.ts'
import { parseTime } from '../../definition/time.ts'
import { FabraError, suggest } from '../../errors.ts'
import type { Run } from '../../refresh/runs.ts'
import { queryOf } from '../address.ts'
import { isObject, readBody } from '../body.ts'
import { RUN_STATES, runJson, runStateOf } from '../insight/runs-json.ts'
import { jsonResponse } from '../json-response.ts'
import { refreshDoc, runsDoc } from '../openapi/refresh.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters, limitOf } from '../query.ts'
import type { Call, Route } from '../route.ts'

const DEFAULT_RUNS = 50
const MAX_RUNS = 1_000

export function refreshRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/features/:name/refresh',
      scope: 'write',
      confinable: true,
      docs: refreshDoc,
      audited: { action: 'feature.refresh', subject: { parameter: 'name', of: 'features' } },
      answer: (call) => refresh(options, call),
    },
    {
      method: 'GET',
      path: '/v1/runs',
      scope: 'read',
      confinable: true,
      docs: runsDoc,
      answer: (call) => listRuns(options, call),
    },
  ]
}

/** Answers when the run has ended. */
async function refresh(options: HttpOptions, call: Call): Promise<Response> {
  const { request, server } = call
  // A run of many keys says nothing for minutes; the connection is not idle for that.
  server?.timeout(request, 0)
  const serving = options.serving()
  const [ref] = serving.planOne(call.param('name')).refs
  const feature = ref?.feature
  const entity = feature && serving.registry.entities.get(feature.entity)
  if (!feature || !entity) throw new FabraError('unknown_feature', `No feature "${call.param('name')}".`)
  const body = request.headers.get('content-length') === '0' || !request.body ? {} : await readBody(request, ['rows'], parseDistinct)
  const keys = body['rows'] === undefined ? null : rowKeys(entity, body['rows'])
  const run = await options.refresh(feature, keys)
  call.written = { rows: run.keys, detail: { changed: run.changed, failed: run.failed } }
  return jsonResponse(toJson(options, run, call))
}

function rowKeys(entity: Entity, rows: unknown) {
  if (!Array.isArray(rows))
    throw new FabraError('invalid_body', '"rows" is not a list.', {
      hint: 'Write "rows": [{"user_id": "u1"}], or leave it out for all keys in use.',
    })
  const columns = entity.key.map((column) => column.name)
  return rows.map((row: unknown, i) => {
    if (!isObject(row)) throw new FabraError('invalid_body', `Row ${i} is not an object.`, { hint: 'A row names its key columns.' })
    const unknown = Object.keys(row).find((name) => !columns.includes(name))
    if (unknown !== undefined)
      throw new FabraError('invalid_key', `Row ${i}: "${unknown}" is no key column.`, { hint: suggest(unknown, columns) })
    try {
      return entityKeyFromRow(entity, row)
    } catch (error) {
      if (error instanceof FabraError) throw new FabraError(error.code, `Row ${i}: ${error.message}`, { hint: error.hint ?? '' })
      throw error
    }
  })
}

const FILTERS = ['feature', 'state', 'since', 'limit']

async function listRuns(options: HttpOptions, call: Call): Promise<Response> {
  const query = knownParameters(queryOf(call.request), FILTERS)
  const feature = query.get('feature') ?? undefined
  if (feature !== undefined) options.serving().planOne(feature)
  const states = statesOf(query.get('state'))
  const since = query.get('since')
  const from = since === null ? null : parseTime(since)
  const limit = limitOf(query, DEFAULT_RUNS, MAX_RUNS)
  // Some of those that are read may be left out.
  const wanted = states === null ? limit : MAX_RUNS
  const runs = await options.runs.list({ limit: wanted, ...(feature === undefined ? {} : { feature }) })
  const found = runs.filter((run) => (states === null || states.includes(runStateOf(run))) && (from === null || run.startedAt >= from))
  return jsonResponse({ runs: found.slice(0, limit).map((run) => toJson(options, run, call)) })
}

/** @throws FabraError invalid_input */
function statesOf(text: string | null): readonly string[] | null {
  if (text === null) return null
  const states = text.split(',')
  for (const state of states)
    if (!RUN_STATES.some((known) => known === state))
      throw new FabraError('invalid_input', `No run is "${state.slice(0, 40)}".`, { hint: `Write some of ${RUN_STATES.join(', ')}.` })
  return states
}

function toJson(options: HttpOptions, run: Run, call: Call): object {
  return runJson(run, options.serving().registry.features.get(run.feature), options.insight, call.tellsText)
}
