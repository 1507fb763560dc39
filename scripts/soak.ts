/**
 * Everything at once for a long time: two replicas over one PostgreSQL and one Redis, all kinds of requests at half of what they can do, and a
 * fault a minute (in a run of few minutes, as many as there are). What must not happen is counted, and makes the run fail.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningFabra, startFabra, temporaryFolder } from '../test/support/binary.ts'
import type { Document } from '../test/support/json-schema.ts'
import { startPostgres, startRedis } from '../test/support/servers.ts'
import { whole } from './chaos-parts/whole.ts'
import { Client, Problems, type Target } from './soak-parts/client.ts'
import { PYTHON, TYPESCRIPT } from './soak-parts/definitions.ts'
import { delayedPathTo } from './soak-parts/delayed-path.ts'
import { soakFaults } from './soak-parts/faults.ts'
import { Footprint } from './soak-parts/footprint.ts'
import { Work } from './soak-parts/work.ts'

const MINUTES = Number(process.argv[2] ?? 2)
if (!(MINUTES > 0)) throw new Error('Say for how many minutes: scripts/soak 30')
const RATE = process.env['RATE']
const BINARY = process.env['BINARY']
const HISTORY_AWAY = 'postgres away'
const FAULTS = process.env['FAULTS']?.split(',')
const EVERY_MS = process.env['EVERY_MS'] === undefined ? undefined : Number(process.env['EVERY_MS'])
const MEASURED_MS = 5_000
const AT_ONCE = 32
/** A run too short to be judged by what it takes looks for what is wrong alone, on a machine that has other things to do. */
const LONG_MINUTES = 10
const MODEST_RATE = 100
/** More would wait than anybody looks after: what is measured then is this process. */
const MOST_UNDER_WAY = 2_000
/** A machine with much else to do takes its time. */
const RECOVERY_MS = 300_000

const folder = temporaryFolder()
writeFileSync(join(folder, 'features.ts'), TYPESCRIPT)
writeFileSync(join(folder, 'features.py'), PYTHON)
await using postgres = await startPostgres()
await using redis = await startRedis()
await using toRedisOfA = await delayedPathTo(redis)
await using toRedisOfB = await delayedPathTo(redis)
const replicas = new Map<string, { running: RunningFabra; readonly target: Target }>()
const problems = new Problems()

const start = (name: string): Promise<RunningFabra> => {
  const cwd = join(folder, name)
  mkdirSync(cwd, { recursive: true })
  const env = { FABRA_POSTGRES_URL: postgres.url, FABRA_REDIS_URL: `redis://127.0.0.1:${(name === 'a' ? toRedisOfA : toRedisOfB).port}` }
  const file = join(folder, 'features.ts')
  return startFabra({ cwd, file, args: [join(folder, 'features.py')], env, ...(BINARY === undefined ? {} : { binary: BINARY }) })
}

try {
  for (const name of ['a', 'b']) {
    const running = await start(name)
    replicas.set(name, { running, target: { url: running.url, isDown: false } })
  }
  await soak()
} catch (error) {
  problems.add('failure', String(error))
} finally {
  for (const [name, { running }] of replicas) {
    await running.stop()
    if (problems.kinds.size > 0 || process.env['LOGS'] !== undefined)
      writeFileSync(join(tmpdir(), `fabra-soak-${name}.log`), running.stdout() + running.stderr())
  }
  rmSync(folder, { recursive: true, force: true })
}
for (const [kind, { count, first }] of problems.kinds) console.log(`${kind}: ${count}\n  ${first.join('\n  ')}`)
console.log(
  problems.kinds.size === 0
    ? 'Nothing was wrong.'
    : `${problems.kinds.size} kinds of problems; ${tmpdir()}/fabra-soak-*.log has what the replicas said.`,
)
process.exitCode = problems.kinds.size === 0 ? 0 : 1

function replica(name: string) {
  const found = replicas.get(name)
  if (found === undefined) throw new Error(`No replica ${name}.`)
  return found
}

