import { SCOPES } from '../auth/scopes.ts'
import type { Micros } from '../clock.ts'
import type { Allowance, Scope } from '../store/ports/admin-store.ts'

/** An API key given by the environment. */
export interface ConfiguredKey {
  /** SHA-256 of the key, 64 hexadecimal digits in lower case. */
  readonly hash: string
  readonly scopes: readonly Scope[]
  /** Left out: it sees all. */
  readonly allowed?: Allowance
  /** Requests a second; left out: as many as it likes. */
  readonly rate?: number
  /** Left out: it has no end. */
  readonly expiresAt?: Micros
}

/**
 * `sha256hex:read+write`, with commas or line breaks between; `#` begins a comment. Behind the scopes, each after a semicolon, may stand what the key
 * may see and until when it is good, and how often it may ask in a second:
 * `sha256hex:read;features=a+b;entities=User;rate=100;until=2027-01-31T00:00:00Z`.
 */
export function parseApiKeys(text: string, variable: string, problems: string[]): ConfiguredKey[] {
  const keys: ConfiguredKey[] = []
  const entries = text.split('\n').flatMap((line) => (line.split('#')[0] ?? '').split(','))
  for (const [i, entry] of entries.map((one) => one.trim()).entries()) {
    if (entry === '') continue
    const [hash = '', ...behind] = entry.split(':')
    const [scopes = '', ...bounds] = behind.join(':').split(';')
    const named = scopes.split('+').map((scope) => SCOPES.find((known) => known === scope))
    const bound = boundsOf(bounds)
    // What is written there may be a key itself, so it is not repeated.
    if (!/^[0-9a-f]{64}$/i.test(hash)) problems.push(`${variable}: entry ${i + 1} does not begin with the 64 digits of a SHA-256.`)
    else if (named.includes(undefined)) problems.push(`${variable}: entry ${i + 1} has other scopes than read, train, write and admin.`)
    else if (typeof bound === 'string') problems.push(`${variable}: entry ${i + 1} ${bound}`)
    else keys.push({ hash: hash.toLowerCase(), scopes: named.filter((scope) => scope !== undefined), ...bound })
  }
  return keys
}

/** Or what is wrong with them. */
function boundsOf(texts: readonly string[]): Omit<ConfiguredKey, 'hash' | 'scopes'> | string {
  const given = new Map<string, string>()
  for (const text of texts) {
    const [, name = '', value = ''] = /^\s*([a-z]+)=(.+?)\s*$/.exec(text) ?? []
    if (!['features', 'entities', 'rate', 'until'].includes(name) || given.has(name))
      return 'may have, once each and behind ";", features=a+b, entities=A+B, rate=100 and until=2027-01-31T00:00:00Z.'
    given.set(name, value)
  }
  const until = given.get('until')
  const expiresMs =
    until === undefined ? null : /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(until) ? Date.parse(until) : Number.NaN
  if (Number.isNaN(expiresMs)) return 'ends at no time: write until=2027-01-31T00:00:00Z.'
  const rate = given.get('rate')
  if (rate !== undefined && !/^[1-9]\d{0,6}$/.test(rate))
    return 'has another limit than a whole number of requests a second: write rate=100.'
  const names = (of: string) => given.get(of)?.split('+') ?? null
  const [features, entities] = [names('features'), names('entities')]
  if ([...(features ?? []), ...(entities ?? [])].some((name) => !/^\w+$/.test(name)))
    return 'names no features or entities: write features=a+b.'
  return {
    ...(features || entities ? { allowed: { features, entities } } : {}),
    ...(rate === undefined ? {} : { rate: Number(rate) }),
    ...(expiresMs === null ? {} : { expiresAt: expiresMs * 1_000 }),
  }
}
