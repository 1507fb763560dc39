import { randomBytes } from 'node:crypto'
import type { Micros } from '../clock.ts'
import type { ApiKey, Scope } from '../store/ports/admin-store.ts'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Letters of 5.95 bits each: 256 bits. */
const LENGTH = 43

export interface MadeKey {
  readonly key: string
  readonly kept: ApiKey
}

/** A new key and what is kept of it. The key is shown once, to whoever asked for it. */
export function createApiKey(
  name: string,
  scopes: readonly Scope[],
  now: Micros,
  bounds: Partial<Pick<ApiKey, 'allowed' | 'rate' | 'expiresAt'>> = {},
): MadeKey {
  const key = `fab_${randomLetters(LENGTH)}`
  const hash = hashOf(key)
  const { allowed = null, rate = null, expiresAt = null } = bounds
  const kept = { id: hash.slice(0, 12), name, hash, scopes, allowed, rate, createdAt: now, expiresAt, revokedAt: null, lastUsedAt: null }
  return { key, kept }
}

/** SHA-256 in hexadecimal: all that is kept of a key. */
export function hashOf(key: string): string {
  return new Bun.CryptoHasher('sha256').update(key).digest('hex')
}

function randomLetters(count: number): string {
  let letters = ''
  while (letters.length < count) {
    for (const byte of randomBytes(count)) {
      // The last few values of a byte would make the first letters likelier.
      if (byte < 248 && letters.length < count) letters += ALPHABET[byte % ALPHABET.length]
    }
  }
  return letters
}
