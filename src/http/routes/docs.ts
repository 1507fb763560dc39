/**
 * GET /docs: the description of the API for people to read and try. Swagger UI comes out of the executable: nothing is asked of another machine, and
 * the page's own policy forbids it. Nothing of it is loaded before somebody looks.
 */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { FabraError } from '../../errors.ts'
import { pathOf } from '../address.ts'
import { docsDoc } from '../openapi/operations.ts'
import type { Route } from '../route.ts'

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Addresses are relative, so that the page works behind a proxy that serves it under a path of its own. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fabra API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css?v=VERSION">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui.js?v=VERSION"></script>
<script src="docs/start.js?v=VERSION"></script>
</body>
</html>
`

/**
 * The page holds no data; what it shows may need a key, which it asks for and keeps to itself. Without a validator: it would send the description to a
 * server of its maker's.
 */
const START = `let key = null;

async function askForKey() {
  const { status } = await fetch("openapi.json", { headers: key ? { "X-API-Key": key } : {} });
  if (status !== 401 && status !== 403) return;
  key = prompt("An API key with the scope read:");
  if (key) await askForKey();
}

askForKey().then(() => SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  requestInterceptor(request) {
    if (key && !request.headers.Authorization && !request.headers["X-API-Key"]) request.headers["X-API-Key"] = key;
    return request;
  },
}));
`

interface Asset {
  readonly type: string
  readonly bytes: Uint8Array
  readonly packed: Uint8Array
}

const TYPES = { script: 'text/javascript; charset=utf-8', style: 'text/css; charset=utf-8' }

/** The address says which version it is, so the answer never changes. */
const FOR_EVER = 'public, max-age=31536000, immutable'

export function docsRoutes({ version }: { readonly version: string }): readonly Route[] {
  const page = PAGE.replaceAll('VERSION', encodeURIComponent(version))
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'content-security-policy': POLICY,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  }
  const assets = new Map<string, Promise<Asset>>()
  const assetOf = (name: string) => {
    const loaded = assets.get(name) ?? load(name)
    assets.set(name, loaded)
    // What failed once may be there the next time.
    loaded.catch(() => assets.delete(name))
    return loaded
  }
  return [
    {
      method: 'GET',
      path: '/docs',
      scope: 'open',
      docs: docsDoc,
      answer: ({ request }) =>
        // From there the relative addresses would lead elsewhere.
        pathOf(request).endsWith('/')
          ? new Response(null, { status: 308, headers: { location: '../docs' } })
          : new Response(page, { headers }),
    },
    {
      method: 'GET',
      path: '/docs/:file',
      scope: 'open',
      docs: null,
      answer: async (call) => respond(await assetOf(call.param('file')), call.request),
    },
  ]
}

function respond({ type, bytes, packed }: Asset, request: Request): Response {
  const isPacked = /\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')
  const headers = { 'content-type': type, 'cache-control': FOR_EVER, vary: 'accept-encoding', 'x-content-type-options': 'nosniff' }
  return new Response(isPacked ? packed : bytes, { headers: isPacked ? { ...headers, 'content-encoding': 'gzip' } : headers })
}

/** @throws FabraError not_found */
async function load(name: string): Promise<Asset> {
  const [type, bytes] = await read(name)
  return { type, bytes, packed: await promisify(gzip)(bytes) }
}

async function read(name: string): Promise<[type: string, bytes: Uint8Array]> {
  if (name === 'start.js') return [TYPES.script, new TextEncoder().encode(START)]
  if (name === 'swagger-ui.js') {
    const { default: path } = await import('swagger-ui-dist/swagger-ui-bundle.js', { with: { type: 'file' } })
    return [TYPES.script, await Bun.file(path).bytes()]
  }
  if (name === 'swagger-ui.css') {
    const { default: path } = await import('swagger-ui-dist/swagger-ui.css', { with: { type: 'file' } })
    return [TYPES.style, await Bun.file(path).bytes()]
  }
  throw new FabraError('not_found', `Nothing is at GET /docs/${name}.`, { hint: 'GET /docs is the description of the API.' })
}
