/** What is asked for on this page: as a request, and as the command that does the same. */
import type { TrainingPreview } from '../../../http/wire.ts'
import { ask, send } from '../../core/ask.ts'

export type AsOf = 'true' | 'served' | 'known'
export type Format = 'parquet' | 'csv' | 'arrow' | 'jsonl'

export interface Wanted {
  readonly features: readonly string[]
  readonly file: File | null
  readonly sql: string
  readonly timestamp: string
  readonly timezone: string
  readonly asOf: AsOf
  readonly format: Format
}

const PREVIEW_ROWS = 50

export function isComplete({ features, file, sql }: Wanted): boolean {
  return features.length > 0 && (file !== null || sql.trim() !== '')
}

function queryOf(wanted: Wanted): Record<string, string> {
  return {
    features: wanted.features.join(','),
    ...(wanted.timestamp === '' ? {} : { timestamp: wanted.timestamp }),
    ...(wanted.timezone === '' ? {} : { timezone: wanted.timezone }),
    ...(wanted.asOf === 'served' ? { as_served: 'true' } : {}),
    ...(wanted.asOf === 'known' ? { latest_knowledge: 'true' } : {}),
    ...(wanted.file === null ? { labels_sql: wanted.sql } : {}),
  }
}

const TYPES: Readonly<Record<string, string>> = {
  parquet: 'application/vnd.apache.parquet',
  pq: 'application/vnd.apache.parquet',
  csv: 'text/csv',
  arrow: 'application/vnd.apache.arrow.file',
  feather: 'application/vnd.apache.arrow.file',
  jsonl: 'application/x-ndjson',
  ndjson: 'application/x-ndjson',
  json: 'application/json',
}

function bodyOf({ file }: Wanted): { body?: File; headers: Record<string, string> } {
  if (file === null) return { headers: {} }
  const ending = file.name.split('.').at(-1)?.toLowerCase() ?? ''
  return { body: file, headers: { 'content-type': TYPES[ending] ?? 'text/csv' } }
}

export function preview(wanted: Wanted): Promise<TrainingPreview> {
  const query = new URLSearchParams({ ...queryOf(wanted), limit: String(PREVIEW_ROWS) })
  return ask<TrainingPreview>(`/v1/training-sets?${query}`, { method: 'POST', ...bodyOf(wanted), limitMs: null })
}

/** Browsers make UUIDs for pages of this machine and of https alone. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Makes the whole and hands it to the browser as a file. */
export async function make(wanted: Wanted, id: string): Promise<void> {
  const { headers, body } = bodyOf(wanted)
  const query = new URLSearchParams({ ...queryOf(wanted), format: wanted.format })
  const response = await send(`/v1/training-sets?${query}`, {
    method: 'POST',
    headers: { ...headers, 'x-request-id': id },
    limitMs: null,
    ...(body ? { body } : {}),
  })
  const link = document.createElement('a')
  link.href = URL.createObjectURL(await response.blob())
  link.download = `${wanted.file?.name.replace(/\.\w+$/, '') ?? 'training-set'}_set.${wanted.format}`
  link.click()
  URL.revokeObjectURL(link.href)
}

export function command(wanted: Wanted): string {
  const parts = [
    'fabra train',
    wanted.file === null ? `--labels-sql ${quoted(wanted.sql.trim())}` : quoted(wanted.file.name),
    `--features ${wanted.features.join(',')}`,
    ...(wanted.timestamp === '' ? [] : [`--timestamp ${wanted.timestamp}`]),
    ...(wanted.timezone === '' ? [] : [`--timezone ${wanted.timezone}`]),
    ...(wanted.asOf === 'served' ? ['--as-served'] : wanted.asOf === 'known' ? ['--latest-knowledge'] : []),
    `-o train.${wanted.format}`,
  ]
  return parts.join(' ')
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
