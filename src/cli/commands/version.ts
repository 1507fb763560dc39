import type { Command } from 'commander'
import packageJson from '../../../package.json'
import type { CliContext } from '../context.ts'

export function versionCommand(program: Command, context: CliContext): void {
  program
    .command('version')
    .description('print the version')
    .option('--unpack', 'load the native library, which unpacks it: for images')
    .action(async ({ unpack }: { unpack?: boolean }) => {
      const facts = { version: packageJson.version, bun: Bun.version, duckdb: packageJson.dependencies['@duckdb/node-api'] }
      if (unpack) (await import('../../app/app.ts')).engineVersion()
      context.stdout(context.json ? `${JSON.stringify(facts)}\n` : `${facts.version}\n`)
    })
}
