import type { Command } from 'commander'
import type { Finding } from '../../app/finding.ts'
import { readConfig } from '../../config/config.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { yesOption } from '../may-write.ts'
import { tableWidth } from '../output.ts'

const HELP = `
Asks PostgreSQL and Redis whether they are fit for production, and the sources
of the definitions whether their tables have an index; reads the laptop's data
file to its last row. Changes nothing, shows no password. Exit code 1 when
something will not work.

With --security it says of each default that keeps a server safe whether it
holds, with the variables that are set here: give it those of the server.

With --growth it says how much is stored, by store, table and feature, how much
a day of that is new, what there will be in a year, and what settings would
save. It asks the running server, or opens the stores as a server does.

With --repair a damaged data file is moved aside (nothing is deleted), what can
still be read of it becomes the data file again, and what is lost is said. No
server may be running.

Examples:
  $ fabra doctor
  $ fabra doctor features.ts --json
  $ FABRA_ENV=production fabra doctor --security
  $ fabra doctor --growth
  $ fabra doctor --repair`

interface DoctorOptions {
  readonly repair?: boolean
  readonly security?: boolean
  readonly growth?: boolean
}

const MARKS = { ok: ['ok', 32], warning: ['warning', 33], problem: ['problem', 31] } as const

export function doctorCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('doctor')
    .description('find what stands in the way of production, and how to mend it')
    .argument('[files...]', 'definition files (default: features.ts and features.py, where they are there)')
    .option('--security', 'say of each default that keeps a server safe whether it holds')
    .option('--growth', 'say how much is stored, how fast it grows, and what settings would save')
    .option('--repair', 'make a damaged data file usable again')
    .addHelpText('after', HELP)
    .addOption(yesOption())
    .action((files: readonly string[], { repair, security, growth }: DoctorOptions) => {
      if (growth) return import('./growth.ts').then(({ showGrowth }) => showGrowth(files, context, host))
      if (security) return judgeSecurity(context, host)
      return repair ? repairFile(files, context, host) : doctor(files, context, host)
    })
}

async function doctor(given: readonly string[], context: CliContext, host: CliProcess): Promise<void> {
  const config = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const { defaultFiles, featureFiles } = await import('../feature-files.ts')
  const hasFiles = given.length > 0 || defaultFiles(host.cwd).length > 0
  const { examine } = await import('../../app/doctor.ts')
  show(await examine(config, hasFiles ? featureFiles(given, host.cwd) : []), context, host)
}

async function judgeSecurity(context: CliContext, host: CliProcess): Promise<void> {
  const config = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const { examineSecurity } = await import('../../app/doctor-security.ts')
  show(await examineSecurity(config, context.clock.now()), context, host)
}

async function repairFile(given: readonly string[], context: CliContext, host: CliProcess): Promise<void> {
  if (given.length > 0) {
    throw new FabraError('bad_usage', '"doctor --repair" takes no files.', {
      hint: 'It mends the data folder: the one of the current folder, or of FABRA_DATA_DIR.',
    })
  }
  const config = readConfig(host.env, { cwd: host.cwd, terminal: host.stderrIsTerminal })
  const { repair } = await import('../../app/doctor-file.ts')
  show(await repair(config, new Date()), context, host)
}

function show(findings: readonly Finding[], context: CliContext, host: CliProcess): void {
  if (findings.some(({ state }) => state === 'problem')) context.setExitCode(1)
  if (context.json) {
    context.stdout(`${JSON.stringify({ findings })}\n`)
    return
  }
  for (const { subject, state, message, fix } of findings) {
    const [word, colour] = MARKS[state]
    const mark = context.color ? `\u001b[${colour}m${word.padEnd(8)}\u001b[0m` : word.padEnd(8)
    context.stdout(hanging(mark, `${subject}: ${message}`, host))
    if (fix !== null) context.stdout(hanging('         →', fix, host))
  }
}

/** A terminal would break lines anywhere, and a marked list is hard to read then. */
function hanging(mark: string, text: string, host: CliProcess): string {
  const indent = Bun.stringWidth(mark) + 1
  const width = tableWidth(host.stdoutIsTerminal, host)
  const lines = width === null ? [text] : Bun.wrapAnsi(text, width - indent, { hard: false }).split('\n')
  return `${mark} ${lines.join(`\n${' '.repeat(indent)}`)}\n`
}
