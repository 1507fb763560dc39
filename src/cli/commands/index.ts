import type { Command } from 'commander'
import type { CliContext } from '../context.ts'
import type { CliProcess } from '../run.ts'
import { checkCommand } from './check.ts'
import { getCommand } from './get.ts'
import { initCommand } from './init.ts'
import { listCommand } from './list.ts'
import { refreshCommand } from './refresh.ts'
import { runsCommand } from './runs.ts'
import { serveCommand } from './serve.ts'
import { versionCommand } from './version.ts'

export function registerCommands(program: Command, context: CliContext, process: CliProcess): void {
  initCommand(program, context)
  serveCommand(program, context, process)
  checkCommand(program, context)
  listCommand(program, context, process)
  getCommand(program, context, process)
  refreshCommand(program, context, process)
  runsCommand(program, context, process)
  versionCommand(program, context)
}
