import { relative } from 'node:path'
import type { App, HttpServer } from '../../app/app.ts'
import { formatDuration } from '../../definition/duration.ts'
import { isPushed, isRealtime, takesInputs } from '../../definition/feature-traits.ts'
import type { Feature, KeyType } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import type { CliContext } from '../context.ts'
import { table } from '../output.ts'

export interface Welcomed {
  readonly files: readonly string[]
  /** That share the port. */
  readonly processes?: number | undefined
  /** Of `--clock`, in microseconds. */
  readonly clockOffset: number | null
}

/** What `fabra serve` says once it listens: where, what it found, and a curl line that works when pasted. */
export async function welcome(app: App, server: HttpServer, welcomed: Welcomed, context: CliContext): Promise<string> {
  const { files, processes = 1, clockOffset } = welcomed
  const present = clockOffset === null ? null : formatTime(context.clock.now() + clockOffset)
  const features = [...app.serving().registry.features.values()]
  const curl = await curlLine(app, server, features)
  if (context.json) {
    return `${JSON.stringify({ url: server.url, host: server.host, port: server.port, features: features.map((feature) => feature.name), processes, curl, ...(app.hasUi ? { ui: `${server.url}/ui/` } : {}), ...(present === null ? {} : { present }) })}\n`
  }
  const names = files.map((file) => relative(context.cwd, file) || file).join(', ')
  const rows = features.map((feature) => [`  ${feature.name}`, feature.entity, shapeText(feature), howText(feature)])
  const count = `${features.length} feature${features.length === 1 ? '' : 's'} from ${names}`
  return `Fabra serves ${count} on ${server.url}${processes > 1 ? ` with ${processes} processes` : ''}\n${app.hasUi ? `Look at them on ${server.url}/ui/\n` : ''}${present === null ? '' : presentText(present)}\n${table(rows)}\nTry it:\n  ${curl}\n`
}

function presentText(present: string): string {
  return `The present is ${present.replace(/\.\d+Z$/, 'Z')}, and runs on (--clock). Other commands of this folder answer for the real one: ask this server over HTTP.\n`
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

/** Where the data has no key to show. */
const STAND_INS: Readonly<Record<KeyType, string>> = { string: '1', int: '1', uuid: '00000000-0000-0000-0000-000000000000' }

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
    return `${name}=${encodeURIComponent(key?.[i] ?? STAND_INS[column.type]).replaceAll("'", '%27')}`
  })
  return `curl${header} '${server.url}/v1/features/${shown.name}?${query.join('&')}'`
}
