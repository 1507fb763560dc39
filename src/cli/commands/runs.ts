import type { Command } from 'commander'
import { connect } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { yesOption } from '../may-write.ts'
import { table } from '../output.ts'

export interface RunJson {
  readonly feature: string
  readonly reason: string
  readonly started_at: string
  readonly duration_ms: number | null
  readonly keys: number
  readonly changed: number
  readonly failed: number
  readonly skipped: number
  readonly error: string | null
}

export function runsCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('runs')
    .description('what refreshes did, newest first')
    .argument('[feature]', 'only runs of this feature')
    .option('-n, --limit <count>', 'at most this many', '20')
    .addOption(yesOption())
    .addHelpText('after', '\nExamples:\n  $ fabra runs\n  $ fabra runs spend --limit 5')
    .action(async (feature: string | undefined, options: { limit: string }) => {
      const query = new URLSearchParams({ limit: options.limit, ...(feature === undefined ? {} : { feature }) })
      const client = await connect([], host)
      try {
        const body = (await client.get(`/v1/runs?${query}`)) as { runs: readonly RunJson[] }
        context.stdout(context.json ? `${JSON.stringify(body)}\n` : runsTable(body.runs))
      } finally {
        await client.close()
      }
    })
}

export function runsTable(runs: readonly RunJson[]): string {
  const rows = runs.map((run) => [
    run.started_at.slice(0, 19).replace('T', ' '),
    run.feature,
    run.reason,
    run.duration_ms === null ? 'running' : `${run.duration_ms} ms`,
    String(run.keys),
    String(run.changed),
    String(run.failed),
    run.error ?? '',
  ])
  return table([['STARTED (UTC)', 'FEATURE', 'REASON', 'TOOK', 'KEYS', 'CHANGED', 'FAILED', 'FIRST ERROR'], ...rows])
}
