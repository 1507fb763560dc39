import type { KeyHolder, Keyring } from '../auth/keyring.ts'
import { FabraError } from '../errors.ts'
import type { Scope } from '../store/ports/admin-store.ts'
import { lacks } from './route.ts'

const HOW = 'Send the header "Authorization: Bearer fab_…" or "X-API-Key: fab_…". "fabra keys create" makes a key.'

/**
 * Whose key the request carries; at once where the key is known.
 * @throws FabraError unauthorized, forbidden
 */
export function authorise(keyring: Keyring, request: Request, needed: Scope | 'any'): KeyHolder | Promise<KeyHolder> {
  const key = keyOf(request.headers)
  if (key === null) throw new FabraError('unauthorized', 'The request carries no API key.', { hint: HOW })
  const holder = keyring.holderOf(key)
  return holder instanceof Promise ? holder.then((found) => check(found, needed)) : check(holder, needed)
}

function check(holder: KeyHolder | undefined, needed: Scope | 'any'): KeyHolder {
  if (!holder) throw new FabraError('unauthorized', 'The API key is unknown or revoked, or it has ended.', { hint: HOW })
  if (needed === 'any' || holder.scopes.includes(needed)) return holder
  throw lacks(needed)
}

/** Whether the request carries a key that is good, whatever it may do. */
export async function hasKey(keyring: Keyring, request: Request): Promise<boolean> {
  const key = keyOf(request.headers)
  return key !== null && (await keyring.holderOf(key)) !== undefined
}

function keyOf(headers: Headers): string | null {
  const given = headers.get('authorization')
  const [, bearer] = given === null ? [] : (/^bearer +(\S+) *$/i.exec(given) ?? [])
  return bearer ?? headers.get('x-api-key')
}
