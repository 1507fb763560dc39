/** `fabra doctor --growth`: the same as GET /v1/storage, for people. */
import { connect } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { table } from '../output.ts'

interface StorageJson {
  readonly stores: readonly {
    readonly technology: string
    readonly bytes: number | null
    readonly max_bytes: number | null
    readonly keys: number | null
    readonly bytes_a_day: number | null
    readonly bytes_in_a_year: number | null
  }[]
  readonly tables: readonly {
    readonly name: string
    readonly rows: number | null
    readonly bytes: number | null
    readonly rows_a_day: number | null
    readonly bytes_a_day: number | null
    readonly bytes_in_a_year: number | null
  }[]
  readonly features: readonly {
    readonly feature: string
    readonly is_defined: boolean
    readonly rows: number
    readonly bytes: number
    readonly rows_a_day: number
    readonly bytes_a_day: number
    readonly bytes_in_a_year: number
    readonly keep_ms: number | null
    readonly online_bytes: number | null
  }[]
  readonly savings: readonly { readonly setting: string; readonly bytes_now: number; readonly bytes_in_a_year: number }[]
  readonly is_estimate: boolean
}

const DAY_MS = 86_400_000
/** Largest of each; --json has all. */
const MOST = 20

export async function showGrowth(files: readonly string[], context: CliContext, host: CliProcess): Promise<void> {
  const client = await connect(files, host, { cold: true })
  try {
    const storage = (await client.get('/v1/storage')) as StorageJson
    context.stdout(context.json ? `${JSON.stringify(storage)}\n` : growthText(storage))
  } finally {
    await client.close()
  }
}

export function growthText({ stores, tables, features, savings, is_estimate }: StorageJson): string {
  const parts = [
    table([
      ['STORE', 'HOLDS', 'AT MOST', 'KEYS', 'A DAY', 'IN A YEAR'],
      ...stores.map((one) => [
        one.technology,
        size(one.bytes),
        size(one.max_bytes),
        count(one.keys),
        size(one.bytes_a_day),
        size(one.bytes_in_a_year),
      ]),
    ]),
    table([
      ['TABLE', 'ROWS', 'HOLDS', 'ROWS A DAY', 'A DAY', 'IN A YEAR'],
      ...tables
        .slice(0, MOST)
        .map((one) => [
          one.name,
          count(one.rows),
          size(one.bytes),
          count(one.rows_a_day),
          size(one.bytes_a_day),
          size(one.bytes_in_a_year),
        ]),
    ]),
  ]
  if (features.length > 0)
    parts.push(
      table([
        ['FEATURE', 'ROWS', 'HOLDS', 'ROWS A DAY', 'A DAY', 'IN A YEAR', 'KEPT', 'IN REDIS'],
        ...features
          .slice(0, MOST)
          .map((one) => [
            one.is_defined ? one.feature : `${one.feature} (not defined)`,
            count(one.rows),
            size(one.bytes),
            count(one.rows_a_day),
            size(one.bytes_a_day),
            size(one.bytes_in_a_year),
            one.keep_ms === null ? 'for ever' : `${Math.round(one.keep_ms / DAY_MS)}d`,
            size(one.online_bytes),
          ]),
      ]),
      table([
        ['SETTING', 'SAVES NOW', 'SAVES IN A YEAR'],
        ...savings.map((one) => [one.setting, size(one.bytes_now), size(one.bytes_in_a_year)]),
      ]),
    )
  const note = is_estimate ? 'Figures of features are estimates, from a sample of what is recorded.\n' : ''
  return `${parts.join('\n')}${note}`
}

function count(number: number | null): string {
  return number === null ? '–' : number.toLocaleString('en')
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

function size(bytes: number | null): string {
  if (bytes === null) return '–'
  const unit = bytes < 1_024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1_024 ** unit).toFixed(unit === 0 ? 0 : 1)} ${UNITS[unit]}`
}
