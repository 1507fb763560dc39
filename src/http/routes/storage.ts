/** How much is stored, and how fast it grows. */
import { queryOf } from '../address.ts'
import { jsonResponse } from '../json-response.ts'
import { storageDoc } from '../openapi/storage.ts'
import type { HttpOptions } from '../options.ts'
import { knownParameters } from '../query.ts'
import type { Route } from '../route.ts'

export function storageRoutes({ insight }: HttpOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/storage',
      scope: 'read',
      docs: storageDoc,
      async answer({ request }) {
        knownParameters(queryOf(request), [])
        return jsonResponse(await insight.storage())
      },
    },
  ]
}
