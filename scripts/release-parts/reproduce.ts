/** Makes a release again as somebody else would, from a copy of its sources: in another folder, with another home, umask, language and time zone. */
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const PROJECT = join(import.meta.dir, '../..')
/** DuckDB's compressed libraries, named for what is in them: at the highest level each takes the better part of a minute. */
const COMPRESSED = 'node_modules/.cache/fabra'

/** Longest time for each of its steps. */
const STEP_MS = 20 * 60_000

interface Again {
  /** The release that was made. */
  readonly release: string
  /** A folder to work in. */
  readonly work: string
  /** Of zstd, as `scripts/release --level`. */
  readonly level: string
}

/** @returns how many files were compared. @throws Error naming every file that is not the same. */
export function reproduce({ release, work, level }: Again): number {
  const copy = join(work, 'another place', 'fabra')
  const again = join(work, 'again')
  for (const folder of [copy, join(work, 'another home'), join(work, 'another tmp')]) mkdirSync(folder, { recursive: true })
  const env = {
    // The Bun that is here: what is made is compared, not where its maker comes from.
    PATH: `${join(PROJECT, '.bun')}:${process.env['PATH']}`,
    HOME: join(work, 'another home'),
    TMPDIR: join(work, 'another tmp'),
    TZ: 'Pacific/Kiritimati',
    LC_ALL: 'C',
    // What was downloaded once is not downloaded again.
    BUN_INSTALL_CACHE_DIR: process.env['BUN_INSTALL_CACHE_DIR'] ?? join(homedir(), '.bun/install/cache'),
    npm_config_cache: process.env['npm_config_cache'] ?? join(homedir(), '.npm'),
  }
  shell(
    'git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | (umask 077; tar -x --no-same-permissions -C "$1")',
    copy,
    {
      cwd: PROJECT,
    },
  )
  shell('umask 077; mkdir -p "$(dirname "$2")"; scripts/setup; cp -R "$1" "$2"', join(PROJECT, COMPRESSED), join(copy, COMPRESSED), {
    cwd: copy,
    env,
  })
  const base = /FABRA_RELEASE:-([^@}]+)\}/.exec(readFileSync(join(release, 'install.sh'), 'utf8'))?.[1]
  const targets = readdirSync(join(release, 'npm')).filter((name) => name !== 'fabra')
  shell(
    'umask 077; exec scripts/release "$@"',
    '--out',
    again,
    '--level',
    level,
    '--only',
    targets.join(),
    ...(base ? ['--base', base] : []),
    {
      cwd: copy,
      env,
    },
  )
  const names = filesIn(release)
  const differing = [...new Set([...names, ...filesIn(again)])].filter(
    (name) => fingerprint(join(release, name)) !== fingerprint(join(again, name)),
  )
  if (differing.length > 0) throw new Error(`Made again from a copy of the sources, these are not the same: ${differing.join(', ')}`)
  return names.length
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile())
}

/** Contents and permissions. */
function fingerprint(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat ? `${stat.mode} ${new Bun.CryptoHasher('sha256').update(readFileSync(path)).digest('hex')}` : ''
}

type Where = { readonly cwd: string; readonly env?: Readonly<Record<string, string | undefined>> }

/** @param more Arguments of the script, `$1` and so on; then where it runs. */
function shell(script: string, ...more: readonly [...string[], Where]): void {
  const where = more.at(-1) as Where
  const words = more.slice(0, -1) as string[]
  const options = { ...where, timeout: STEP_MS }
  const { exitCode, exitedDueToTimeout, stdout, stderr } = Bun.spawnSync(
    ['bash', '-euc', `set -o pipefail; ${script}`, 'bash', ...words],
    options,
  )
  if (exitedDueToTimeout) throw new Error(`${script} did not end within ${STEP_MS / 60_000} minutes.\n${stdout}${stderr}`)
  if (exitCode !== 0) throw new Error(`${script} ended with ${exitCode}.\n${stdout}${stderr}`)
}
