/** Requests that write or administer are told of: who asked, for what, what came of it. */
import { FabraError } from '../errors.ts'
import { requestIdFor } from './error-response.ts'
import type { HttpOptions } from './options.ts'
import type { Audited, Call, Route } from './route.ts'
import type { AuditActor } from './wire.ts'

/** The same route, told of. What it did is in its call. */
export function auditedRoute(route: Route, { audit, serving }: Pick<HttpOptions, 'audit' | 'serving'>): Route {
  const { audited } = route
  if (!audit || !audited) return route
  const { action, subject } = audited
  const tell = (call: Call, result: string, requestId: string) => {
    const known = subject === null ? null : knownName(serving, subject, call.param(subject.parameter))
    return audit.note({
      action,
      subject: known,
      by: actorOf(call),
      rows: call.written?.rows ?? null,
      result,
      requestId,
      detail: call.written?.detail ?? {},
    })
  }
  return {
    ...route,
    async answer(call) {
      const requestId = requestIdFor(call.request)
      try {
        const response = await route.answer(call)
        await tell(call, 'ok', requestId)
        response.headers.set('x-request-id', requestId)
        return response
      } catch (error) {
        await tell(call, error instanceof FabraError ? error.code : 'internal', requestId)
        throw error
      }
    },
  }
}

function knownName(serving: HttpOptions['serving'], subject: NonNullable<Audited['subject']>, name: string): string | null {
  if (subject.of === 'features') return featureOf(serving, name)
  return serving().registry[subject.of].has(name) ? name : null
}

/** `spend.total` is a column of spend. */
function featureOf(serving: HttpOptions['serving'], name: string): string | null {
  const { features } = serving().registry
  if (features.has(name)) return name
  const [feature = ''] = name.split('.')
  return features.has(feature) ? feature : null
}

function actorOf({ holder }: Call): AuditActor {
  return holder === null ? { kind: 'anyone', name: null, id: null } : { kind: 'key', name: holder.name, id: holder.id }
}
