/**
 * The read of one feature, given to Bun itself while the app listens: it is asked more than everything else together, and what the app does
 * around a handler (a context, an async function, a look at its answer) is a tenth of the whole. The app has the same route too: it
 * documents it, knows its methods, and answers while the server drains.
 */
import type { BunRequest } from 'bun'
import { authorise } from './auth.ts'
import { getFeature, ONE_FEATURE } from './routes/features.ts'
import type { HttpOptions } from './server.ts'

type Handler = (request: BunRequest) => Response | Promise<Response>

/** @param tell Makes an error the response that the app would give. */
export function directRoutes(
  { keyring, serving }: HttpOptions,
  tell: (error: unknown, request: Request) => Response,
): Record<string, { readonly GET: Handler }> {
  const read = (request: BunRequest) => getFeature(serving(), request.params['name'] ?? '', request)
  const answer: Handler = (request) => {
    try {
      const passing = keyring ? authorise(keyring, request) : undefined
      const response = passing ? passing.then(() => read(request)) : read(request)
      return response instanceof Promise ? response.catch((error) => tell(error, request)) : response
    } catch (error) {
      return tell(error, request)
    }
  }
  return { [ONE_FEATURE]: { GET: answer } }
}
