import type { Command } from 'commander'
import type { CliContext } from '../context.ts'
import type { SetupFlags } from '../deploy/setup-run.ts'

const HELP = `
Writes compose.yaml with PostgreSQL and Redis, reachable from this machine only,
and .env with generated passwords and the addresses that Fabra reads. Passwords
that are in .env stay, and so do other lines of it. The folder monitoring gets
alert rules for Prometheus and a dashboard for Grafana.

Example:
  $ fabra setup && docker compose up --detach --wait`

export function setupCommand(program: Command, context: CliContext): void {
  program
    .command('setup')
    .description('write a PostgreSQL and a Redis for this machine, with passwords')
    .argument('[dir]', 'folder of the files', '.')
    .option('--postgres-port <port>', 'where PostgreSQL listens', '5432')
    .option('--redis-port <port>', 'where Redis listens', '6379')
    .option('--force', 'replace files that are there; passwords stay')
    .addHelpText('after', HELP)
    .action(async (dir: string, flags: SetupFlags) => {
      const { setup } = await import('../deploy/setup-run.ts')
      setup(dir, flags, context)
    })
}
