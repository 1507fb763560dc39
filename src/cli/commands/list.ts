import type { Command } from 'commander'
import { connect } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { table, tableWidth } from '../output.ts'

interface Listed {
  readonly name: string
  readonly entity: string
  readonly kind: string
  readonly type?: string | null
  readonly columns?: Readonly<Record<string, string>>
  readonly refresh: string | null
  readonly history: string
  readonly recorded: string
  readonly description: string | null
}

export function listCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('list')
    .description('list the features')
    .argument('[files...]', 'definition files, as with -f')
    .addOption(fileOption('definition files (default: features.ts and features.py, or the running server)'))
    .addOption(yesOption())
    .addHelpText('after', '\nExamples:\n  $ fabra list\n  $ fabra list examples/flights.ts --json')
    .action(async (files: string[], options: { file?: string[] }) => {
      const client = await connect([...files, ...(options.file ?? [])], host)
      try {
        const body = (await client.get('/v1/features')) as { features: readonly Listed[] }
        context.stdout(context.json ? `${JSON.stringify(body)}\n` : listing(body.features, tableWidth(host.stdoutIsTerminal, host)))
      } finally {
        await client.close()
      }
    })
}

function listing(features: readonly Listed[], width: number | null): string {
  const rows = features.map((feature) => [
    feature.name,
    feature.entity,
    typeText(feature),
    feature.kind,
    refreshWord(feature),
    historyWord(feature),
    feature.description ?? '',
  ])
  return table([['FEATURE', 'ENTITY', 'TYPE', 'KIND', 'REFRESH', 'HISTORY', 'DESCRIPTION'], ...rows], width)
}

function typeText(feature: Listed): string {
  if (!feature.columns) return feature.type ?? 'json'
  return Object.entries(feature.columns)
    .map(([name, type]) => `${name} ${type}`)
    .join(', ')
}

function refreshWord(feature: Listed): string {
  return feature.refresh ?? 'pushed'
}

/** In a narrow column. Why it is so is told by --json and the feature's page. */
function historyWord({ kind, history, recorded }: Listed): string {
  const share = /^recorded for (.*?):/.exec(recorded)?.[1]
  if (share !== undefined) return share
  if (recorded.startsWith('never')) return 'never'
  return kind === 'pushed' ? 'all' : history === 'auto' ? 'changes' : history
}
