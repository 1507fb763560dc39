import type { Keyring } from '../auth/keyring.ts'
import { FabraError } from '../errors.ts'
import type { Scope } from '../store/ports/admin-store.ts'
import { lacks } from './route.ts'

const HOW = 'Send the header "Authorization: Bearer fab_…" or "X-API-Key: fab_…". "fabra keys create" makes a key.'

/**
 * What the request's key may do; at once where the key is known.
 * @throws FabraError unauthorized, forbidden
 */
export function authorise(keyring: Keyring, request: Request, needed: Scope | 'any'): readonly Scope[] | Promise<readonly Scope[]> {
  const key = keyOf(request.headers)
  if (key === null) throw new FabraError('unauthorized', 'The request carries no API key.', { hint: HOW })
  const scopes = keyring.scopesOf(key)
  return scopes instanceof Promise ? scopes.then((found) => check(found, needed)) : check(scopes, needed)
}

function check(scopes: readonly Scope[] | undefined, needed: Scope | 'any'): readonly Scope[] {
  if (!scopes) throw new FabraError('unauthorized', 'The API key is unknown or revoked.', { hint: HOW })
  if (needed === 'any' || scopes.includes(needed)) return scopes
  throw lacks(needed)
}

/** Whether the request carries a key that is good, whatever it may do. */
export async function hasKey(keyring: Keyring, request: Request): Promise<boolean> {
  const key = keyOf(request.headers)
  return key !== null && (await keyring.scopesOf(key)) !== undefined
}

function keyOf(headers: Headers): string | null {
  const given = headers.get('authorization')
  const [, bearer] = given === null ? [] : (/^bearer +(\S+) *$/i.exec(given) ?? [])
  return bearer ?? headers.get('x-api-key')
}
