import type { Command } from 'commander'
import packageJson from '../../../package.json'
import { pythonSettingsOf } from '../../config/python-settings.ts'
import type { CliContext, CliProcess } from '../context.ts'

export function versionCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('version')
    .description('print the version')
    .option('--unpack', 'unpack what the executable carries, the native library and the package for Python: for images')
    .action(async ({ unpack }: { unpack?: boolean }) => {
      const facts = { version: packageJson.version, bun: Bun.version, duckdb: packageJson.dependencies['@duckdb/node-api'] }
      if (unpack) {
        const { engineVersion, prepareForImage } = await import('../../app/app.ts')
        engineVersion()
        await prepareForImage(pythonSettingsOf(host.env))
      }
      context.stdout(context.json ? `${JSON.stringify(facts)}\n` : `${facts.version}\n`)
    })
}
