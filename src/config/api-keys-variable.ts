import { SCOPES } from '../auth/scopes.ts'
import type { Scope } from '../store/ports/admin-store.ts'

/** An API key given by the environment. */
export interface ConfiguredKey {
  /** SHA-256 of the key, 64 hexadecimal digits in lower case. */
  readonly hash: string
  readonly scopes: readonly Scope[]
}

/** `sha256hex:read+write+admin`, with commas or line breaks between; `#` begins a comment. */
export function parseApiKeys(text: string, variable: string, problems: string[]): ConfiguredKey[] {
  const keys: ConfiguredKey[] = []
  const entries = text.split('\n').flatMap((line) => (line.split('#')[0] ?? '').split(','))
  for (const [i, entry] of entries.map((one) => one.trim()).entries()) {
    if (entry === '') continue
    const [hash = '', scopes = ''] = entry.split(':')
    const named = scopes.split('+').map((scope) => SCOPES.find((known) => known === scope))
    // What is written there may be a key itself, so it is not repeated.
    if (!/^[0-9a-f]{64}$/i.test(hash)) problems.push(`${variable}: entry ${i + 1} does not begin with the 64 digits of a SHA-256.`)
    else if (named.includes(undefined)) problems.push(`${variable}: entry ${i + 1} has other scopes than read, train, write and admin.`)
    else keys.push({ hash: hash.toLowerCase(), scopes: named.filter((scope) => scope !== undefined) })
  }
  return keys
}
