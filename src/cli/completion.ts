/** Scripts that complete the command line in a shell, and the manual page: both told from the commands as they are declared. */
import type { Command, Option } from 'commander'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

interface Verb {
  readonly name: string
  readonly about: string
  readonly options: readonly Option[]
  /** Commands of its own, such as `fabra keys create`. */
  readonly verbs: readonly Verb[]
}

export function verbsOf(program: Command): readonly Verb[] {
  return program.commands.map((command) => ({
    name: command.name(),
    about: command.description(),
    options: shown(command),
    verbs: verbsOf(command),
  }))
}

export function completionScript(shell: Shell, program: Command): string {
  const verbs = verbsOf(program)
  return { bash, zsh, fish }[shell](verbs)
}

/** Without those that are not for people. */
function shown(command: Command): readonly Option[] {
  return command.options.filter((option) => !option.hidden)
}

function words(verb: Verb): string {
  return [...verb.verbs.map((one) => one.name), ...flags(verb), '--json', '--help'].join(' ')
}

function flags(verb: Verb): string[] {
  return verb.options.flatMap((option) => option.long ?? [])
}

/** Files where nothing else fits: most arguments are files. */
function bash(verbs: readonly Verb[]): string {
  return `# bash completion of fabra: source <(fabra completion bash)
_fabra() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${verbs.map((verb) => verb.name).join(' ')} help --help --version"
  else
    case "\${COMP_WORDS[1]}" in
${verbs.map((verb) => `      ${verb.name}) words="${words(verb)}" ;;\n`).join('')}      *) words="" ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _fabra fabra
`
}

function zsh(verbs: readonly Verb[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const tell = (name: string, about: string) => quote(`${name.replaceAll(':', '\\:')}:${about}`)
  const cases = verbs.map((verb) => {
    const own = [
      ...verb.verbs.map((one) => tell(one.name, one.about)),
      ...verb.options.map((option) => tell(option.long ?? '', option.description)),
    ]
    return `    ${verb.name}) offers=(${own.join(' ')}) ;;\n`
  })
  return `#compdef fabra
# zsh completion of fabra: fabra completion zsh > "\${fpath[1]}/_fabra"
_fabra() {
  local -a offers
  offers=(${verbs.map((verb) => tell(verb.name, verb.about)).join(' ')})
  if (( CURRENT == 2 )); then
    _describe command offers
    return
  fi
  case "$words[2]" in
${cases.join('')}  esac
  _describe option offers
  _files
}
if [ "$funcstack[1]" = "_fabra" ]; then _fabra "$@"; else compdef _fabra fabra; fi
`
}

function fish(verbs: readonly Verb[]): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const lines = verbs.flatMap((verb) => [
    `complete -c fabra -n __fish_use_subcommand -a ${verb.name} -d ${quote(verb.about)}`,
    ...verb.verbs.map((one) => `complete -c fabra -n '__fish_seen_subcommand_from ${verb.name}' -a ${one.name} -d ${quote(one.about)}`),
    ...verb.options.map((option) => {
      const short = option.short ? ` -s ${option.short.slice(1)}` : ''
      return `complete -c fabra -n '__fish_seen_subcommand_from ${verb.name}'${short} -l ${(option.long ?? '').slice(2)}${option.required ? ' -r' : ''} -d ${quote(option.description)}`
    }),
  ])
  return `# fish completion of fabra: fabra completion fish > ~/.config/fish/completions/fabra.fish\n${lines.join('\n')}\n`
}

/** @param variables What the environment may set. */
export function manualPage(
  program: Command,
  facts: { readonly version: string; readonly variables: readonly { name: string; default: string; help: string }[] },
): string {
  const verbs = program.commands.flatMap((command) => [command, ...command.commands])
  const nameOf = (command: Command) => (command.parent === program ? command.name() : `${command.parent?.name()} ${command.name()}`)
  const options = (command: Command) =>
    shown(command).length === 0
      ? ''
      : `.Bl -tag -width Ds\n${shown(command)
          .map((option) => `.It Fl ${mdoc(option.flags.replace(/^-/, ''))}\n${mdoc(sentence(option.description))}\n`)
          .join('')}.El\n`
  const commands = verbs.map((command) => {
    const usage = command.usage().replace('[options]', '').trim()
    return `.It Cm ${nameOf(command)}${usage === '' ? '' : ` ${mdoc(usage)}`}\n${mdoc(sentence(command.description()))}\n${options(command)}`
  })
  const variables = facts.variables.map(
    ({ name, default: fallback, help }) => `.It Ev ${name}\n${mdoc(sentence(help))}\nDefault: ${mdoc(fallback)}.\n`,
  )
  return `.Dd $Mdocdate$
.Dt FABRA 1
.Os "Fabra ${facts.version}"
.Sh NAME
.Nm fabra
.Nd feature store in one executable
.Sh SYNOPSIS
.Nm
.Ar command
.Op Ar arguments
.Sh DESCRIPTION
${mdoc(program.description())}
Results go to standard output, everything else to standard error;
.Fl -json
gives results for machines.
.Pp
The commands are:
.Bl -tag -width Ds
${commands.join('')}.El
.Sh ENVIRONMENT
.Bl -tag -width Ds
${variables.join('')}.El
.Sh EXIT STATUS
0 done, 1 failed, 2 misused.
`
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}

/** Text in which nothing is taken for a request. */
function mdoc(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('…', '...')
    .replaceAll(/[^\n -~]/g, (letter) => `\\[u${letter.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`)
    .replaceAll(/^[.']/gm, '\\&$&')
    .replaceAll(/(?<= )(?=[A-Z][a-z]\b)/g, '\\&')
    .replaceAll(/ (?=[.,:;()[\]?!](?: |$))/g, ' \\&')
}
