import { namedDefinitions, withEnvFile } from './cli/env-file.ts'
import { run } from './cli/run.ts'
import { tuneCollector } from './cli/serve/gc-settings.ts'
import type { ParentLink } from './cli/serve/worker-messages.ts'
import { processEnv } from './config/config.ts'
import { GUEST } from './runtime/worker-url.ts'

// From the sources it is the runtime that is executed, with this file as its first argument.
const isExecutable = Bun.main.startsWith('/$bunfs/')
if (isExecutable && process.argv[2] === GUEST) {
  await import('./runtime/process/guest-main.ts')
  // It ends when its server does, and not before.
  await new Promise(() => {})
}
if (isExecutable) {
  const again = (env: NodeJS.ProcessEnv) => process.execve?.(process.execPath, [process.execPath, ...process.argv.slice(2)], env)
  const args = process.argv.slice(2)
  tuneCollector({ args, env: processEnv(), settings: settingsFor(args), again })
}

// A reader that went away (`fabra serve | head -1`) must not take the server with it; a full disk must not look like success.
let lost = ''
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') lost = error.message
})
process.stderr.on('error', () => {})

/** Ends of the process are here and nowhere else. A second signal does not wait. */
const code = await run(process.argv.slice(2), {
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  cwd: process.cwd(),
  env: processEnv(),
  stdoutIsTerminal: process.stdout.isTTY === true,
  stderrIsTerminal: process.stderr.isTTY === true,
  // A terminal that was not told its size says 0.
  terminalColumns: process.stdout.columns || process.stderr.columns || undefined,
  onSignal(stop) {
    let asked = false
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(1)
        asked = true
        stop(signal)
      })
    }
  },
  ...(process.stdin.isTTY === true && process.stderr.isTTY === true ? { ask } : {}),
  workers: {
    command: isExecutable ? [process.execPath] : [process.execPath, Bun.main],
    parent: process.send === undefined ? null : parentLink(),
  },
})

async function ask(question: string): Promise<string> {
  const { createInterface } = await import('node:readline')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const { promise, resolve } = Promise.withResolvers<string>()
  terminal.question(question, resolve)
  // Ctrl-C and Ctrl-D are a no.
  terminal.once('SIGINT', () => terminal.close())
  terminal.once('close', () => resolve(''))
  const answer = await promise
  terminal.close()
  return answer
}

function settingsFor(args: readonly string[]): ReturnType<typeof processEnv> {
  try {
    return withEnvFile(processEnv(), { cwd: process.cwd(), files: namedDefinitions(args) }).env
  } catch {
    // The command itself says what is wrong.
    return processEnv()
  }
}

function parentLink(): ParentLink {
  return {
    send: (message) => void process.send?.(message),
    listen(onMessage, onGone) {
      process.on('message', onMessage)
      process.on('disconnect', onGone)
      if (!process.connected) onGone()
    },
  }
}

// A failed write is told in the next round of the event loop.
await new Promise((resolve) => setImmediate(resolve))
if (lost !== '') process.stderr.write(`error io_failed: The result could not be written: ${lost}\n`)
process.exit(lost === '' ? code : code || 1)
