import { Command, CommanderError } from 'commander'
import packageJson from '../../package.json'
import { unpackInto } from '../app/native-library.ts'
import { systemClock } from '../clock.ts'
import { cacheFolders } from '../config/cache-folders.ts'
import { FabraError, suggest } from '../errors.ts'
import type { CliContext, CliProcess } from './context.ts'
import { type Settings, withEnvFile } from './env-file.ts'
import { spreadFiles } from './file-option.ts'
import { mayWrite } from './may-write.ts'
import { printError } from './output.ts'

const EXAMPLES = `
Examples:
  $ fabra init shop && cd shop            a project that runs, with sample data
  $ fabra serve features.ts               serve it on http://127.0.0.1:8000
  $ fabra get transaction_count_1h u1     one value
  $ fabra check                           find what is wrong without serving`

/** @returns the exit code: 0 done, 1 failed, 2 misused. */
export async function run(args: readonly string[], host: CliProcess): Promise<number> {
  let exitCode = 0
  let commands: readonly string[] = []
  let json = args.includes('--json')
  const context: CliContext = {
    stdout: host.stdout,
    stderr: host.stderr,
    get json() {
      return json
    },
    color: host.stderrIsTerminal && host.env['NO_COLOR'] === undefined && host.env['TERM'] !== 'dumb',
    cwd: host.cwd,
    clock: systemClock(),
    setExitCode(code) {
      exitCode = code
    },
  }
  try {
    let settings: Settings = { env: host.env, taken: [], notice: null }
    let yes = false
    const { ask } = host
    const program = await createProgram(
      context,
      {
        ...host,
        get env() {
          return settings.env
        },
        mayWrite: () => mayWrite({ ...settings, yes, ...(ask ? { ask } : {}) }),
      },
      args,
    )
    commands = program.commands.map((command) => command.name())
    program.hook('preAction', (_, action) => {
      const options = action.optsWithGlobals()
      json = options['json'] === true
      yes = options['yes'] === true
      // Processes of --workers have been given them.
      if (!READS_SETTINGS.has(commandOf(action)) || options['worker'] === true) return
      settings = withEnvFile(host.env, { cwd: host.cwd, files: definitionsOf(action) })
      if (settings.notice !== null) host.stderr(settings.notice)
    })
    if (args.length === 0) {
      host.stdout(`${program.helpInformation()}${EXAMPLES}\n`)
      return 0
    }
    if (args[0] === 'help') refuseUnknown(args[1], commands)
    await program.parseAsync(spreadFiles(args), { from: 'user' })
    return exitCode
  } catch (error) {
    // It has shown its help, asked for or not.
    if (error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help')) return error.exitCode === 0 ? 0 : 2
    const reported = error instanceof CommanderError ? misuse(error, args, commands) : error
    printError(reported, context)
    return reported instanceof FabraError ? reported.exitCode : 1
  }
}

/** All that are about a project; but for tests, which are the same whoever's settings lie there. */
const READS_SETTINGS: ReadonlySet<string> = new Set([
  ...['serve', 'check', 'list', 'get', 'push', 'refresh', 'runs', 'train', 'keys', 'migrate', 'doctor', 'deploy', 'healthcheck'],
])
/** Their arguments are definition files. */
const TAKES_FILES: ReadonlySet<string> = new Set(['serve', 'check', 'doctor', 'list'])

/** `keys` of `fabra keys create`. */
function commandOf(action: Command): string {
  const { parent } = action
  return parent?.parent ? commandOf(parent) : action.name()
}

function definitionsOf(action: Command): string[] {
  const named = (action.opts()['file'] ?? []) as readonly string[]
  return TAKES_FILES.has(action.name()) ? [...action.args, ...named] : [...named]
}

/** What commander says of wrong arguments, as every other error is said. */
function misuse(error: CommanderError, args: readonly string[], commands: readonly string[]): FabraError {
  const [, said = error.message, meant] = /^(?:error: )?(.+?)\.?(?:\n\((Did you mean .+)\))?$/s.exec(error.message) ?? []
  const command = args.find((word) => commands.includes(word))
  const help = command === undefined ? 'Run "fabra --help" to see every command.' : `Run "fabra ${command} --help" for its options.`
  const message = `${said.charAt(0).toUpperCase()}${said.slice(1)}.`.replaceAll(/'([^']*)'/g, '"$1"')
  return new FabraError('bad_usage', message, { hint: meant === undefined ? help : `${meant} ${help}` })
}

function refuseUnknown(name: string | undefined, commands: readonly string[]): void {
  if (name === undefined || name.startsWith('-') || name === 'help' || commands.includes(name)) return
  throw new FabraError('bad_usage', `Unknown command "${name}".`, { hint: suggest(name, commands) })
}

/** Commands are loaded when they are used: `fabra version` must not pay for the server. */
async function createProgram(context: CliContext, host: CliProcess, args: readonly string[]): Promise<Command> {
  const output = {
    writeOut: host.stdout,
    writeErr: host.stderr,
    getOutHelpWidth: () => 80,
    getErrHelpWidth: () => 80,
    // Errors are told once, by run().
    outputError: () => {},
  }
  const program = new Command('fabra')
    .description('The feature store for startups: features as plain functions or plain SQL, served, refreshed and trained from one file.')
    .option('--json', 'print results as JSON')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput(output)
    .exitOverride()
    .enablePositionalOptions(false)
  program.addHelpText('after', EXAMPLES)
  program.option('-V, --version', 'print the version')
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
    program.action(() => context.stdout(`${packageJson.version}\n`))
    return program
  }
  unpackInto(cacheFolders(host.env))
  const { registerCommands } = await import('./commands/index.ts')
  registerCommands(program, context, host)
  for (const command of program.commands) {
    command.exitOverride().configureOutput(output).showSuggestionAfterError(true)
  }
  return program
}
