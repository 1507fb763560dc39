import type { Config } from '../../config/config.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { createWorkers } from './workers.ts'

/** Beyond the time that workers have for running requests, for making history durable. */
const CLOSING_MS = 10_000
const MOST_WORKERS = 256

/** @throws FabraError bad_usage */
export function workerCount(text: string | undefined): number {
  if (text === undefined) return 1
  const count = Number(text)
  if (/^\d+$/.test(text) && count >= 1 && count <= MOST_WORKERS) return count
  throw new FabraError('bad_usage', `--workers "${text}" is not a number of processes.`, {
    hint: `Write a whole number from 1 to ${MOST_WORKERS}.`,
  })
}

/** Several processes see the same values only in stores outside of them. @throws FabraError bad_usage */
export function requireShared(count: number, config: Config): void {
  const missing = [
    ...(config.postgresUrl === null ? ['FABRA_POSTGRES_URL=postgres://user:password@host:5432/database'] : []),
    ...(config.redisUrl === null ? ['FABRA_REDIS_URL=redis://host:6379'] : []),
  ]
  if (missing.length === 0) return
  const why = config.postgresUrl === null ? 'a DuckDB file has one owner' : 'one process does not see what another holds in memory'
  throw new FabraError('bad_usage', `--workers ${count} needs PostgreSQL and Redis: ${why}.`, {
    hint: `Set ${missing.join(' and ')}, or serve with one process.`,
  })
}

export interface Served {
  readonly count: number
  readonly config: Config
  /** Arguments of each worker, but for the port. */
  readonly args: readonly string[]
  readonly log: Parameters<typeof createWorkers>[0]['log']
  /** Resolves when the command is asked to end. */
  readonly asked: Promise<string>
}

export async function serveWorkers(served: Served, context: CliContext, host: CliProcess): Promise<void> {
  const { count, config, args } = served
  const self = host.workers?.command ?? []
  const workers = createWorkers({
    count,
    command: (port) => [...self, ...args, '--port', String(port ?? config.port)],
    cwd: host.cwd,
    env: host.env,
    localKey: crypto.randomUUID(),
    graceMs: config.drainSeconds * 1000 + CLOSING_MS,
    log: served.log,
  })
  const began = await Promise.race([workers.start(), served.asked.then(() => null)])
  if (began !== null && 'exitCode' in began) {
    // It has said why.
    context.setExitCode(began.exitCode || 1)
    return
  }
  if (began !== null) context.stdout(began.welcome)
  await served.asked
  context.setExitCode(await workers.stop())
}
