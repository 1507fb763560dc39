import type { CliProcess } from '../../src/cli/context.ts'
import { run } from '../../src/cli/run.ts'
import type { Finished } from './binary.ts'

/** Runs a command in this process, where no terminal is and no signal comes, and hears what it says. */
export async function runCommand(args: readonly string[], host: Pick<CliProcess, 'cwd' | 'env'> & Partial<CliProcess>): Promise<Finished> {
  const said = { stdout: '', stderr: '' }
  const hears = (name: keyof typeof said) => (text: string) => {
    said[name] += text
  }
  const exitCode = await run(args, {
    stdout: hears('stdout'),
    stderr: hears('stderr'),
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    onSignal: () => undefined,
    ...host,
  })
  return { exitCode, ...said }
}
