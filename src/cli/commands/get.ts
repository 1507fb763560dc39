import type { Command } from 'commander'
import { stringifyExact } from '../../definition/exact-json.ts'
import { FabraError } from '../../errors.ts'
import { type Client, connect } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'

interface Served {
  readonly value: unknown
  readonly status: string
  readonly served_from: string | null
  readonly freshness_ms: number | null
}

const HELP = `
Examples:
  $ fabra get transaction_count_1h u1
  $ fabra get pair_total user_id=u1 merchant_id=m9
  $ fabra get amount_vs_usual u1 amount=25 --json`

export function getCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('get')
    .description('get one feature of one key')
    .argument('<feature>', 'name of the feature, or feature.column')
    .argument('<key...>', 'the id, or column=value for several key columns and for inputs')
    .option('--max-age <duration>', 'oldest age to accept, such as 30s')
    .addOption(fileOption('definition files (default: features.ts and features.py, or the running server)'))
    .addOption(yesOption())
    .addHelpText('after', HELP)
    .action(async (feature: string, key: readonly string[], options: { maxAge?: string; file?: string[] }) => {
      const { query, ids } = keyQuery(key)
      if (options.maxAge !== undefined) query.set('max_age', options.maxAge)
      const client = await connect(options.file ?? [], host)
      try {
        if (ids.length > 1) throw await severalIds(client, feature, ids)
        const served = (await client.get(`/v1/features/${encodeURIComponent(feature)}?${query}`)) as Served
        context.stdout(`${context.json ? stringifyExact(served) : valueText(served.value)}\n`)
        if (!context.json) context.stderr(`${howServed(served)}\n`)
      } finally {
        await client.close()
      }
    })
}

/** The word without `=` is the id; a word with `=` names its column. An id that holds `=` is written entity_id=… */
function keyQuery(words: readonly string[]): { readonly query: URLSearchParams; readonly ids: readonly string[] } {
  const query = new URLSearchParams()
  const ids: string[] = []
  for (const word of words) {
    const at = word.indexOf('=')
    const [name, value] = at > 0 && /^[A-Za-z_]\w*$/.test(word.slice(0, at)) ? [word.slice(0, at), word.slice(at + 1)] : ['entity_id', word]
    if (name === 'entity_id') ids.push(value)
    else if (query.has(name))
      throw new FabraError('bad_usage', `${name} is given twice.`, { hint: 'Several key columns are written column=value.' })
    query.set(name, value)
  }
  return { query, ids }
}

/** Names the columns that the ids may have been meant for. */
async function severalIds(client: Client, feature: string, ids: readonly string[]): Promise<FabraError> {
  const found = (await client.get('/v1/features')) as { features: readonly { name: string; entity: string }[] }
  const { entities } = (await client.get('/v1/entities')) as { entities: readonly { name: string; key: object }[] }
  const name = feature.split('.', 1)[0] ?? feature
  const entity = found.features.find((one) => one.name === name)?.entity
  const columns = Object.keys(entities.find((one) => one.name === entity)?.key ?? {})
  const given = `${ids.length} ids are given: ${ids.map((id) => JSON.stringify(id)).join(', ')}.`
  if (columns.length === 0) return new FabraError('bad_usage', given, { hint: 'Several key columns are written column=value.' })
  const key = `The key of "${name}" is the ${columns.length === 1 ? 'column' : 'columns'} ${columns.join(', ')}; ${given}`
  const example = columns.map((column, i) => `${column}=${ids[i] ?? '…'}`).join(' ')
  return new FabraError('bad_usage', key, { hint: `Write column=value: fabra get ${feature} ${example}` })
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : stringifyExact(value)
}

function howServed(served: Served): string {
  const age = served.freshness_ms === null ? 'age unknown' : `${served.freshness_ms} ms old`
  return served.served_from === null ? served.status : `${served.status}, ${served.served_from.replace('_', ' ')}, ${age}`
}
