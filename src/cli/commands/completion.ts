import type { Command } from 'commander'
import { FabraError } from '../../errors.ts'
import { completionScript, shells } from '../completion.ts'
import type { CliContext } from '../context.ts'

const HELP = `
Examples:
  $ source <(fabra completion bash)
  $ fabra completion zsh > "\${fpath[1]}/_fabra"
  $ fabra completion fish > ~/.config/fish/completions/fabra.fish`

export function completionCommand(program: Command, context: CliContext): void {
  program
    .command('completion')
    .description('print a script that completes the command line')
    .argument('<shell>', shells.join(', '))
    .addHelpText('after', HELP)
    .action((name: string) => {
      const shell = shells.find((known) => known === name)
      if (!shell)
        throw new FabraError('bad_usage', `"${name}" is no shell that can be completed.`, { hint: `Write one of ${shells.join(', ')}.` })
      context.stdout(completionScript(shell, program))
    })
}
