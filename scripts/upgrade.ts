/** An upgrade and the way back, under load and over one folder. What a rolling deploy must not show is counted, and makes the run fail. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { builtBinary, type RunningFabra, startFabra, temporaryFolder } from '../test/support/binary.ts'
import type { Document } from '../test/support/json-schema.ts'
import { startPostgres, startRedis } from '../test/support/servers.ts'
import { whole } from './chaos-parts/whole.ts'
import { Client, Problems, type Target } from './soak-parts/client.ts'
import { PYTHON, TYPESCRIPT } from './soak-parts/definitions.ts'
import { Work } from './soak-parts/work.ts'
import { upgradeFolder } from './upgrade-parts/folder.ts'
import { previousRelease } from './upgrade-parts/previous.ts'
import { Stalls } from './upgrade-parts/stalls.ts'

const ASKERS = Number(process.env['ASKERS'] ?? 4)
/** Between an answer and the next question of the same asker. */
const PAUSE_MS = 40
const LEAST_CHECKED = 1_000
const SECONDS = Number(process.env['SECONDS'] ?? 4)
/** A machine with much else to do takes its time. */
const RECOVERY_MS = 300_000
const READ = '/v1/features/score?user_id=k0'
/** The versions of two replicas: one of them is another in each step. */
const STEPS: readonly (readonly [Release, Release])[] = [
  ['previous', 'previous'],
  ['this', 'previous'],
  ['this', 'this'],
  ['previous', 'this'],
  ['previous', 'previous'],
  ['this', 'previous'],
  ['this', 'this'],
]

type Release = 'previous' | 'this'

interface Replica {
  readonly version: Release
  readonly running: RunningFabra
  readonly target: Target
}

const problems = new Problems()
const binaries: Record<Release, string> = { previous: '', this: builtBinary() }
try {
  const { commit, binary } = previousRelease()
  binaries.previous = binary
  console.log(`The release before is ${commit}.`)
  await rollUnderLoad()
  for (const said of await upgradeFolder(binaries, problems)) console.log(said)
} catch (error) {
  problems.add('failure', error instanceof Error ? error.message : String(error))
}
for (const [kind, { count, first }] of problems.kinds) console.log(`${kind}: ${count}\n  ${first.join('\n  ')}`)
console.log(problems.kinds.size === 0 ? 'No request failed, and no value was wrong.' : `${problems.kinds.size} kinds of problems.`)
process.exitCode = problems.kinds.size === 0 ? 0 : 1

async function rollUnderLoad(): Promise<void> {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'features.ts'), TYPESCRIPT)
  writeFileSync(join(folder, 'features.py'), PYTHON)
  await using postgres = await startPostgres()
  await using redis = await startRedis()
  const replicas: (Replica | undefined)[] = []
  const start = async (version: Release): Promise<Replica> => {
    const running = await startFabra({
      ...{ cwd: folder, file: join(folder, 'features.ts'), args: [join(folder, 'features.py')], binary: binaries[version] },
      env: { FABRA_POSTGRES_URL: postgres.url, FABRA_REDIS_URL: redis.url, FABRA_DRAIN_SECONDS: '120' },
    })
    const document = (await (await fetch(`${running.url}/openapi.json`)).json()) as Document
    // What a balancer does: nothing is sent there before it says that it is ready.
    await whole([running.url], READ, RECOVERY_MS)
    return { version, running, target: { url: running.url, isDown: false, document } }
  }
  const targets: Target[] = []
  const client = new Client(targets, {} as Document, problems)
  const work = new Work(client, problems)
  const stalls = new Stalls(postgres.url, redis.url)
  let excused = 0
  client.onFailure = (what, askedAt, answeredAt) => {
    if (/\b50[34]\b/.test(what) && stalls.within(askedAt, answeredAt)) excused++
    else problems.add('a request that failed', what)
  }
  let load: Load | undefined
  try {
    for (const versions of STEPS) {
      const startedAt = performance.now()
      for (const [i, version] of versions.entries()) {
        if (replicas[i]?.version === version) continue
        const leaving = replicas[i]
        const coming = await start(version)
        replicas[i] = coming
        targets.push(coming.target)
        if (leaving === undefined) continue
        // Nothing more is sent there; what is under way must still be answered.
        targets.splice(targets.indexOf(leaving.target), 1)
        process.kill(leaving.running.pid, 'SIGTERM')
        await leaving.running.exited
      }
      load ??= startLoad(work)
      await Bun.sleep(SECONDS * 1_000)
      await whole(
        targets.map(({ url }) => url),
        READ,
        RECOVERY_MS,
      )
      console.log(`${versions.join(' + ').padEnd(22)} ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
    }
    await load?.stop()
    await work.readAll()
    judge(client, work, excused)
  } finally {
    await load?.stop()
    await stalls.close()
    for (const replica of replicas) await replica?.running.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function judge(client: Client, work: Work, excused: number): void {
  for (const [what, count] of [...client.counts].sort(([a], [b]) => a.localeCompare(b)))
    console.log(`${String(count).padStart(9)}  ${what}`)
  const checked = `${work.ledger.checked} pushed values and ${work.events.checked} counts checked, ${work.forgotten} keys forgotten`
  console.log(`${checked}; ${excused} refused for want of time while the machine stood still`)
  if (work.ledger.checked < LEAST_CHECKED || work.events.checked < LEAST_CHECKED)
    problems.add('failure', 'Too little was asked to judge by.')
}

interface Load {
  stop(): Promise<void>
}

/** Each asks when it has been answered: a slow machine is asked less. */
function startLoad(work: Work): Load {
  let isOver = false
  const asker = async () => {
    while (!isOver) {
      await work.one().catch((error: unknown) => problems.add('failure', String(error)))
      await Bun.sleep(PAUSE_MS)
    }
  }
  const asking = Promise.all(Array.from({ length: ASKERS }, asker))
  return {
    async stop() {
      isOver = true
      await asking
    },
  }
}
