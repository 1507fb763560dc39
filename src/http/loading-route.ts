/** A first start answers reads while the files of its sources are being loaded. Whatever else is asked waits until all of them are there. */
import { FabraError } from '../errors.ts'
import type { SourceLoading } from './readiness.ts'
import type { Call, Route } from './route.ts'

/** Longest wait of a request. */
const WAIT_MS = 10_000

export function onceLoaded(route: Route, loading: SourceLoading | undefined): Route {
  if (loading === undefined || route.early || route.scope === 'open') return route
  return { ...route, answer: (call) => (loading.progress() === null ? route.answer(call) : later(route, loading, call)) }
}

async function later(route: Route, loading: SourceLoading, call: Call): Promise<Response> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(stillLoading(loading)), WAIT_MS)
  try {
    await Promise.race([loading.whole.catch(() => Promise.reject(stillLoading(loading))), late.promise])
  } finally {
    clearTimeout(timer)
  }
  return route.answer(call)
}

function stillLoading(loading: SourceLoading): FabraError {
  const { source = null, done = 0, of = 0 } = loading.progress() ?? {}
  const which = source === null ? 'the files of sources are' : `the file of source "${source}" (${done + 1} of ${of}) is`
  return new FabraError('source_loading', `The server has just started: ${which} still being loaded.`, {
    hint: 'Try again in a moment; GET /ready tells how far it is.',
  })
}
