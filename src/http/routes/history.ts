import type { Micros } from '../../clock.ts'
import { keyColumnsJson } from '../../definition/entity-key.ts'
import { recordedWords, tellsAll } from '../../definition/history-sample.ts'
import { formatTime, parseTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'
import type { HistoryRow } from '../../store/ports/offline-store.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { historyDoc } from '../openapi/history.ts'
import type { HttpOptions } from '../options.ts'
import { keyFromQuery } from '../query.ts'
import type { Route } from '../route.ts'

const DEFAULT_ROWS = 100
const MAX_ROWS = 10_000

export function historyRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/features/:name/history',
      scope: 'read',
      confinable: true,
      docs: historyDoc,
      answer: (call) => history(options, call.param('name'), call.request),
    },
  ]
}

/** Recorded values of one key, newest first. */
async function history(options: HttpOptions, name: string, request: Request): Promise<Response> {
  const plan = options.serving().planOne(name)
  const feature = plan.refs[0]?.feature
  const entity = plan.groups[0]?.entity
  if (!feature || !entity) throw new FabraError('unknown_feature', `No feature "${name}".`)
  if (name !== feature.name) {
    throw new FabraError('unknown_feature', `History is kept for "${feature.name}" as a whole, not for its columns.`, {
      hint: `Ask for /v1/features/${feature.name}/history.`,
    })
  }
  const { key, rest } = keyFromQuery(plan, request, ['from', 'to', 'limit'])
  const limit = Number(rest['limit'] ?? DEFAULT_ROWS)
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_ROWS)
    throw new FabraError('invalid_input', 'limit is out of range.', { hint: `Write a whole number from 1 to ${MAX_ROWS}.` })
  const rows = await options.history({
    feature: feature.name,
    fingerprint: feature.fingerprint,
    entityKey: key.encoded,
    from: timeOf(rest['from']),
    to: timeOf(rest['to']),
    limit,
  })
  const keptSince = (await options.keptSince([feature.name])).get(feature.name)
  const since = keptSince === undefined ? 'null' : `"${formatTime(keptSince)}"`
  const about = `"kept_since":${since},"key_is_recorded":${tellsAll(feature, key.encoded)},"recorded":${JSON.stringify(recordedWords(feature))}`
  const body = `{"feature":${JSON.stringify(name)},"entity":${keyColumnsJson(entity, key)},"history":[${rows.map(rowJson).join(',')}],${about}}`
  return new Response(`${body}\n`, { headers: JSON_HEADERS })
}

function timeOf(text: string | undefined): Micros | null {
  return text === undefined ? null : parseTime(text)
}

/** A tombstone has no value: it says that from then on nothing was known. */
function rowJson(row: HistoryRow): string {
  const value = row.value === null ? '"missing":true' : `"value":${row.value}`
  return `{${value},"event_timestamp":"${formatTime(row.eventAt)}","available_at":"${formatTime(row.availableAt)}","created_at":"${formatTime(row.createdAt)}","origin":"${row.origin}"}`
}
