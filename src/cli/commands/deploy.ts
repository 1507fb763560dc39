import type { Command } from 'commander'
import type { CliContext, CliProcess } from '../context.ts'
import type { DeployFlags } from '../deploy/deploy-run.ts'
import { fileOption } from '../file-option.ts'

const HELP = `
Platforms: fly, cloudrun, ecs, render, railway, docker (compose), systemd.
A region may be written in the words of any platform: iad, us-east-1, virginia.
All files are written or none; --force replaces files that are there.
Into the image go the definitions, what they import, files of their sources,
files that their code names, package.json and lock files, and what --include
names (it may be given several times); never what .dockerignore names, hidden
files or secrets.

Examples:
  $ fabra deploy render
  $ fabra deploy fly --name my-features
  $ fabra deploy cloudrun --name my-features --region europe-west4 --dry-run
  $ fabra deploy fly --include 'models/*.json'
  $ fabra deploy render --name my-features --check     what would fail`

export function deployCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('deploy')
    .description('write the files that a platform needs, and say what to run next')
    .argument('<platform>', 'fly, cloudrun, ecs, render, railway, docker or systemd')
    .option('--name <name>', "name of the app (default: package.json's, else the folder's)")
    .option('--region <region>', 'where it runs')
    .option('--replicas <number>', 'how many servers', '1')
    .option('-o, --output <folder>', 'where the files go', '.')
    .option('--project <id>', 'Google Cloud project (cloudrun)')
    .option('--account <id>', 'AWS account (ecs)')
    .option('--executable <path>', 'the Linux executable (default: this one)')
    .option('--release <address>', "take it from a release, by checksum (default: package.json's fabra.release)")
    .option('--include <path>', 'a file, folder or pattern that goes into the image besides', (path, before: string[] | undefined) => [
      ...(before ?? []),
      path,
    ])
    .option('--dry-run', 'print the files, write nothing')
    .option('--diff', 'print what would change, write nothing')
    .option('--check', 'say what would fail, write nothing')
    .option('--against <url>', 'with --check: prepare SQL in this PostgreSQL (default: FABRA_POSTGRES_URL)')
    .option('--force', 'replace files that are there')
    .addOption(fileOption('definition files (default: features.ts)'))
    .addHelpText('after', HELP)
    .action(async (platform: string, flags: DeployFlags) => {
      const { deploy } = await import('../deploy/deploy-run.ts')
      await deploy(platform, flags, context, host)
    })
}
