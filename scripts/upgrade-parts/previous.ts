/** The executable of the release before: built from the repository's own objects, once for each commit. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../../test/support/binary.ts'

const PROJECT = join(import.meta.dir, '../..')
const NAMED_IN = 'scripts/previous-release'
const CACHE = join(PROJECT, 'node_modules', '.cache', 'fabra')

export interface PreviousRelease {
  readonly commit: string
  readonly binary: string
}

/** @throws Error that says why it cannot be built, and what to do. */
export function previousRelease(): PreviousRelease {
  const commit = readFileSync(join(PROJECT, NAMED_IN), 'utf8')
    .split('\n')
    .find((line) => /^[0-9a-f]{40}$/.test(line))
  if (commit === undefined) throw new Error(`${NAMED_IN} names no commit: it needs a line of 40 hexadecimal digits.`)
  const binary = join(CACHE, `previous-${commit}`)
  if (!existsSync(binary)) build(commit, binary)
  return { commit, binary }
}

function build(commit: string, binary: string): void {
  if (run(['git', 'cat-file', '-e', `${commit}^{commit}`], PROJECT).exitCode !== 0)
    throw new Error(
      `The previous release, commit ${commit} (${NAMED_IN}), is not in this clone, so that an upgrade from it cannot be tried. ` +
        'A shallow clone lacks it: git fetch --unshallow, or git fetch origin with that commit.',
    )
  const folder = temporaryFolder()
  try {
    const archive = join(folder, 'release.tar')
    succeed(run(['git', 'archive', `--output=${archive}`, commit], PROJECT))
    succeed(run(['tar', '-xf', archive], folder))
    if (readFileSync(join(folder, 'bun.lock'), 'utf8') === readFileSync(join(PROJECT, 'bun.lock'), 'utf8'))
      symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'))
    else succeed(run([process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts'], folder))
    const draft = join(folder, 'dist', 'fabra')
    succeed(run([process.execPath, 'scripts/build.ts', '--outfile', draft], folder))
    mkdirSync(CACHE, { recursive: true })
    succeed(run(['cp', draft, `${binary}.${process.pid}`], folder))
    renameSync(`${binary}.${process.pid}`, binary)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(command: readonly string[], cwd: string) {
  return { command, ...Bun.spawnSync([...command], { cwd, stdio: ['ignore', 'pipe', 'pipe'] }) }
}

function succeed({ command, exitCode, stdout, stderr }: ReturnType<typeof run>): void {
  if (exitCode !== 0) throw new Error(`The previous release cannot be built: ${command.join(' ')} failed.\n${stdout}${stderr}`)
}
