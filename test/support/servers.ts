/** Real Redis, PostgreSQL and PgBouncer servers for tests, each on a free port with a temporary folder, stopped by process id. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RedisClient, SQL, type Subprocess } from 'bun'
import { temporaryFolder } from './binary.ts'
import { freePort } from './ports.ts'
import { copyEmptyCluster, missing, postgresProgram, unprivileged } from './postgres-cluster.ts'
import { until } from './until.ts'

const READY_LIMIT_MS = 60_000

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

export interface TestCluster extends AsyncDisposable {
  /** For FABRA_REDIS_URL: all its nodes. */
  readonly url: string
  readonly nodes: readonly TestServer[]
}

/** Three masters that share the slots, without replicas. */
export async function startRedisCluster(): Promise<TestCluster> {
  const nodes: (TestServer & { readonly busPort: number })[] = []
  const dispose = async () => {
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()))
  }
  try {
    for (let n = 0; n < 3; n++) {
      const busPort = await freePort()
      const args = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '2000']
      nodes.push({ ...(await startRedis({ args })), busPort })
    }
    const [first] = nodes
    if (!first) throw new Error('No node was started.')
    const slots = [0, 5_461, 10_923, 16_384]
    for (const [n, node] of nodes.entries()) {
      await askRedis(node, 'CLUSTER', 'ADDSLOTSRANGE', String(slots[n]), String((slots[n + 1] ?? 0) - 1))
      if (n > 0) await askRedis(node, 'CLUSTER', 'MEET', '127.0.0.1', String(first.port), String(first.busPort))
    }
    await until('the cluster to agree', READY_LIMIT_MS, async () => {
      const states = await Promise.all(nodes.map((node) => askRedis(node, 'CLUSTER', 'INFO')))
      return states.every((state) => String(state).includes('cluster_state:ok')) ? true : undefined
    })
  } catch (error) {
    await dispose()
    throw error
  }
  const url = `redis+cluster://${nodes.map((node) => `127.0.0.1:${node.port}`).join(',')}`
  return { url, nodes, [Symbol.asyncDispose]: dispose }
}

export interface TestTlsRedis extends AsyncDisposable {
  /** With the user, and the file of the CA that signed its certificate. */
  readonly url: string
  /** Without TLS, as the user that may do everything. */
  readonly plain: TestServer
  readonly tlsPort: number
  readonly caFile: string
}

/** @param user What Redis's ACL lets the user `fabra` do, whose password is `se:cr@t`. */
export async function startTlsRedis(user: readonly string[]): Promise<TestTlsRedis> {
  const folder = temporaryFolder()
  const file = (name: string) => join(folder, name)
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    writeCertificates(folder)
    const tlsPort = await freePort()
    const certificates = ['--tls-cert-file', file('server.crt'), '--tls-key-file', file('server.key'), '--tls-ca-cert-file', file('ca.crt')]
    const tls = ['--tls-port', String(tlsPort), '--tls-auth-clients', 'no', ...certificates]
    const plain = await startRedis({ args: [...tls, '--user', 'fabra', 'on', '>se:cr@t', ...user] })
    const dispose = async () => {
      await plain[Symbol.asyncDispose]()
      remove()
    }
    const caFile = file('ca.crt')
    const url = `rediss://fabra:${encodeURIComponent('se:cr@t')}@127.0.0.1:${tlsPort}?ca=${encodeURIComponent(caFile)}`
    return { url, plain, tlsPort, caFile, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    remove()
    throw error
  }
}

/** A CA (ca.crt) and a certificate of it for this machine (server.crt, server.key). @param user Put before the commands: whose files they are. */
function writeCertificates(folder: string, user: readonly string[] = []): void {
  const openssl = (...args: string[]) => {
    const run = Bun.spawnSync([...user, Bun.which('openssl') ?? missing('openssl'), ...args], { cwd: folder })
    if (run.exitCode !== 0) throw new Error(`openssl ${args[0]} failed.\n${run.stderr}`)
  }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=Fabra test CA')
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE']
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-subj', '/CN=127.0.0.1']
  openssl('req', '-x509', ...key, ...signed, ...names, '-keyout', 'server.key', '-out', 'server.crt')
}

/** Everything stored there goes. */
export async function emptyRedis(server: { readonly port: number }): Promise<void> {
  await askRedis(server, 'FLUSHALL')
}

/** One command on a connection of its own, as the user that needs no password, unless one is given. */
export async function askRedis(
  { port, password }: { readonly port: number; readonly password?: string },
  command: string,
  ...args: string[]
): Promise<unknown> {
  const client = new RedisClient(`redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`, {
    autoReconnect: false,
    connectionTimeout: 1_000,
  })
  try {
    return await client.send(command, args)
  } finally {
    client.close()
  }
}

/**
 * A cluster with the database "fabra", whose superuser "fabra" needs no password.
 * @param options.settings More of its configuration, such as `['fsync=on']`; by default it is quick and forgets at a power cut.
 * @param options.withTemplate0 For databases of another encoding; without it there is only template1 to make them of.
 */
export async function startPostgres(options: { settings?: readonly string[]; withTemplate0?: boolean } = {}): Promise<TestServer> {
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  const user = unprivileged(folder)
  copyEmptyCluster(data, options.withTemplate0 ?? false)
  const port = await freePort()
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'fsync=off',
    'timezone=UTC',
    ...(options.settings ?? []),
  ]
  const command = [...user, postgresProgram('postgres'), '-D', data, ...settings.flatMap((setting) => ['-c', setting])]
  const url = `postgres://fabra@127.0.0.1:${port}/fabra`
  return running({ url, port, folder, command, stopSignal: 'SIGINT', ping: () => askPostgres(url, 'SELECT 1') })
}

export interface TestTlsPostgres extends AsyncDisposable {
  /** As the user `app`, who needs a password and TLS, and without a word of TLS in it. */
  readonly url: string
  readonly caFile: string
}

/** The password of `app` is `s/e:c@r#t`. */
export async function startTlsPostgres(): Promise<TestTlsPostgres> {
  const folder = temporaryFolder()
  const user = unprivileged(folder)
  const file = (name: string) => join(folder, name)
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    writeCertificates(folder, user)
    const rules = ['host all fabra 127.0.0.0/8 trust', 'hostssl all app 127.0.0.0/8 scram-sha-256']
    writeFileSync(file('hba.conf'), `${rules.join('\n')}\n`)
    // The certificate names the first address, not the second.
    const tls = [
      'listen_addresses=127.0.0.1,127.0.0.2',
      'ssl=on',
      `ssl_cert_file=${file('server.crt')}`,
      `ssl_key_file=${file('server.key')}`,
      `hba_file=${file('hba.conf')}`,
    ]
    const server = await startPostgres({ settings: tls })
    await askPostgres(server.url, "CREATE ROLE app LOGIN PASSWORD 's/e:c@r#t'")
    const dispose = async () => {
      await server[Symbol.asyncDispose]()
      remove()
    }
    const url = server.url.replace('fabra@', `app:${encodeURIComponent('s/e:c@r#t')}@`)
    return { url, caFile: file('ca.crt'), [Symbol.asyncDispose]: dispose }
  } catch (error) {
    remove()
    throw error
  }
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

/** Starts what the recipe says, and waits until it answers. */
export async function running(recipe: ServerRecipe): Promise<TestServer> {
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
