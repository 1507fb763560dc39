import type { Config } from '../config.ts'
import { createLogger, type Logger } from '../observability/logger.ts'
import type { CliProcess } from './run.ts'

export function commandLogger(config: Config, process: CliProcess): Logger {
  return createLogger({
    level: config.logLevel,
    format: config.logFormat,
    color: process.stderrIsTerminal && process.env['NO_COLOR'] === undefined,
    write: process.stderr,
    time: () => new Date().toISOString(),
  })
}
