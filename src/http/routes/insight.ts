/** What the server tells of itself: who asks, the whole at a glance, and what changed. */

import { SCOPES } from '../../auth/scopes.ts'
import { formatTime, parseTime } from '../../definition/time.ts'
import { queryOf } from '../address.ts'
import { coverageOf } from '../insight/figures-json.ts'
import { overviewOf } from '../insight/overview.ts'
import { jsonResponse } from '../json-response.ts'
import { changesDoc, meDoc, overviewDoc } from '../openapi/insight.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters, limitOf } from '../query.ts'
import type { Call, Route } from '../route.ts'
import type { Changes, Me } from '../wire.ts'

const DEFAULT_CHANGES = 100
const MAX_CHANGES = 1_000

export function insightRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/me',
      scope: 'read',
      confinable: true,
      docs: meDoc,
      answer: (call) => jsonResponse(me(options, call)),
    },
    { method: 'GET', path: '/v1/overview', scope: 'read', docs: overviewDoc, answer: (call) => overview(options, call) },
    { method: 'GET', path: '/v1/changes', scope: 'read', docs: changesDoc, answer: (call) => changes(options, call) },
  ]
}

function me({ insight, version, clock }: HttpOptions, { holder }: Call): Me {
  const { facts, statistics } = insight
  return {
    key: holder && { name: holder.name, scopes: [...holder.scopes], sees: holder.allowed },
    scopes: [...(holder?.scopes ?? SCOPES)],
    mode: facts.mode,
    project: facts.project,
    version,
    statistics: statistics !== null,
    started_at: formatTime(facts.startedAt),
    now: formatTime(clock.now()),
    coverage: coverageOf(insight),
  }
}

async function overview({ serving, insight, clock }: HttpOptions, call: Call): Promise<Response> {
  knownParameters(queryOf(call.request), [])
  await insight.freshen()
  return jsonResponse(await overviewOf({ serving, insight, clock, tellsNames: call.may('admin'), tellsText: call.tellsText }))
}

async function changes({ insight }: HttpOptions, call: Call): Promise<Response> {
  const query = knownParameters(queryOf(call.request), ['since', 'limit'])
  const since = query.get('since')
  const limit = limitOf(query, DEFAULT_CHANGES, MAX_CHANGES)
  await insight.freshen()
  const found = await insight.changes.list({ since: since === null ? null : parseTime(since), limit })
  const shown = call.may('admin') ? [...found] : found.map((change) => (change.kind === 'key' ? { ...change, subject: null } : change))
  return jsonResponse({ changes: shown, known_since: formatTime(insight.changes.knownSince) } satisfies Changes)
}
