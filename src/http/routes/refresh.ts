import type { Server } from 'bun'
import { entityKeyFromRow } from '../../definition/entity-key.ts'
import type { Entity } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError, suggest } from '../../errors.ts'
import type { Run } from '../../refresh/runs.ts'
import { queryOf } from '../address.ts'
import { isObject, readBody } from '../body.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { refreshDoc, runsDoc } from '../openapi/refresh.ts'
import type { HttpOptions } from '../options.ts'
import { parameters } from '../query.ts'
import type { Route } from '../route.ts'

const DEFAULT_RUNS = 50
const MAX_RUNS = 1_000

export function refreshRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/features/:name/refresh',
      scope: 'write',
      docs: refreshDoc,
      answer: (call) => refresh(options, call.param('name'), call.request, call.server),
    },
    {
      method: 'GET',
      path: '/v1/runs',
      scope: 'read',
      docs: runsDoc,
      answer: ({ request }) => listRuns(options, parameters(queryOf(request))),
    },
  ]
}

/** Answers when the run has ended. */
async function refresh(options: HttpOptions, name: string, request: Request, server: Server<unknown> | null): Promise<Response> {
  // A run of many keys says nothing for minutes; the connection is not idle for that.
  server?.timeout(request, 0)
  const serving = options.serving()
  const [ref] = serving.planOne(name).refs
  const feature = ref?.feature
  const entity = feature && serving.registry.entities.get(feature.entity)
  if (!feature || !entity) throw new FabraError('unknown_feature', `No feature "${name}".`)
  const body = request.headers.get('content-length') === '0' || !request.body ? {} : await readBody(request, ['rows'])
  const keys = body['rows'] === undefined ? null : rowKeys(entity, body['rows'])
  const run = await options.refresh(feature, keys)
  return new Response(`${JSON.stringify(runJson(run))}\n`, { headers: JSON_HEADERS })
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

async function listRuns(options: HttpOptions, query: URLSearchParams): Promise<Response> {
  for (const name of query.keys()) {
    if (name !== 'feature' && name !== 'limit')
      throw new FabraError('invalid_input', `Unknown query parameter "${name}".`, { hint: suggest(name, ['feature', 'limit']) })
  }
  const feature = query.get('feature') ?? undefined
  if (feature !== undefined) options.serving().planOne(feature)
  const limit = Number(query.get('limit') ?? DEFAULT_RUNS)
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_RUNS)
    throw new FabraError('invalid_input', 'limit is out of range.', { hint: `Write a whole number from 1 to ${MAX_RUNS}.` })
  const runs = await options.runs.list({ limit, ...(feature === undefined ? {} : { feature }) })
  return new Response(`${JSON.stringify({ runs: runs.map(runJson) })}\n`, { headers: JSON_HEADERS })
}

function runJson(run: Run): object {
  return {
    id: run.id,
    feature: run.feature,
    reason: run.reason,
    started_at: formatTime(run.startedAt),
    finished_at: run.finishedAt === null ? null : formatTime(run.finishedAt),
    duration_ms: run.finishedAt === null ? null : Math.round((run.finishedAt - run.startedAt) / 1000),
    keys: run.keys,
    changed: run.changed,
    failed: run.failed,
    skipped: run.skipped,
    error: run.error,
  }
}
