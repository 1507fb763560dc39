/** PostgreSQL's programs and an empty cluster for tests, made once a machine. */
import { chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { temporaryFolder } from './binary.ts'

const CACHE = join(import.meta.dir, '../../node_modules/.cache/fabra-tests')

/** In the kept folder: the cluster, and of its folder "base" what few ask for. */
const [CLUSTER, TEMPLATE0] = ['cluster', 'template0']

/**
 * A cluster as initdb leaves it, with the database "fabra" in the place of "postgres": making one costs two seconds of CPU, copying it a fifth. What
 * copying costs is files and megabytes: the log is cut in small pieces, and template0 comes along only where it is asked for. It is kept beside the
 * installed packages, one a version of PostgreSQL.
 */
export function copyEmptyCluster(to: string, withTemplate0: boolean): void {
  const kept = emptyCluster()
  copy(join(kept, CLUSTER), to)
  if (withTemplate0) for (const oid of readdirSync(join(kept, TEMPLATE0))) copy(join(kept, TEMPLATE0, oid), join(to, 'base', oid))
}

/** @returns the folder where it is kept. */
function emptyCluster(): string {
  const program = postgresProgram('initdb')
  const version = Bun.spawnSync([program, '--version']).stdout.toString().trim().replace(/\W+/g, '-')
  const kept = join(CACHE, `cluster-beside-template0-of-${version}`)
  if (existsSync(kept)) return kept
  const folder = temporaryFolder()
  const user = unprivileged(folder)
  const data = join(folder, 'data')
  const run = (command: readonly string[], input?: string) => {
    const ended = Bun.spawnSync([...user, ...command], { cwd: folder, ...(input === undefined ? {} : { stdin: Buffer.from(input) }) })
    if (ended.exitCode !== 0) throw new Error(`${command[0]} failed.\n${ended.stdout}${ended.stderr}`)
    return String(ended.stdout)
  }
  run([program, '-D', data, '-U', 'fabra', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync', '--wal-segsize=1'])
  const statements = ['CREATE DATABASE fabra', 'DROP DATABASE postgres', "SELECT oid FROM pg_database WHERE datname = 'template0'"]
  const said = run([postgresProgram('postgres'), '--single', '-D', data, 'template1'], `${statements.join('\n')}\n`)
  const template = /oid = "(\d+)"/.exec(said)?.[1]
  if (template === undefined) throw new Error(`template0 was not found.\n${said}`)
  // Whole or not at all: another process may make one at the same moment, and either is as good.
  const whole = join(CACHE, basename(folder))
  mkdirSync(join(whole, TEMPLATE0), { recursive: true })
  copy(data, join(whole, CLUSTER))
  renameSync(join(whole, CLUSTER, 'base', template), join(whole, TEMPLATE0, template))
  rmSync(folder, { recursive: true, force: true })
  try {
    renameSync(whole, kept)
  } catch {
    rmSync(whole, { recursive: true, force: true })
  }
  return kept
}

/** With its owners and rights, which node:fs does not keep. */
function copy(from: string, to: string): void {
  const copied = Bun.spawnSync(['cp', '-a', from, to])
  if (copied.exitCode !== 0) throw new Error(`${from} could not be copied.\n${copied.stderr}`)
}

/** PostgreSQL refuses to run as root. @returns what to put before its commands, with the folder handed over. */
export function unprivileged(folder: string): string[] {
  if (process.getuid?.() !== 0) return []
  const numbers = ['postgres', 'nobody'].map((name) => ({
    uid: Bun.spawnSync(['id', '-u', name]).stdout.toString().trim(),
    gid: Bun.spawnSync(['id', '-g', name]).stdout.toString().trim(),
  }))
  const user = numbers.find(({ uid }) => uid !== '')
  if (!user) throw new Error('PostgreSQL needs a user other than root; there is neither "postgres" nor "nobody".')
  chownSync(folder, Number(user.uid), Number(user.gid))
  // Unlike su and runuser, setpriv becomes the program: the child's process id is the server's.
  return ['setpriv', '--reuid', user.uid, '--regid', user.gid, '--clear-groups', '--']
}

/** Debian keeps PostgreSQL's programs off PATH, one folder a version. */
export function postgresProgram(name: string): string {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  const candidates = versions.map((version) => join(root, version, 'bin', name))
  return Bun.which(name) ?? candidates.find((path) => existsSync(path)) ?? missing(name)
}

export function missing(program: string): never {
  throw new Error(`${program} is not installed. Run scripts/setup --test.`)
}
