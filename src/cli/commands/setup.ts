import { resolve } from 'node:path'
import type { Command } from 'commander'
import { stackFiles } from '../../deploy/stack.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext } from '../context.ts'
import { randomSecret } from '../secret.ts'
import { writeFiles } from '../write-files.ts'

interface SetupFlags {
  readonly postgresPort: string
  readonly redisPort: string
  readonly force?: boolean
}

const HELP = `
Writes compose.yaml with PostgreSQL and Redis, reachable from this machine only,
and .env with generated passwords and the addresses that Fabra reads.

Example:
  $ fabra setup && docker compose up --detach --wait`

const NEXT = ['docker compose up --detach --wait', 'set -a; . ./.env; set +a', 'fabra migrate', 'fabra keys create', 'fabra serve']

export function setupCommand(program: Command, context: CliContext): void {
  program
    .command('setup')
    .description('write a PostgreSQL and a Redis for this machine, with passwords')
    .argument('[dir]', 'folder of the files', '.')
    .option('--postgres-port <port>', 'where PostgreSQL listens', '5432')
    .option('--redis-port <port>', 'where Redis listens', '6379')
    .option('--force', 'replace files that are there, and with them the passwords')
    .addHelpText('after', HELP)
    .action((dir: string, flags: SetupFlags) => {
      const ports = { postgres: port('--postgres-port', flags.postgresPort), redis: port('--redis-port', flags.redisPort) }
      if (ports.postgres === ports.redis)
        throw new FabraError('bad_usage', 'Both ports are the same.', { hint: 'Give PostgreSQL and Redis a port each.' })
      const folder = resolve(context.cwd, dir)
      const files = stackFiles({ ports, secret: randomSecret }).map(({ path, text, mode }) => ({ path, data: text, mode }))
      writeFiles(folder, files, { force: flags.force === true })
      const paths = files.map((file) => file.path)
      const next = [...(dir === '.' ? [] : [`cd ${dir}`]), ...NEXT]
      if (context.json) context.stdout(`${JSON.stringify({ directory: folder, files: paths, next })}\n`)
      else
        context.stdout(
          `Wrote ${paths.join(' and ')}. Passwords are in .env: keep it out of git.\n\nNext:\n${next.map((line) => `  ${line}\n`).join('')}`,
        )
    })
}

function port(flag: string, text: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= 1 && number <= 65_535) return number
  throw new FabraError('bad_usage', `${flag} "${text}" is not a port.`, { hint: 'Write a whole number from 1 to 65535.' })
}
