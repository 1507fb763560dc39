import { parseTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'
import { AUDIT_KEPT_DAYS } from '../../store/ports/audit-store.ts'
import { queryOf } from '../address.ts'
import type { AuditQuery } from '../audit-book.ts'
import { jsonResponse } from '../json-response.ts'
import { AUDIT_ACTIONS, auditDoc } from '../openapi/audit.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters, limitOf } from '../query.ts'
import type { Call, Route } from '../route.ts'
import type { Audit } from '../wire.ts'

const DEFAULT_ENTRIES = 100
const MOST_ENTRIES = 1_000

export function auditRoutes(options: HttpOptions): readonly Route[] {
  return [{ method: 'GET', path: '/v1/audit', scope: 'admin', docs: auditDoc, answer: (call) => list(options, call) }]
}

async function list({ audit }: HttpOptions, call: Call): Promise<Response> {
  const query = knownParameters(queryOf(call.request), ['action', 'subject', 'since', 'limit', 'before'])
  const since = query.get('since')
  const limit = limitOf(query, DEFAULT_ENTRIES, MOST_ENTRIES)
  const found =
    (await audit?.list({
      action: actionOf(query.get('action')),
      subject: query.get('subject') ?? undefined,
      since: since === null ? undefined : parseTime(since),
      before: placeOf(query.get('before')),
      limit: limit + 1,
    })) ?? []
  const page = found.slice(0, limit)
  const last = page.at(-1)?.place
  return jsonResponse({
    entries: page.map(({ place, ...entry }) => entry),
    next: found.length > limit && last ? Buffer.from(JSON.stringify([last.at, last.id])).toString('base64url') : null,
    kept_days: AUDIT_KEPT_DAYS,
  } satisfies Audit)
}

/** @throws FabraError invalid_input */
function actionOf(text: string | null): string | undefined {
  if (text === null || AUDIT_ACTIONS.some((action) => action === text)) return text ?? undefined
  throw new FabraError('invalid_input', `Nothing is called "${text.slice(0, 40)}" in the audit log.`, {
    hint: `Write one of ${AUDIT_ACTIONS.join(', ')}.`,
  })
}

/** @throws FabraError invalid_input */
function placeOf(text: string | null): AuditQuery['before'] {
  if (text === null) return undefined
  try {
    const given: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (Array.isArray(given)) {
      const [at, id]: unknown[] = given
      if (typeof at === 'number' && Number.isSafeInteger(at) && typeof id === 'string') return { at, id }
    }
  } catch {
    // Told below.
  }
  throw new FabraError('invalid_input', '"before" is no place in the audit log.', { hint: 'Give it as "next" of the page before told it.' })
}
