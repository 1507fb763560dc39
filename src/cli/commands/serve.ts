import { type Command, Option } from 'commander'
import type { App } from '../../app/app.ts'
import { requireKeyring } from '../../config/bound-address.ts'
import { readConfig, requireProduction } from '../../config/config.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { restoreEditorTypes } from '../editor-types.ts'
import { featureFiles } from '../feature-files.ts'
import { fileOption } from '../file-option.ts'
import { yesOption } from '../may-write.ts'
import { printError } from '../output.ts'
import { requireShared, serveWorkers, workerCount } from '../serve/serve-workers.ts'
import { welcome } from '../serve/welcome.ts'
import { type Begin, hello, isFromParent, listening, type ParentLink } from '../serve/worker-messages.ts'

interface ServeOptions {
  readonly host?: string
  readonly port?: string
  readonly clock?: string
  readonly file?: readonly string[]
  readonly insecure?: boolean
  readonly watch?: boolean
  readonly workers?: string
  /** This process is one of several, started by another. */
  readonly worker?: boolean
}

const HELP = `
Examples:
  $ fabra serve                                  the folder's features.ts, .py
  $ fabra serve features.ts --port 9000 --watch
  $ fabra serve --workers 4                      with PostgreSQL and Redis
  $ fabra serve examples/flights.ts --clock 2001-03-15T12:00:00Z`

export function serveCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('serve')
    .description('serve features over HTTP')
    .argument('[files...]', 'definition files (default: features.ts and features.py)')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--insecure', 'let other machines in without API keys (development)')
    .option('--port <port>', 'port to listen on, 0 for any free one (default: 8000)')
    .addOption(new Option('--clock <time>', 'take this for the present; time runs on from there, state lives apart').argParser(String))
    .option('-w, --watch', 'reload the definitions when a file changes')
    .option('--workers <count>', 'processes that share the port (default: 1); more than one need PostgreSQL and Redis')
    .addOption(new Option('--worker').hideHelp())
    .addOption(fileOption('definition files, as with other commands'))
    .addOption(yesOption())
    .addHelpText('after', HELP)
    .action((files: readonly string[], options: ServeOptions) => serve([...files, ...(options.file ?? [])], options, context, host))
}

async function serve(given: readonly string[], options: ServeOptions, context: CliContext, host: CliProcess): Promise<void> {
  const { promise: asked, resolve: stop } = Promise.withResolvers<string>()
  host.onSignal(stop)
  const { commandLogger } = await import('../logging.ts')
  const clockOffset = options.clock === undefined ? null : (await parseClock(options.clock)) - context.clock.now()
  refusePort(options.port)
  const count = workerCount(options.workers)
  const config = readConfig(withFlags(host.env, options), { cwd: host.cwd, terminal: host.stderrIsTerminal })
  requireProduction(config)
  requireKeyring(config)
  const files = featureFiles(given, host.cwd)
  await host.mayWrite?.()
  const log = commandLogger(config, host)
  if (count > 1) {
    if (clockOffset !== null) throw new FabraError('bad_usage', '--clock is for one process.', { hint: 'Leave --workers out.' })
    requireShared(count, config)
    requireProduction(config)
    for (const file of files) restoreEditorTypes(file)
    return serveWorkers({ count, config, args: workerArgs(files, options, context), log, asked }, context, host)
  }
  const parent = options.worker ? workersParent(host) : null
  const begun = parent && (await beginWorker(parent, () => stop('the process that watches over this one')))
  if (options.worker && !begun) return
  if (!begun) for (const file of files) restoreEditorTypes(file)
  const { beginRuntime } = await import('../../app/preloaded-runtime.ts')
  const runtime = beginRuntime({
    files,
    clockOffset: clockOffset ?? 0,
    python: config.python,
    isolation: config.isolation,
    log: (level, message, fields) => log[level](message, fields),
  })
  const { openApp } = await import('../../app/app.ts')
  const opening = openApp({
    files,
    config,
    log,
    clockOffset: clockOffset ?? 0,
    apart: clockOffset !== null,
    runtime,
    loadsBehind: true,
    ...(begun ? { shared: begun } : {}),
  })
  // Asked to end while the definitions load: nothing serves yet, so there is nothing to wait for.
  const app = await Promise.race([opening, asked.then(() => null)])
  if (app === null) return
  try {
    const server = await app.listen()
    // Whoever asks for what needs no source is answered by now; what is said here shows the data.
    if ((await Promise.race([app.whole.then(() => true), asked.then(() => false)])) === false) return
    const said = await welcome(app, server, { files, processes: begun?.processes, clockOffset }, context)
    if (begun) parent?.send(listening({ port: server.port, welcome: said }))
    else context.stdout(said)
    if (options.watch) app.watch((error) => tellReload(error, app, context))
    const signal = await asked
    log.debug('stopping', { signal })
  } finally {
    await app.close()
  }
}

/** As this process was called, but for the port. */
function workerArgs(files: readonly string[], options: ServeOptions, context: CliContext): string[] {
  const flags = [
    ...(context.json ? ['--json'] : []),
    ...(options.watch ? ['--watch'] : []),
    ...(options.host === undefined ? [] : ['--host', options.host]),
    ...(options.insecure ? ['--insecure'] : []),
  ]
  return ['serve', '--worker', ...flags, ...files.flatMap((file) => ['--file', file])]
}

function workersParent(host: CliProcess): ParentLink {
  const parent = host.workers?.parent
  if (parent) return parent
  throw new FabraError('bad_usage', '--worker is what processes of --workers are called with.', { hint: 'Write --workers 4.' })
}

/** @returns what it is told to begin with; undefined when it is told to stop instead. */
function beginWorker(parent: ParentLink, onStop: () => void): Promise<Begin | undefined> {
  const { promise, resolve } = Promise.withResolvers<Begin | undefined>()
  const end = () => {
    resolve(undefined)
    onStop()
  }
  parent.listen((message) => {
    if (!isFromParent(message)) return
    if (message.kind === 'begin') resolve(message)
    else end()
  }, end)
  parent.send(hello())
  return promise
}

function tellReload(error: unknown, app: App, context: CliContext): void {
  if (error === undefined) {
    context.stderr(`reloaded: ${app.serving().registry.features.size} features\n`)
    return
  }
  printError(error, { ...context, json: false })
  context.stderr('The last good definitions go on serving.\n')
}

/** A wrong flag is told as a flag, not as the variable it stands for. */
function refusePort(port: string | undefined): void {
  if (port === undefined || (/^\d+$/.test(port) && Number(port) <= 65_535)) return
  throw new FabraError('bad_usage', `--port "${port}" is not a port.`, { hint: 'Write a whole number up to 65535; 0 takes any free one.' })
}

/** Flags win over the environment. */
function withFlags(env: CliProcess['env'], options: ServeOptions): CliProcess['env'] {
  return {
    ...env,
    ...(options.host === undefined ? {} : { FABRA_HOST: options.host }),
    ...(options.insecure ? { FABRA_INSECURE: '1' } : {}),
    ...(options.port === undefined ? {} : { FABRA_PORT: options.port }),
  }
}

async function parseClock(text: string): Promise<number> {
  const { parseTime } = await import('../../definition/time.ts')
  try {
    return parseTime(text)
  } catch (cause) {
    const hint = cause instanceof FabraError ? cause.hint : undefined
    throw new FabraError('bad_usage', `--clock "${text}" is not a time.`, { cause, hint: hint ?? 'Write it as 2001-03-15T12:00:00Z.' })
  }
}
