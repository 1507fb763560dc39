import type { Command } from 'commander'
import { readConfig } from '../../config/config.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'

const HELP = `
For images, which have no curl: HEALTHCHECK CMD ["fabra", "healthcheck"].
It asks the server of this machine at FABRA_PORT (in production also PORT).

Exit codes: 0 healthy, 1 not.`

const LONGEST_MS = 60_000

export function healthcheckCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('healthcheck')
    .description('ask the local server whether it is up')
    .option('--port <port>', 'port of the server')
    .option('--ready', 'ask whether its stores can be reached, too')
    .option('--timeout <ms>', 'longest wait', '2500')
    .addHelpText('after', HELP)
    .action((flags: { port?: string; ready?: boolean; timeout: string }) => healthcheck(flags, context, host))
}

async function healthcheck(
  flags: { port?: string; ready?: boolean; timeout: string },
  context: CliContext,
  host: CliProcess,
): Promise<void> {
  const limitMs = Number(flags.timeout)
  if (!/^\d+$/.test(flags.timeout) || limitMs < 1 || limitMs > LONGEST_MS) {
    throw new FabraError('bad_usage', `--timeout "${flags.timeout}" is not a time.`, { hint: `Write milliseconds, up to ${LONGEST_MS}.` })
  }
  const url = `${address(flags.port, host)}${flags.ready ? '/ready' : '/health'}`
  const startedAt = performance.now()
  const status = await ask(url, limitMs)
  const elapsedMs = Math.round(performance.now() - startedAt)
  if (status !== 200) {
    throw new FabraError(
      'server_unreachable',
      status === null ? `No server answers at ${url} within ${limitMs} ms.` : `${url} answered ${status}.`,
      {
        hint: 'Look at the log of "fabra serve".',
      },
    )
  }
  context.stdout(context.json ? `${JSON.stringify({ url, healthy: true, elapsed_ms: elapsedMs })}\n` : 'healthy\n')
}

/** A server that listens on all addresses is asked at the first of them. */
function address(port: string | undefined, host: CliProcess): string {
  const config = readConfig({ ...host.env, ...(port === undefined ? {} : { FABRA_PORT: port }) }, { cwd: host.cwd, terminal: false })
  const name = config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host
  return `http://${name.includes(':') ? `[${name}]` : name}:${config.port}`
}

async function ask(url: string, limitMs: number): Promise<number | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(limitMs), keepalive: false })
    return response.status
  } catch {
    return null
  }
}
