import { FabraError } from '../errors.ts'
import type { Scope } from '../store/admin-store.ts'
import type { Keyring } from './keyring.ts'

const HOW = 'Send the header "Authorization: Bearer fab_…" or "X-API-Key: fab_…". "fabra keys create" makes a key.'

/** Lets a request pass, at once where its key is known. @throws FabraError unauthorized, forbidden */
export function authorise(keyring: Keyring, request: Request): void | Promise<void> {
  const path = pathOf(request.url)
  if (!path.startsWith('/v1')) return
  const key = keyOf(request.headers)
  if (key === null) throw new FabraError('unauthorized', 'The request carries no API key.', { hint: HOW })
  const needed = scopeFor(request.method, path)
  const scopes = keyring.scopesOf(key)
  if (scopes instanceof Promise) return scopes.then((found) => check(found, needed))
  check(scopes, needed)
}

function check(scopes: readonly Scope[] | undefined, needed: Scope): void {
  if (!scopes) throw new FabraError('unauthorized', 'The API key is unknown or revoked.', { hint: HOW })
  if (scopes.includes(needed)) return
  throw new FabraError('forbidden', `The API key may not ${needed === 'read' ? 'read' : needed === 'write' ? 'write' : 'administer'}.`, {
    hint: `It lacks the scope "${needed}". "fabra keys create --scopes ${needed}" makes one that has it.`,
  })
}

/** What a request does: looks, brings data in, or makes it forgotten. */
export function scopeFor(method: string, path: string): Scope {
  if (method === 'DELETE') return 'admin'
  if (method === 'GET' || method === 'HEAD') return 'read'
  return path === '/v1/features' || path === '/v1/training-sets' ? 'read' : 'write'
}

function keyOf(headers: Headers): string | null {
  const [, bearer] = /^bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '') ?? []
  return bearer ?? headers.get('x-api-key')
}

/** Of an absolute URL, without taking it apart: this is asked of every request. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?', start)
  return end < 0 ? url.slice(start) : url.slice(start, end)
}
