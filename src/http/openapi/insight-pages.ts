/** What /openapi.json says about definitions, lineage and events. */
import type { RouteDocs } from '../route.ts'
import { described, noNumber, noPlace, noText, noTime, orNull, text, time, whole } from './insight-parts.ts'
import { failures, type Json, list, nullable, object, ok, query, ref } from './schema.ts'

const written = object({ file: text, language: { type: 'string', enum: ['typescript', 'python', 'sql'] }, line: whole, lines: list(text) })

export const insightPageSchemas: Json = {
  Definition: object({
    feature: text,
    version: text,
    version_number: nullable('integer'),
    kind: { type: 'string', enum: ['sql', 'function', 'pushed'] },
    options: { type: 'object' },
    recorded: { type: 'string', description: 'What is recorded of it, and why.' },
    sql: orNull(object({ duckdb: text, postgres: text }), 'Null of what is no SQL, and to who lacks the scope `admin`.'),
    text: orNull(written, 'As written; null to who lacks the scope `admin`.'),
    fault: orNull(object({ file: text, line: whole, code: noText, message: text }), 'The line at fault, where its last run failed.'),
    versions: described(
      list(object({ number: nullable('integer'), version: text, since: time, text: orNull(written) })),
      'Newest first, the one that is served among them.',
    ),
  }),
  LineageNode: {
    ...object(
      {
        id: text,
        kind: { type: 'string', enum: ['source', 'feature', 'set', 'key'] },
        name: text,
        rows: nullable('integer'),
        newest_row_at: noTime,
        loaded_at: noTime,
        entity: text,
        computation: { type: 'string', enum: ['sql', 'function', 'pushed'] },
        columns: list(text),
        features: list(text),
        state: ref('State'),
        reads_per_second: noNumber,
        place: noPlace,
      },
      ['rows', 'newest_row_at', 'loaded_at', 'entity', 'computation', 'columns', 'features', 'state', 'reads_per_second', 'place'],
    ),
    description: 'A source, a feature, a feature set, or (to the scope `admin`) an API key that reads.',
  },
}

export const definitionDoc: RouteDocs = {
  operationId: 'getDefinition',
  summary: 'A feature as it was written, with its earlier versions. Texts need the scope `admin`; without it they are null.',
  responses: { 200: ok('The definition.', ref('Definition')), ...failures(['404', 'No such feature.'], ['422', 'A parameter is wrong.']) },
}

export const lineageDoc: RouteDocs = {
  operationId: 'getLineage',
  summary: 'From sources through features to feature sets, and to the API keys that read them.',
  parameters: [query('feature', 'Only what leads to this feature, and what follows from it.')],
  responses: {
    200: ok(
      'Nodes and edges.',
      object({
        now: time,
        nodes: list(ref('LineageNode')),
        edges: list(object({ from: text, to: text, reads_per_second: noNumber })),
        coverage: ref('Coverage'),
      }),
    ),
    ...failures(['404', 'No such feature.'], ['422', 'A parameter is wrong.']),
  },
}

export const eventsDoc: RouteDocs = {
  operationId: 'watchEvents',
  summary: 'Requests (sampled), runs and changes of state as they happen: server-sent events, which go on behind Last-Event-ID.',
  parameters: [
    query('kinds', '`requests`, `runs`, `states`; several with commas between. Default: all.'),
    query('feature', 'Only what concerns this feature or feature set.'),
    query('slower_than_ms', 'Only requests that took longer.'),
    query('not_fresh', '`true`: only requests with a value that was not fresh.'),
    query('failed', '`true`: only requests that failed, or of which a value did.'),
  ],
  responses: {
    200: { description: 'Events, until the client goes.', content: { 'text/event-stream': {} } },
    ...failures(['404', 'No such feature.'], ['422', 'A parameter is wrong.'], ['503', 'Too many clients watch.']),
  },
}
