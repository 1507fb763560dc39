import type { Command } from 'commander'
import { connect } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { type RunJson, runsTable } from './runs.ts'

export function refreshCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('refresh')
    .description('compute a feature again now, for all keys in use')
    .argument('<feature>', 'name of the feature')
    .addOption(fileOption('definition files (default: features.ts and features.py, or the running server)'))
    .addOption(yesOption())
    .addHelpText('after', '\nExample:\n  $ fabra refresh spend')
    .action(async (feature: string, options: { file?: string[] }) => {
      const client = await connect(options.file ?? [], host)
      try {
        const run = (await client.post(`/v1/features/${encodeURIComponent(feature)}/refresh`, {})) as RunJson
        context.stdout(context.json ? `${JSON.stringify(run)}\n` : runsTable([run]))
        if (run.failed > 0 || (run.error !== null && !run.skipped)) context.setExitCode(1)
      } finally {
        await client.close()
      }
    })
}
