/** GET /v1/features/:name/definition: what is served as it was written, and what it was before. */
import { formatDuration } from '../../definition/duration.ts'
import { recordedWords } from '../../definition/history-sample.ts'
import type { Feature } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import { queryOf } from '../address.ts'
import { type Insight, placeOf } from '../insight/insight.ts'
import { jsonResponse } from '../json-response.ts'
import { definitionDoc } from '../openapi/insight-pages.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters } from '../query.ts'
import type { Call, Route } from '../route.ts'
import { refreshText } from '../value-json.ts'
import type { Definition, DefinitionText } from '../wire.ts'
import { wholeFeature } from './statistics.ts'

export function definitionRoutes(options: HttpOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/features/:name/definition',
      scope: 'read',
      docs: definitionDoc,
      answer: (call) => definition(options, call),
    },
  ]
}

async function definition(options: HttpOptions, call: Call): Promise<Response> {
  const { insight } = options
  knownParameters(queryOf(call.request), [])
  const feature = wholeFeature(options, call.param('name'))
  await insight.freshen()
  const tellsText = call.may('admin')
  const versions = insight.changes.versionsOf(feature.name)
  const current = versions.find(({ fingerprint }) => fingerprint === feature.fingerprint)
  const text = current?.text ?? null
  const answer: Definition = {
    feature: feature.name,
    version: feature.fingerprint,
    version_number: current?.number ?? null,
    kind: feature.computation.kind,
    options: optionsOf(feature),
    recorded: recordedWords(feature, 'named'),
    sql: tellsText ? sqlOf(feature) : null,
    text: tellsText ? text : null,
    fault: faultOf(insight, feature, text, tellsText),
    versions: versions.map(({ number, fingerprint, since, text: was }) => ({
      number,
      version: fingerprint,
      since: formatTime(since),
      text: tellsText ? was : null,
    })),
  }
  return jsonResponse(answer)
}

/** As they are asked for; what was left out is not there. */
function optionsOf(feature: Feature): Record<string, unknown> {
  const duration = (micros: number | null) => (micros === null ? undefined : formatDuration(micros))
  const filled = <T extends object>(value: T) => (Object.keys(value).length === 0 ? undefined : value)
  const columns = feature.columns.map(({ name, type }) => [name, type] as const)
  const [only] = feature.columns
  const given: Record<string, unknown> = {
    entity: feature.entity,
    refresh: refreshText(feature) ?? undefined,
    type: only?.name === null ? (only.type ?? undefined) : undefined,
    columns: only?.name === null ? undefined : Object.fromEntries(columns),
    max_staleness: duration(feature.maxStaleness),
    look_back: duration(feature.lookBack),
    timeout: duration(feature.timeout),
    keep_warm: duration(feature.keepWarm),
    keep: duration(feature.keep),
    history: feature.history,
    inputs: filled(feature.inputs),
    default: feature.defaults?.map((text): unknown => JSON.parse(text)),
    uses: filled(feature.uses),
    replay: feature.replay ? true : undefined,
    same_as: feature.sameAs ?? undefined,
    version: feature.version ?? undefined,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

function sqlOf({ computation }: Feature): Definition['sql'] {
  if (computation.kind !== 'sql') return null
  const { sql } = computation
  return typeof sql === 'string' ? { duckdb: sql, postgres: sql } : { duckdb: sql.duckdb, postgres: sql.postgres }
}

/** @param tellsText What the engine said may hold data of the user's. */
function faultOf(insight: Insight, feature: Feature, text: DefinitionText | null, tellsText: boolean): Definition['fault'] {
  const { last, failures } = insight.runs.of(feature.name)
  const place = placeOf(insight.facts, last?.fault?.place ?? feature.location)
  if (failures === 0 || !last || !place) return null
  const detail = last.fault?.detail ?? null
  const isOwnLine = last.fault?.place === feature.location || last.fault?.place === undefined
  const line = (isOwnLine && text && detail !== null ? lineNaming(text, detail) : null) ?? place.line
  const message = (tellsText ? detail : null) ?? last.error ?? 'The log has the reason.'
  return { file: place.file, line, code: last.fault?.code ?? null, message }
}

/** Engines tell what they do not know in quotes: the first line of the definition that has it. */
function lineNaming({ lines, line }: DefinitionText, detail: string): number | null {
  for (const [, name = ''] of detail.matchAll(/["'`]([\w.]{2,60})["'`]/g)) {
    const at = lines.findIndex((one) => new RegExp(`\\b${name.replaceAll('.', '\\.')}\\b`).test(one))
    if (at >= 0) return line + at
  }
  return null
}
