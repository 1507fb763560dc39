/** What is wrong with a store's address; null when nothing is. Addresses hold passwords: they are never repeated. */
export function postgresProblem(url: string): string | null {
  const { protocol, hostname } = URL.parse(url) ?? {}
  if (protocol === undefined) return 'is not an address: write postgres://user:password@host:5432/database.'
  if (!['postgres:', 'postgresql:', 'postgresql+asyncpg:'].includes(protocol))
    return `begins with ${protocol}//: write postgres://, postgresql:// or postgresql+asyncpg://.`
  return hostname === '' ? 'names no host: write postgres://user:password@host:5432/database.' : null
}

export function redisProblem(url: string): string | null {
  const [scheme] = /^[a-z+]+:\/\//i.exec(url) ?? []
  if (scheme === undefined) return 'is not an address: write redis://host:6379.'
  if (!['redis://', 'rediss://', 'redis+cluster://', 'rediss+cluster://'].includes(scheme.toLowerCase()))
    return `begins with ${scheme}: write redis://, rediss:// or redis+cluster://.`
  return url.length === scheme.length ? 'names no host: write redis://host:6379.' : null
}
