import { run } from './cli/run.ts'
import { processEnv } from './config.ts'

/** Ends of the process are here and nowhere else. A second signal does not wait. */
const code = await run(process.argv.slice(2), {
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  cwd: process.cwd(),
  env: processEnv(),
  stdoutIsTerminal: process.stdout.isTTY === true,
  stderrIsTerminal: process.stderr.isTTY === true,
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
})
process.exit(code)
