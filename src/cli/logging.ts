import type { Config } from '../config/config.ts'
import { secretsOf } from '../config/secrets.ts'
import { createLogger, type Logger } from '../observability/logger.ts'
import type { CliProcess } from './context.ts'

export function commandLogger(config: Config, host: CliProcess): Logger {
  return createLogger({
    level: config.logLevel,
    format: config.logFormat,
    color: host.stderrIsTerminal && host.env['NO_COLOR'] === undefined,
    secrets: secretsOf(config),
    write: host.stderr,
    time: () => new Date().toISOString(),
    mostAlike: config.logAlike,
  })
}
