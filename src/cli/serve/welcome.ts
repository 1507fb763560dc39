import { relative } from 'node:path'
import type { App, HttpServer } from '../../app/app.ts'
import { formatDuration } from '../../definition/duration.ts'
import { isPushed, isRealtime, takesInputs } from '../../definition/feature-traits.ts'
import type { Feature } from '../../definition/model.ts'
import type { CliContext } from '../context.ts'
import { table } from '../output.ts'

/** What `fabra serve` says once it listens: where, what it found, and a curl line that works when pasted. */
export async function welcome(app: App, server: HttpServer, files: readonly string[], context: CliContext, processes = 1): Promise<string> {
  const features = [...app.serving().registry.features.values()]
  const curl = await curlLine(app, server, features)
  if (context.json) {
    return `${JSON.stringify({ url: server.url, host: server.host, port: server.port, features: features.map((feature) => feature.name), processes, curl })}\n`
  }
  const names = files.map((file) => relative(context.cwd, file) || file).join(', ')
  const rows = features.map((feature) => [`  ${feature.name}`, feature.entity, shapeText(feature), howText(feature)])
  const count = `${features.length} feature${features.length === 1 ? '' : 's'} from ${names}`
  return `Fabra serves ${count} on ${server.url}${processes > 1 ? ` with ${processes} processes` : ''}\n\n${table(rows)}\nTry it:\n  ${curl}\n`
}

function shapeText(feature: Feature): string {
  return feature.columns.map((column) => (column.name === null ? (column.type ?? 'json') : column.name)).join(', ')
}

function howText(feature: Feature): string {
  if (feature.refresh === null) return 'pushed'
  if (feature.refresh.kind === 'realtime') return 'computed in the request'
  if (feature.refresh.kind === 'cron') return `refreshed at ${feature.refresh.pattern}`
  return `refreshed every ${formatDuration(feature.refresh.every)}`
}

/** A computed feature without inputs, for a key that is in the data. */
async function curlLine(app: App, server: HttpServer, features: readonly Feature[]): Promise<string> {
  const plain = features.filter((feature) => !takesInputs(feature))
  const shown =
    plain.find((feature) => feature.computation.kind === 'sql' && !isRealtime(feature)) ??
    plain.find((feature) => !isPushed(feature)) ??
    features[0]
  const header = app.asksForKeys ? ' -H "Authorization: Bearer $FABRA_API_KEY"' : ''
  if (!shown) return `curl${header} '${server.url}/v1/features'`
  const key = await app.sampleKey(shown)
  const columns = app.serving().registry.entities.get(shown.entity)?.key ?? []
  const [only] = columns
  const query = columns.map((column, i) => {
    const name = columns.length === 1 && only ? 'entity_id' : column.name
    return `${name}=${encodeURIComponent(key?.[i] ?? '1')}`
  })
  return `curl${header} '${server.url}/v1/features/${shown.name}?${query.join('&')}'`
}
