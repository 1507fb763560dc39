/**
 * GET /docs: the description of the API for people. It is a room of the page at /ui, where it can be read and tried; where that page is switched off,
 * it says where the description is for machines. It holds no data.
 */
import { pathOf } from '../address.ts'
import { docsDoc } from '../openapi/operations.ts'
import type { Route } from '../route.ts'

const POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Addresses are relative, so that the page works behind a proxy that serves it under a path of its own. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fabra API</title>
<link rel="icon" href="data:,">
</head>
<body>
<h1>Fabra API</h1>
<p>The page that shows it is switched off here (FABRA_UI=off). Every route is described in <a href="openapi.json">openapi.json</a>, which asks for a key
where the API does.</p>
</body>
</html>
`

export function docsRoutes({ hasUi = false }: { readonly hasUi?: boolean }): readonly Route[] {
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'content-security-policy': POLICY,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  }
  const moved = (status: number, location: string) =>
    new Response(null, { status, headers: { location, 'cache-control': 'no-cache', 'referrer-policy': 'no-referrer' } })
  return [
    {
      method: 'GET',
      path: '/docs',
      scope: 'open',
      docs: docsDoc,
      answer({ request }) {
        // From there relative addresses would lead elsewhere.
        const hasSlash = pathOf(request).endsWith('/')
        if (hasUi) return moved(302, hasSlash ? '../ui/api' : 'ui/api')
        return hasSlash ? moved(308, '../docs') : new Response(PAGE, { headers })
      },
    },
  ]
}
