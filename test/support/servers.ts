/** Real Redis, PostgreSQL and PgBouncer servers for tests, each on a free port with a temporary folder, stopped by process id. */
import { chownSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RedisClient, SQL, type Subprocess } from 'bun'
import { temporaryFolder } from './binary.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

const READY_LIMIT_MS = 30_000

/** Dispose of it (`await using`, or `[Symbol.asyncDispose]()` in afterAll) to stop it and remove its folder. */
export interface TestServer extends AsyncDisposable {
  /** For FABRA_REDIS_URL or FABRA_POSTGRES_URL. Stays the same over restarts. */
  readonly url: string
  readonly port: number
  /** Undefined while it is stopped. */
  pid(): number | undefined
  /** Starts it again after stop() or kill(), with the data it had on disk; resolves when it answers. */
  start(): Promise<void>
  /** Stops it in order and waits. */
  stop(): Promise<void>
  /** SIGKILL, and waits. */
  kill(): Promise<void>
}

interface ServerRecipe {
  readonly url: string
  readonly port: number
  readonly folder: string
  readonly command: readonly string[]
  /** The signal on which it stops in order. */
  readonly stopSignal: 'SIGTERM' | 'SIGINT'
  /** Throws while the server is not ready. */
  readonly ping: () => Promise<void>
}

/** @param options.args more of redis-server's arguments, such as `['--requirepass', 'secret']`. */
export async function startRedis(options: { args?: readonly string[] } = {}): Promise<TestServer> {
  const program = Bun.which('redis-server') ?? missing('redis-server')
  const folder = temporaryFolder()
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  const settings = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no']
  const ping = async () => {
    const client = new RedisClient(url, { autoReconnect: false, connectionTimeout: 1_000 })
    try {
      await client.send('PING', [])
    } catch (error) {
      // A server that asks for a password is ready.
      if (!(error instanceof Error && error.message.includes('NOAUTH'))) throw error
    } finally {
      client.close()
    }
  }
  return running({ url, port, folder, command: [program, ...settings, ...(options.args ?? [])], stopSignal: 'SIGTERM', ping })
}

/** Everything stored there goes. */
export async function emptyRedis({ port }: { readonly port: number }): Promise<void> {
  const client = new RedisClient(`redis://127.0.0.1:${port}`, { autoReconnect: false, connectionTimeout: 1_000 })
  try {
    await client.send('FLUSHALL', [])
  } finally {
    client.close()
  }
}

/** A cluster with the database "fabra", whose superuser "fabra" needs no password. */
export async function startPostgres(): Promise<TestServer> {
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  const user = unprivileged(folder)
  const create = [postgresProgram('initdb'), '-D', data, '-U', 'fabra', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']
  const created = Bun.spawnSync([...user, ...create], { cwd: folder })
  if (created.exitCode !== 0) throw new Error(`initdb failed.\n${created.stdout}${created.stderr}`)
  const port = await freePort()
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', 'timezone=UTC']
  const command = [...user, postgresProgram('postgres'), '-D', data, ...settings.flatMap((setting) => ['-c', setting])]
  const server = `postgres://fabra@127.0.0.1:${port}`
  const ask = (statement: string) => askPostgres(`${server}/postgres`, statement)
  const ping = () => ask('SELECT 1')
  const started = await running({ url: `${server}/fabra`, port, folder, command, stopSignal: 'SIGINT', ping })
  await ask('CREATE DATABASE fabra')
  return started
}

/**
 * PgBouncer before a server of `startPostgres`, in transaction mode: every transaction may get another of its two connections, so whatever is left
 * in a session shows.
 */
export async function startPgBouncer(postgres: TestServer): Promise<TestServer> {
  const program = [Bun.which('pgbouncer'), '/usr/sbin/pgbouncer'].find((path) => path && existsSync(path)) ?? missing('pgbouncer')
  const folder = temporaryFolder()
  const user = unprivileged(folder)
  const port = await freePort()
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: 'transaction',
    default_pool_size: 2,
    max_client_conn: 200,
    server_round_robin: 1,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  const database = `fabra = host=127.0.0.1 port=${postgres.port} dbname=fabra user=fabra`
  const config = join(folder, 'pgbouncer.ini')
  writeFileSync(config, ['[databases]', database, '[pgbouncer]', ...lines, ''].join('\n'))
  const url = `postgres://fabra@127.0.0.1:${port}/fabra`
  const ping = () => askPostgres(url, 'SELECT 1')
  return running({ url, port, folder, command: [...user, program, '-q', config], stopSignal: 'SIGINT', ping })
}

async function askPostgres(url: string, statement: string): Promise<void> {
  const client = new SQL(url, { max: 1, connectionTimeout: 1, prepare: false })
  try {
    await client.unsafe(statement)
  } finally {
    await client.close()
  }
}

async function running(recipe: ServerRecipe): Promise<TestServer> {
  let child: Subprocess | undefined
  const start = async () => {
    const starting = Bun.spawn([...recipe.command], { cwd: recipe.folder, stdio: ['ignore', 'pipe', 'pipe'] })
    const printed = Promise.all([starting.stdout.text(), starting.stderr.text()])
    child = starting
    await until(`${recipe.command.join(' ')}`, READY_LIMIT_MS, async () => {
      if (starting.exitCode !== null) throw new Error(`The server ended (${starting.exitCode}).\n${(await printed).join('')}`)
      return recipe.ping().then(
        () => true,
        () => undefined,
      )
    })
  }
  const end = async (signal: NodeJS.Signals) => {
    child?.kill(signal)
    await child?.exited
    child = undefined
  }
  const stop = () => end(recipe.stopSignal)
  const dispose = async () => {
    await stop()
    rmSync(recipe.folder, { recursive: true, force: true })
  }
  try {
    await start()
  } catch (error) {
    await end('SIGKILL')
    await dispose()
    throw error
  }
  const { url, port } = recipe
  return { url, port, pid: () => child?.pid, start, stop, kill: () => end('SIGKILL'), [Symbol.asyncDispose]: dispose }
}

/** PostgreSQL refuses to run as root. @returns what to put before its commands, with the folder handed over. */
function unprivileged(folder: string): string[] {
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
function postgresProgram(name: string): string {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  const candidates = versions.map((version) => join(root, version, 'bin', name))
  return Bun.which(name) ?? candidates.find((path) => existsSync(path)) ?? missing(name)
}

function missing(program: string): never {
  throw new Error(`${program} is not installed. Run scripts/setup --test.`)
}
