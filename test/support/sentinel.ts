/** A real Redis with a replica and sentinels that watch it. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Subprocess, spawn } from 'bun'
import { temporaryFolder } from './binary.ts'
import { freePort } from './ports.ts'
import { askRedis, startRedis, type TestServer } from './servers.ts'
import { until } from './until.ts'

const READY_LIMIT_MS = 60_000
/** What the sentinels call the master. */
export const MASTER = 'main'

export interface TestSentinels extends AsyncDisposable {
  readonly ports: readonly number[]
  readonly master: TestServer
  readonly replica: TestServer
  /** The port of whatever the sentinels take for the master. */
  masterPort(): Promise<number>
}

/** @param options.password Of the servers; `sentinelPassword` of the sentinels. */
export async function startSentinels(options: { password?: string; sentinelPassword?: string } = {}): Promise<TestSentinels> {
  const { password, sentinelPassword } = options
  const folder = temporaryFolder()
  const own = password === undefined ? [] : ['--requirepass', password, '--masterauth', password]
  const servers: TestServer[] = []
  const sentinels: Subprocess[] = []
  const dispose = async () => {
    for (const sentinel of sentinels) sentinel.kill('SIGKILL')
    await Promise.all(sentinels.map((sentinel) => sentinel.exited))
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const master = await startRedis({ args: own })
    servers.push(master)
    const replica = await startRedis({ args: [...own, '--replicaof', '127.0.0.1', String(master.port)] })
    servers.push(replica)
    const ports = [await freePort(), await freePort()]
    for (const port of ports) sentinels.push(startSentinel(folder, port, master.port, options))
    const ask = (port: number, ...args: string[]) =>
      askRedis({ port, ...(sentinelPassword ? { password: sentinelPassword } : {}) }, 'SENTINEL', ...args)
    await until('the sentinels to know all', READY_LIMIT_MS, async () => {
      const listed = await Promise.all(
        ports.map(async (port) => [await ask(port, 'REPLICAS', MASTER), await ask(port, 'SENTINELS', MASTER)] as unknown[][]),
      ).catch(() => [])
      const isLinked = (one: unknown) => Bun.inspect(one).includes('master-link-status') && Bun.inspect(one).includes('ok')
      return listed.length > 0 &&
        listed.every(([replicas, others]) => replicas?.length === 1 && isLinked(replicas[0]) && others?.length === 1)
        ? true
        : undefined
    })
    return {
      ports,
      master,
      replica,
      async masterPort() {
        const address = (await ask(ports[0] ?? 0, 'GET-MASTER-ADDR-BY-NAME', MASTER)) as unknown[]
        return Number(address[1])
      },
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

function startSentinel(
  folder: string,
  port: number,
  masterPort: number,
  { password, sentinelPassword }: { password?: string; sentinelPassword?: string },
): Subprocess {
  const file = join(folder, `sentinel-${port}.conf`)
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    ...(sentinelPassword === undefined ? [] : [`requirepass ${sentinelPassword}`, `sentinel sentinel-pass ${sentinelPassword}`]),
    `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} 1`,
    ...(password === undefined ? [] : [`sentinel auth-pass ${MASTER} ${password}`]),
    `sentinel down-after-milliseconds ${MASTER} 1000`,
    `sentinel failover-timeout ${MASTER} 3000`,
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  return spawn([Bun.which('redis-server') ?? 'redis-server', file, '--sentinel'], { stdout: 'ignore', stderr: 'ignore' })
}
