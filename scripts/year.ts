/** A year in minutes: what the sizes of everything come to, month by month, and whether they were foretold. */
import { rmSync } from 'node:fs'
import { temporaryFolder } from '../test/support/binary.ts'
import { startPostgres, startRedis } from '../test/support/servers.ts'
import { Life } from './year-parts/life.ts'
import { Measures } from './year-parts/measures.ts'
import { Replica } from './year-parts/replica.ts'

const given = process.argv.slice(2)
const isProduction = given.includes('--production')
const MONTHS = Number(given.find((word) => !word.startsWith('--')) ?? 12)
if (!(MONTHS > 0)) throw new Error('Say for how many months: scripts/year 3 --production')
const KEYS = Number(process.env['KEYS'] ?? 10_000)
const SEED = Number(process.env['SEED'] ?? 20260110)
const DAYS = MONTHS * 30
/** A short run looks more often, and keeps less, so that there is something to compare and something that leaves. */
const [PERIOD_DAYS, KEPT_DAYS] = MONTHS < 3 ? [10, 15] : [30, 45]
const TRAINED_DAYS = KEPT_DAYS - 2
const SETS_A_PERIOD = 4

const folder = temporaryFolder()
const problems = new Map<string, number>()
const onProblem = (what: string) => void problems.set(what, (problems.get(what) ?? 0) + 1)
await using postgres = isProduction ? await startPostgres() : undefined
await using redis = isProduction ? await startRedis() : undefined
const addresses: Record<string, string> = postgres && redis ? { FABRA_POSTGRES_URL: postgres.url, FABRA_REDIS_URL: redis.url } : {}
const replica = new Replica({ folder, env: { ...addresses, FABRA_HISTORY_KEEP: `${KEPT_DAYS}d`, FABRA_DATA_DIR: `${folder}/data` } })
const life = new Life({ replica, folder, keys: KEYS, keptDays: TRAINED_DAYS, random: randomOf(SEED), onProblem })
const measures = new Measures({ replica, folder, postgres: postgres?.url, redis: redis?.url, onProblem })
try {
  life.writeDefinitions()
  await replica.start()
  console.log(measures.head())
  for (let day = 0; day < DAYS; day++) {
    await life.day(day)
    await measures.tidy()
    if ((day + 1) % PERIOD_DAYS !== 0) continue
    await life.train(SETS_A_PERIOD)
    console.log(await measures.period(day + 1, () => life.readSome()))
    await life.restart()
  }
} catch (error) {
  onProblem(error instanceof Error ? error.message : String(error))
} finally {
  await replica.end('SIGTERM').catch((error: unknown) => onProblem(String(error)))
  rmSync(folder, { recursive: true, force: true })
}
console.log(`${life.checked} values of training sets compared, ${life.version} changes of definitions.`)
for (const [what, count] of [...problems].slice(0, 20)) console.log(`${count} times: ${what}`)
console.log(problems.size === 0 ? 'Nothing grew that was not foretold, and no value was wrong.' : `${problems.size} kinds of problems.`)
process.exitCode = problems.size === 0 ? 0 : 1

/** Mulberry32: 0 to 1, the same each time. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