async function soak(): Promise<void> {
  const document = (await (await fetch(`${replica('a').running.url}/openapi.json`)).json()) as Document
  const client = new Client(
    [...replicas.values()].map(({ target }) => target),
    document,
    problems,
  )
  const work = new Work(client, problems)
  const rate =
    RATE === undefined
      ? Math.min(Math.ceil((await measuredPeak(work)) / 2), MINUTES < LONG_MINUTES ? MODEST_RATE : Number.POSITIVE_INFINITY)
      : Number(RATE)
  console.log(`${rate} requests a second for ${MINUTES} minutes, two replicas.`)
  const footprint = new Footprint(
    [...replicas.keys()].map((name) => ({ name, pid: () => replica(name).running.pid, url: () => replica(name).target.url })),
  )
  const load = startWork(work, rate)
  const endsAt = performance.now() + MINUTES * 60_000
  const all = soakFaults({
    ...{ redis, postgres, paths: [toRedisOfA, toRedisOfB], client },
    killReplica: async () => {
      const { running, target } = replica('b')
      target.isDown = true
      await running.kill()
    },
    startReplica: async () => {
      const { target } = replica('b')
      const running = await start('b')
      replicas.set('b', { running, target })
      target.url = running.url
      target.isDown = false
    },
  })
  const known = FAULTS === undefined ? all : all.filter(({ name }) => FAULTS.includes(name))
  const everyMs = EVERY_MS ?? Math.min(60_000, (MINUTES * 60_000) / (known.length + 1))
  console.log('fault                             at (s)  whole again after (ms)')
  for (let i = 0, dueAt = performance.now() + everyMs; dueAt < endsAt; i++, dueAt = Math.max(performance.now(), dueAt + everyMs)) {
    await Bun.sleep(Math.max(0, dueAt - performance.now()))
    const fault = known[i % known.length]
    if (fault === undefined) break
    const at = (performance.now() - endsAt) / 1000 + MINUTES * 60
    footprint.note(fault.name)
    await fault.prepare?.()
    if (fault.name === HISTORY_AWAY) work.historyAwayUntil = Number.POSITIVE_INFINITY
    await fault.begin()
    await Bun.sleep(fault.lastsMs)
    await fault.end()
    const endedAt = performance.now()
    await bothWhole()
    if (fault.name === HISTORY_AWAY) work.historyAwayUntil = performance.now()
    console.log(`${fault.name.padEnd(32)} ${at.toFixed(0).padStart(7)} ${(performance.now() - endedAt).toFixed(0).padStart(23)}`)
  }
  await Bun.sleep(Math.max(0, endsAt - performance.now()))
  await load.stop()
  footprint.end()
  const judged = footprint.judge()
  if (judged.problem !== undefined) problems.add('growth', judged.problem)
  await work.readAll()
  await bothWhole()
  print(client, work, judged.text)
}

function bothWhole(): Promise<void> {
  return whole(
    [...replicas.values()].map(({ target }) => target.url),
    '/v1/features/score?user_id=k0',
    RECOVERY_MS,
  )
}

/** Requests a second with so many under way. */
async function measuredPeak(work: Work): Promise<number> {
  let count = 0
  const until = performance.now() + MEASURED_MS
  const asker = async () => {
    for (; performance.now() < until; count++) await work.one()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, asker))
  return count / (MEASURED_MS / 1000)
}

/** So many requests a second, whatever becomes of them. */
function startWork(work: Work, rate: number): { stop(): Promise<void> } {
  const underWay = new Set<Promise<void>>()
  let before = performance.now()
  let due = 0
  const timer = setInterval(() => {
    const now = performance.now()
    due += ((now - before) / 1000) * rate
    before = now
    for (; due >= 1; due--) {
      if (underWay.size >= MOST_UNDER_WAY) continue
      const asked = work
        .one()
        .catch((error: unknown) => problems.add('failure', String(error)))
        .finally(() => underWay.delete(asked))
      underWay.add(asked)
    }
  }, 10)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(underWay)
    },
  }
}

function print(client: Client, work: Work, footprint: string): void {
  console.log()
  for (const [what, count] of [...client.counts].sort(([a], [b]) => a.localeCompare(b)))
    console.log(`${String(count).padStart(9)}  ${what}`)
  const checked = `${work.ledger.checked} pushed values and ${work.events.checked} counts checked, ${work.forgotten} keys forgotten, ${work.lastResorts} older values told as last good while PostgreSQL was away`
  console.log(`${checked}; slowest answer ${client.slowestMs.toFixed(0)} ms`)
  console.log(`${footprint}\n`)
}
