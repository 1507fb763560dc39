import type { RouteDocs } from '../route.ts'
import type { AuditAction } from '../wire.ts'
import { described, noText, text, time, whole } from './insight-parts.ts'
import { failures, type Json, list, nullable, object, ok, query, ref } from './schema.ts'

export const AUDIT_ACTIONS: readonly AuditAction[] = [
  'values.push',
  'rows.append',
  'entity.forget',
  'feature.refresh',
  'definition.change',
  'definitions.reload',
  'server.start',
  'key.create',
  'key.rotate',
  'key.revoke',
  'schema.migrate',
  'data.backup',
  'history.export',
  'rows.export',
]

export const auditSchemas: Json = {
  AuditEntry: object({
    at: time,
    action: { type: 'string', enum: AUDIT_ACTIONS },
    subject: described(noText, 'The feature, source, entity or API key; null: it has none, or there is no such thing.'),
    by: object({ kind: { type: 'string', enum: ['key', 'user', 'anyone', 'server'] }, name: noText, id: noText }),
    rows: described(nullable('integer'), 'Pushed, appended, forgotten, computed again; null: nothing is counted.'),
    requests: described(whole, 'More than one where the same was done too often to tell each.'),
    result: described(text, '`ok`, or the code of the error.'),
    request_id: noText,
    detail: { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean', 'null'] } },
  }),
}

export const auditDoc: RouteDocs = {
  operationId: 'listAudit',
  summary: 'Who wrote or administered what, newest first. Values are never told; of what was forgotten, the SHA-256 of its key.',
  parameters: [
    query('action', `One of ${AUDIT_ACTIONS.join(', ')}.`),
    query('subject', 'Only of this feature, source, entity or API key.'),
    query('since', 'Only what happened since this time.'),
    query('limit', 'At most this many, 100 by default.'),
    query('before', 'What the page before told as `next`.'),
  ],
  responses: {
    200: ok(
      'Entries.',
      object({
        entries: list(ref('AuditEntry')),
        next: described(noText, '`before` of the next page; null: this is the last.'),
        kept_days: whole,
      }),
    ),
    ...failures(['422', 'A parameter is wrong.'], ['503', 'The store cannot be read.']),
  },
}
