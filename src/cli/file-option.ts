import { Option } from 'commander'

const DEFINITIONS = /\.(?:[cm]?[jt]s|[jt]sx|py)$/

/** `-f a.ts b.ts`: may be given several times, too. See spreadFiles. */
export function fileOption(description: string): Option {
  return new Option('-f, --file <file>', description).argParser((file: string, before: string[] | undefined) => [...(before ?? []), file])
}

/**
 * Writes `-f a.ts b.ts cnt u1` as `-f a.ts -f b.ts cnt u1`: an option that takes all words behind it would take the command's own for files.
 */
export function spreadFiles(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  const spread: string[] = []
  // The word right behind the flag is a file, whatever it is called; those that follow are when they look like one.
  let next: 'own' | 'file' | 'perhaps' = 'own'
  for (const arg of end < 0 ? args : args.slice(0, end)) {
    const isFlag = arg === '-f' || arg === '--file'
    if (isFlag) next = 'file'
    else if (next === 'perhaps' && DEFINITIONS.test(arg)) spread.push('--file')
    else next = next === 'file' ? 'perhaps' : 'own'
    spread.push(arg)
  }
  return end < 0 ? spread : [...spread, ...args.slice(end)]
}
