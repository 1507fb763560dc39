import type { TestServer } from '../../test/support/servers.ts'
import { type Fault, faults } from '../chaos-parts/faults.ts'
import type { Client } from './client.ts'
import type { DelayedPath } from './delayed-path.ts'

export interface SoakFaultsOptions {
  readonly redis: TestServer
  readonly postgres: TestServer
  /** Of each replica to Redis. */
  readonly paths: readonly DelayedPath[]
  readonly client: Client
  /** SIGKILL for one of the replicas, and after a while another process in its place. */
  readonly killReplica: () => Promise<void>
  readonly startReplica: () => Promise<void>
}

const SLOW_MS = 80
const BLOCKED_AT_ONCE = 4

/** Those of scripts/chaos, and what becomes of the processes themselves. */
export function soakFaults({ redis, postgres, paths, client, killReplica, startReplica }: SoakFaultsOptions): readonly Fault[] {
  const nothing = async () => undefined
  const signal = (name: NodeJS.Signals) => async () => {
    const pid = redis.pid()
    if (pid !== undefined) process.kill(pid, name)
  }
  // The other must hear of what this one owes.
  const cut = (isCut: boolean) => async () => {
    for (const path of paths.slice(0, 1)) path.isCut = isCut
  }
  return [
    { name: 'a function that blocks', begin: () => askBlocking(client), end: nothing, lastsMs: 1_000 },
    { name: 'Redis stopped', begin: signal('SIGSTOP'), end: signal('SIGCONT'), lastsMs: 4_000 },
    { name: 'a Python process killed', begin: () => killPython(client), end: nothing, lastsMs: 0 },
    {
      name: 'a slow network',
      begin: async () => {
        for (const path of paths) path.delayMs = SLOW_MS
      },
      end: async () => {
        for (const path of paths) path.delayMs = 0
      },
      lastsMs: 4_000,
    },
    { name: 'Redis out of reach of one', begin: cut(true), end: cut(false), lastsMs: 4_000 },
    { name: 'a replica killed', begin: killReplica, end: startReplica, lastsMs: 1_000 },
    ...faults(redis, postgres),
  ]
}

async function askBlocking(client: Client): Promise<void> {
  await Promise.all(
    Array.from({ length: BLOCKED_AT_ONCE }, (_, i) => client.ask('a function that blocks', `/v1/features/blocks?user_id=k${i}`)),
  )
}

async function killPython(client: Client): Promise<void> {
  const { status, json } = await client.ask('realtime Python', '/v1/features/python_process?user_id=k1')
  const pid = status === 200 ? (json as { value: unknown }).value : undefined
  if (typeof pid === 'number') process.kill(pid, 'SIGKILL')
}
