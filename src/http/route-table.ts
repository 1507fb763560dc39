/** The table of routes: what the server answers, what that needs, and /openapi.json are made of it, and of nothing else. */
import { FabraError } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import { pathOf } from './address.ts'
import { auditedRoute } from './audited.ts'
import type { Guarded } from './door.ts'
import { errorResponse } from './error-response.ts'
import { onceLoaded } from './loading-route.ts'
import type { HttpOptions } from './options.ts'
import type { Route } from './route.ts'
import { auditRoutes } from './routes/audit.ts'
import { backupRoutes } from './routes/backup.ts'
import { catalogueRoutes } from './routes/catalogue.ts'
import { definitionRoutes } from './routes/definition.ts'
import { docsRoutes } from './routes/docs.ts'
import { entityRoutes } from './routes/entities.ts'
import { eventRoutes } from './routes/events.ts'
import { featureRoutes } from './routes/features.ts'
import { forgetRoutes } from './routes/forget.ts'
import { historyRoutes } from './routes/history.ts'
import { insightRoutes } from './routes/insight.ts'
import { lineageRoutes } from './routes/lineage.ts'
import { operationRoutes } from './routes/operations.ts'
import { refreshRoutes } from './routes/refresh.ts'
import { sourceRowRoutes } from './routes/source-rows.ts'
import { statisticsRoutes } from './routes/statistics.ts'
import { storageRoutes } from './routes/storage.ts'
import { trainingRoutes } from './routes/training.ts'
import { uiRoutes } from './routes/ui.ts'
import { valueRoutes } from './routes/values.ts'

export function routeTable(options: HttpOptions): readonly Route[] {
  const routes: readonly Route[] = [
    ...featureRoutes(options),
    ...entityRoutes(options),
    ...historyRoutes(options),
    ...refreshRoutes(options),
    ...valueRoutes(options),
    ...sourceRowRoutes(options),
    ...forgetRoutes(options),
    ...trainingRoutes(options),
    ...catalogueRoutes(options),
    ...statisticsRoutes(options),
    ...definitionRoutes(options),
    ...lineageRoutes(options),
    ...eventRoutes(options),
    ...insightRoutes(options),
    ...auditRoutes(options),
    ...storageRoutes(options),
    ...backupRoutes(options),
    ...operationRoutes(options, () => table),
    ...docsRoutes(options),
    ...uiRoutes(options),
  ]
  const table = routes.map((route) => auditedRoute(onceLoaded(route, options.loading), options))
  return table
}

/** The parameters that a path gives to a route's; undefined: the path is another. */
export function paramsOf(route: Pick<Route, 'path'>, path: string): Record<string, string> | undefined {
  const wanted = route.path.split('/')
  const given = path.replace(/(.)\/$/, '$1').split('/')
  const params: Record<string, string> = {}
  const fits = wanted.every((part, i) => {
    const text = given[i] ?? ''
    if (!part.startsWith(':')) return part === text
    params[part.slice(1)] = text
    return text !== ''
  })
  return fits && wanted.length === given.length ? params : undefined
}

/** What answers where the table has nothing: that there is nothing, or which methods there are. */
export function nothingThere(table: readonly Route[], log: Logger): Guarded {
  return {
    method: 'any',
    scope: 'any',
    // It names methods, and nothing that is defined.
    within() {
      return this.answer
    },
    answer({ request }) {
      const path = pathOf(request)
      const methods = [...new Set(table.filter((route) => paramsOf(route, path)).map((route) => route.method))]
      if (methods.length === 0)
        throw new FabraError('not_found', `Nothing is at ${request.method} ${path}.`, { hint: 'GET /openapi.json lists every route.' })
      const refused = new FabraError('method_not_allowed', `${request.method} is not possible on ${path}.`, {
        hint: `Use ${methods.join(' or ')}.`,
      })
      return errorResponse(refused, request, log, { allow: methods.join(', ') })
    },
  }
}
