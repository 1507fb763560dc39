import type { Command } from 'commander'
import { readConfig } from '../../config/config.ts'
import { FabraError } from '../../errors.ts'
import { runningServer } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'

const HELP = `
Asks for the server of this folder, or for the one at --url. Where there is no
browser to open, the address is printed. An API key is asked for by the page.

Examples:
  $ fabra ui
  $ fabra ui --print
  $ fabra ui --url https://features.example.com`

const ANSWER_MS = 5_000

export function uiCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('ui')
    .description('open the page that shows what is served, and how old it is')
    .option('--url <address>', 'of the server (default: the one of this folder)')
    .option('--print', 'print the address, open nothing')
    .addHelpText('after', HELP)
    .action((options: { url?: string; print?: boolean }) => openUi(options, context, host))
}

async function openUi({ url, print }: { url?: string; print?: boolean }, context: CliContext, host: CliProcess): Promise<void> {
  const address = `${(url ?? (await ownServer(host))).replace(/\/+$/, '')}/ui/`
  await demandPage(address)
  const isOpened = print !== true && !context.json && open(address, host)
  if (context.json) context.stdout(`${JSON.stringify({ url: address })}\n`)
  else context.stdout(isOpened ? `Opened ${address}\n` : `${address}\n`)
}

async function ownServer(host: CliProcess): Promise<string> {
  const config = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const server = await runningServer(config.dataDir)
  if (server) return server.url
  throw new FabraError('server_unreachable', 'No server of this folder is running.', {
    hint: 'Start it with "fabra serve", or name another: fabra ui --url http://127.0.0.1:8000.',
  })
}

/** @throws FabraError server_unreachable, not_found */
async function demandPage(address: string): Promise<void> {
  const response = await fetch(address, { signal: AbortSignal.timeout(ANSWER_MS) }).catch((cause: unknown) => {
    throw new FabraError('server_unreachable', `No server answers at ${address}.`, { hint: 'Is "fabra serve" running there?', cause })
  })
  await response.body?.cancel()
  if (response.ok) return
  throw new FabraError('not_found', `${address} answered ${response.status}: there is no page.`, {
    hint: 'The server may run with FABRA_UI=off.',
  })
}

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = { darwin: ['open'], linux: ['xdg-open'] }

/** Whether a browser was asked to open it. Over a connection without a screen there is none. */
function open(address: string, { env, stdoutIsTerminal }: CliProcess): boolean {
  const command = OPENERS[process.platform]
  const hasScreen = process.platform !== 'linux' || Boolean(env['DISPLAY'] ?? env['WAYLAND_DISPLAY'])
  if (!command || !hasScreen || !stdoutIsTerminal) return false
  const [program = ''] = command
  if (Bun.which(program) === null) return false
  Bun.spawn([...command, address], { stdio: ['ignore', 'ignore', 'ignore'] }).unref()
  return true
}
