/**
 * The reads of features, given to Bun itself while the app listens: they are asked more than everything else together, and what the app does
 * around a handler (a context, an async function, a look at its answer) is a tenth of the whole. The app has the same routes too: it
 * documents them, knows their methods, and answers while the server drains.
 */
import type { BunRequest } from 'bun'
import { authorise } from './auth.ts'
import { createBatchRead, FEATURES, getFeature, ONE_FEATURE } from './routes/features.ts'
import type { HttpOptions } from './server.ts'

type Handler = (request: BunRequest) => Response | Promise<Response>

/** @param tell Makes an error the response that the app would give. */
export function directRoutes(
  options: HttpOptions,
  tell: (error: unknown, request: Request) => Response,
): Record<string, { readonly GET: Handler } | { readonly POST: Handler }> {
  const { keyring, serving } = options
  const answering =
    (read: Handler): Handler =>
    (request) => {
      try {
        const passing = keyring ? authorise(keyring, request) : undefined
        const response = passing ? passing.then(() => read(request)) : read(request)
        return response instanceof Promise ? response.catch((error) => tell(error, request)) : response
      } catch (error) {
        return tell(error, request)
      }
    }
  return {
    [ONE_FEATURE]: { GET: answering((request) => getFeature(serving(), request.params['name'] ?? '', request)) },
    [FEATURES]: { POST: answering(createBatchRead(options)) },
  }
}
