/**
 * GET /ui: the page that shows what is served, how old it is, whether it is right and what changed. It holds no data: all that it shows it asks the
 * API for, with a key where keys are asked for. It comes out of the executable, and its own policy forbids everything from elsewhere.
 */
import { FabraError } from '../../errors.ts'
import { pathOf } from '../address.ts'
import { homeDoc, uiDoc } from '../openapi/ui.ts'
import type { Call, Route } from '../route.ts'
import { type UiFile, uiFiles } from '../ui/bundle.ts'

const POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
/** The name says what is in the file, so the answer never changes. */
const FOR_EVER = 'public, max-age=31536000, immutable'
const SAFE = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

/** Addresses inside of the page have up to so many parts behind /ui: `entities/User/u1`. */
const ROOMS = ['/ui', '/ui/:room', '/ui/:room/:name', '/ui/:room/:name/:key'] as const

export function uiRoutes({ hasUi = false }: { readonly hasUi?: boolean }): readonly Route[] {
  if (!hasUi) return []
  let loading: Promise<ReadonlyMap<string, UiFile>> | undefined
  const files = () => {
    loading ??= uiFiles().then((all) => new Map(all.map((file) => [file.name, file])))
    // What failed once may be there the next time.
    loading.catch(() => {
      loading = undefined
    })
    return loading
  }
  const pages: Route[] = ROOMS.map((path) => ({
    method: 'GET',
    path,
    scope: 'open',
    docs: path === '/ui' ? uiDoc : null,
    answer: async ({ request }) => (pathOf(request) === '/ui' ? moved('ui/') : page(request, await files())),
  }))
  return [
    { method: 'GET', path: '/', scope: 'open', docs: homeDoc, answer: () => moved('ui/') },
    ...pages,
    { method: 'GET', path: '/ui/assets/:file', scope: 'open', docs: null, answer: async (call) => asset(call, await files()) },
  ]
}

/** Relative, as all addresses here are: the page works behind a proxy that serves it under a path of its own. */
function moved(location: string): Response {
  return new Response(null, { status: 302, headers: { location, 'cache-control': 'no-cache' } })
}

function page(request: Request, files: ReadonlyMap<string, UiFile>): Response {
  const depth = pathOf(request).split('/').length - 3
  const html = pageText('../'.repeat(Math.max(0, depth)), [...files.keys()])
  const etag = `"${Bun.hash(html).toString(36)}"`
  const headers = { ...SAFE, 'content-security-policy': POLICY, 'cache-control': 'no-cache', etag }
  if (request.headers.get('if-none-match') === etag) return new Response(null, { status: 304, headers })
  return new Response(html, { headers: { ...headers, 'content-type': 'text/html; charset=utf-8' } })
}

/** @param up From the page's address to /ui/. */
function pageText(up: string, names: readonly string[]): string {
  const address = (pattern: RegExp) => `${up}assets/${names.find((name) => pattern.test(name)) ?? ''}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fabra</title>
<link rel="icon" href="${address(/^icon-.*\.svg$/)}">
<link rel="stylesheet" href="${address(/^main-.*\.css$/)}">
<script src="${address(/^early-.*\.js$/)}"></script>
<script type="module" src="${address(/^main-.*\.js$/)}"></script>
</head>
<body><div id="root"></div><noscript>The UI of Fabra needs JavaScript. The API does not: see openapi.json.</noscript></body>
</html>
`
}

function asset(call: Call, files: ReadonlyMap<string, UiFile>): Response {
  const name = call.param('file')
  const file = files.get(name)
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)]
  if (!file || !type) throw new FabraError('not_found', `Nothing is at GET /ui/assets/${name}.`, { hint: 'GET /ui/ is the page.' })
  const etag = `"${name}"`
  const headers = { ...SAFE, 'content-type': type, 'cache-control': FOR_EVER, vary: 'accept-encoding', etag }
  if (call.request.headers.get('if-none-match') === etag) return new Response(null, { status: 304, headers })
  const isPacked = /\bgzip\b/.test(call.request.headers.get('accept-encoding') ?? '')
  if (isPacked) return new Response(file.packed.slice(), { headers: { ...headers, 'content-encoding': 'gzip' } })
  return new Response(Bun.gunzipSync(file.packed.slice()), { headers })
}
