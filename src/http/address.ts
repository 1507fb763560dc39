/**
 * The address of a request as far as it is ours: path and query. Host and scheme are left out, because what stands there is the client's to
 * choose, and for some of it Bun gives no absolute address at all (`/v1/features`, `a:80`): nothing here can throw.
 */
export function targetOf(request: Request): string {
  const { url } = request
  if (url.startsWith('/')) return url
  const scheme = url.indexOf('://')
  const start = scheme < 0 ? -1 : url.indexOf('/', scheme + 3)
  return start < 0 ? '/' : url.slice(start)
}

/** As it was sent: percent-encoding stays. */
export function pathOf(request: Request): string {
  const target = targetOf(request)
  const end = target.search(/[?#]/)
  return end < 0 ? target : target.slice(0, end)
}

/** What stands behind the `?`, as it was sent; empty without one. */
export function queryOf(request: Request): string {
  const { url } = request
  const start = url.indexOf('?')
  if (start < 0) return ''
  const end = url.indexOf('#', start)
  return end < 0 ? url.slice(start + 1) : url.slice(start + 1, end)
}
