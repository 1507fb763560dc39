import type { Command } from 'commander'
import type { CliContext, CliProcess } from '../context.ts'
import { auditLogCommand } from './audit-log.ts'
import { backupCommands } from './backup.ts'
import { checkCommand } from './check.ts'
import { completionCommand } from './completion.ts'
import { deployCommand } from './deploy.ts'
import { doctorCommand } from './doctor.ts'
import { exportCommand } from './export.ts'
import { getCommand } from './get.ts'
import { healthcheckCommand } from './healthcheck.ts'
import { initCommand } from './init.ts'
import { keysCommand } from './keys.ts'
import { listCommand } from './list.ts'
import { migrateCommand } from './migrate.ts'
import { pushCommand } from './push.ts'
import { refreshCommand } from './refresh.ts'
import { runsCommand } from './runs.ts'
import { serveCommand } from './serve.ts'
import { setupCommand } from './setup.ts'
import { testCommand } from './test.ts'
import { trainCommand } from './train.ts'
import { typesCommand } from './types.ts'
import { uiCommand } from './ui.ts'
import { versionCommand } from './version.ts'

export function registerCommands(program: Command, context: CliContext, host: CliProcess): void {
  initCommand(program, context)
  serveCommand(program, context, host)
  checkCommand(program, context, host)
  listCommand(program, context, host)
  getCommand(program, context, host)
  pushCommand(program, context, host)
  refreshCommand(program, context, host)
  runsCommand(program, context, host)
  trainCommand(program, context, host)
  testCommand(program, context, host)
  typesCommand(program, context, host)
  uiCommand(program, context, host)
  keysCommand(program, context, host)
  auditLogCommand(program, context, host)
  migrateCommand(program, context, host)
  doctorCommand(program, context, host)
  exportCommand(program, context, host)
  backupCommands(program, context, host)
  deployCommand(program, context, host)
  setupCommand(program, context)
  healthcheckCommand(program, context, host)
  completionCommand(program, context)
  versionCommand(program, context, host)
}
