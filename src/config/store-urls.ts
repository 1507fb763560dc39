/** What is wrong with a store's address; null when nothing is. Addresses hold passwords: they are never repeated. */
export function postgresProblem(url: string): string | null {
  const write = 'write postgres://user:password@host:5432/database'
  const [, scheme, hosts, query] = /^([a-z+]+:)\/\/(?:[^@/?#]*@)?([^/?#]*)(?:\/[^?#]*)?(?:\?([^#]*))?$/i.exec(url) ?? []
  if (scheme === undefined) return `is not an address: ${write}, with /, ?, # and @ of the password percent-encoded.`
  if (!['postgres:', 'postgresql:', 'postgresql+asyncpg:'].includes(scheme.toLowerCase()))
    return `begins with ${scheme}//: write postgres://, postgresql:// or postgresql+asyncpg://.`
  // Several hosts stand with commas between; that of a Unix socket is a folder.
  const isNamed = hosts !== '' || new URLSearchParams(query).has('host')
  return isNamed ? null : `names no host: ${write}.`
}

export function redisProblem(url: string): string | null {
  const [scheme] = /^[a-z+]+:\/\//i.exec(url) ?? []
  if (scheme === undefined) return 'is not an address: write redis://host:6379.'
  if (!/^(?:rediss?(?:\+cluster|\+sentinel)?|redis\+unix):\/\/$/i.test(scheme))
    return `begins with ${scheme}: write redis://, rediss://, redis+cluster://, redis+sentinel:// or redis+unix://.`
  return url.length === scheme.length ? 'names no host: write redis://host:6379.' : null
}
