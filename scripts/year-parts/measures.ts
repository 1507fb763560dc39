import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { RedisClient, SQL } from 'bun'
import type { Storage } from '../../src/http/wire.ts'
import type { Replica } from './replica.ts'

const MIB = 1_048_576
const DAY_MS = 86_400_000
const READS = 10
const ROUNDS = 5
const SINGLE_READS = 300
/** The machine counts processor time in hundredths of a second. */
const TICKS_A_SECOND = 100

export interface MeasuresOptions {
  readonly replica: Replica
  readonly folder: string
  readonly postgres: string | undefined
  readonly redis: string | undefined
  readonly onProblem: (what: string) => void
}

interface Period {
  readonly days: number
  readonly history: number
  /** Everything that is stored beside latest values. */
  readonly data: number
  readonly wal: number
  readonly redis: number
  readonly rss: number
  readonly temporary: number
  readonly logs: number
  readonly cpuMs: number
  readonly p99Ms: number
  readonly storage: Storage
}

/** What may differ from what was foretold. */
const SHARE = 1.2
/** Pages and blocks that are begun, catalogs, what a process takes before it does anything: of what is small they are much. */
const SLACK = { history: MIB / 2, data: 24 * MIB, redis: 2 * MIB, rss: 96 * MIB, temporary: MIB, logs: 262_144 } as const
/** DuckDB gives the room of rows back once half of a piece of so many has left. */
const PIECE_ROWS = 122_880
/** PostgreSQL uses it again for rows of the same month, and gives it back with all of them; */
const MONTH_DAYS = 30
/** that of their entries in the index, which are so much of it, only where a page of them is empty. */
const INDEX_SHARE = 0.4
/** DuckDB writes its log into the file at 16 MiB; PostgreSQL keeps up to max_wal_size. */
const WAL_LIMIT = { laptop: 32 * MIB, production: 1_100 * MIB } as const
/** Processor time of the same work, on a machine that others use. */
const CPU_SHARE = 6

const COLUMNS = [
  ...['day', 'history MiB', 'foretold', 'data MiB', 'WAL MiB', 'Redis MiB', 'RSS MiB', 'temporary', 'logs KiB'],
  ...['CPU ms/10,000 values', 'p99 ms'],
]

/** What everything takes, and whether it was foretold. */
export class Measures {
  private readonly options: MeasuresOptions
  private readonly periods: Period[] = []
  private logsBefore = 0

  constructor(options: MeasuresOptions) {
    this.options = options
  }

  head(): string {
    return COLUMNS.join('  ')
  }

  /** What is too old has left, and its room may be used again: of the hours that this may take there are seconds here. */
  async tidy(): Promise<void> {
    const { replica, postgres } = this.options
    await replica.swept()
    if (postgres === undefined) return
    await using sql = new SQL(postgres, { max: 1 })
    await sql`VACUUM fabra.history_packed`
  }

  async period(days: number, read: () => Promise<void>): Promise<string> {
    const { replica, folder, postgres, redis } = this.options
    const storage = await replica.ask<Storage>('/v1/storage')
    const reading = await this.reading(replica.pid, read)
    const sizes = postgres === undefined ? laptopSizes(join(folder, 'data')) : await postgresSizes(postgres)
    const found: Period = {
      ...{ days, ...sizes, ...reading, storage },
      history: storage.tables.filter(({ kind }) => kind === 'history').reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
      redis: redis === undefined ? 0 : await redisBytes(redis),
      rss: Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${replica.pid}/status`, 'utf8'))?.[1]) * 1024,
      temporary: folderBytes(replica.temporary),
      logs: replica.logBytes - this.logsBefore,
    }
    this.logsBefore = replica.logBytes
    const foretold = this.foretold(days)
    this.judge(found, foretold)
    this.periods.push(found)
    const mib = [found.history, foretold ?? Number.NaN, found.data, found.wal, found.redis, found.rss, found.temporary]
    const figures = [
      ...mib.map((n) => (n / MIB).toFixed(1)),
      (found.logs / 1024).toFixed(0),
      found.cpuMs.toFixed(1),
      found.p99Ms.toFixed(1),
    ]
    return [String(days), ...figures].map((text, i) => text.padStart(COLUMNS[i]?.length ?? 0)).join('  ')
  }

  /** Of history, by the figures of the period before: a day's bytes for all days that are kept. */
  private foretold(days: number): number | null {
    const before = this.periods.at(-1)
    if (before === undefined) return null
    return before.storage.features.reduce(
      (sum, { bytes_a_day, keep_ms }) => sum + bytes_a_day * (keep_ms === null ? days : Math.min(days, keep_ms / DAY_MS)),
      0,
    )
  }

  private judge(found: Period, foretold: number | null): void {
    const { onProblem, postgres } = this.options
    const say = (what: string, is: number, may: number) =>
      onProblem(`day ${found.days}: ${what} ${(is / MIB).toFixed(1)} MiB, where ${(may / MIB).toFixed(1)} MiB were to be expected`)
    const walLimit = WAL_LIMIT[postgres === undefined ? 'laptop' : 'production']
    if (found.wal > walLimit) say('log of the store', found.wal, walLimit)
    if (found.temporary > SLACK.temporary) say('temporary files', found.temporary, SLACK.temporary)
    const first = this.periods[0]
    if (first === undefined || foretold === null) return
    const others = found.storage.tables.reduce((sum, { kind, bytes }) => sum + (kind === 'history' ? 0 : (bytes ?? 0)), 0)
    const [least, most] = [foretold / SHARE - SLACK.history, SHARE * foretold + SLACK.history + this.left(found, foretold)]
    if (found.history < least || found.history > most) say('history', found.history, foretold)
    if (found.data > most + SHARE * others + SLACK.data) say('all data', found.data, foretold + others)
    for (const what of ['redis', 'rss', 'logs'] as const)
      if (found[what] > SHARE * first[what] + SLACK[what]) say(what, found[what], first[what])
    const quickest = Math.min(...this.periods.map(({ cpuMs }) => cpuMs))
    if (found.cpuMs > CPU_SHARE * quickest)
      onProblem(`day ${found.days}: a read takes ${found.cpuMs} ms of a processor, and took ${quickest}`)
  }

  /** What rows that have left may still take. */
  private left({ days, history, storage }: Period, foretold: number): number {
    const sum = (of: (feature: Storage['features'][number]) => number) => storage.features.reduce((all, feature) => all + of(feature), 0)
    const rows = sum((feature) => feature.rows)
    if (this.options.postgres === undefined) return rows === 0 ? 0 : Math.min(foretold, ((PIECE_ROWS / 2) * history) / rows)
    return sum(({ keep_ms, bytes_a_day }) => {
      if (keep_ms === null) return 0
      const leftDays = Math.max(0, days - keep_ms / DAY_MS)
      return bytes_a_day * (days > MONTH_DAYS ? MONTH_DAYS : 1 + INDEX_SHARE * leftDays)
    })
  }

  private async reading(pid: number, read: () => Promise<void>): Promise<{ readonly cpuMs: number; readonly p99Ms: number }> {
    await read()
    let cpuMs = Number.POSITIVE_INFINITY
    // What the server does beside reading is in one round or another.
    for (let round = 0; round < ROUNDS; round++) {
      const before = cpuTicks(pid)
      for (let n = 0; n < READS; n++) await read()
      cpuMs = Math.min(cpuMs, ((cpuTicks(pid) - before) / TICKS_A_SECOND / READS) * 1_000)
    }
    const times: number[] = []
    for (let n = 0; n < SINGLE_READS; n++) {
      const from = performance.now()
      await this.options.replica.ask(`/v1/features/seen_1?user_id=user_${n % 100}`)
      times.push(performance.now() - from)
    }
    times.sort((a, b) => a - b)
    return { cpuMs, p99Ms: times[Math.floor(times.length * 0.99)] ?? 0 }
  }
}

function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0), 0)
}

function laptopSizes(folder: string): { readonly data: number; readonly wal: number } {
  const bytes = (name: string) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
  return { data: bytes('fabra.duckdb'), wal: bytes('fabra.duckdb.wal') }
}

async function postgresSizes(url: string): Promise<{ readonly data: number; readonly wal: number }> {
  await using sql = new SQL(url, { max: 1 })
  const [row] = await sql`SELECT pg_database_size(current_database())::float8 AS data,
    (SELECT sum(size) FROM pg_ls_waldir())::float8 AS wal`
  return row as { readonly data: number; readonly wal: number }
}

async function redisBytes(url: string): Promise<number> {
  const client = new RedisClient(url)
  try {
    return Number(/used_memory:(\d+)/.exec(String(await client.send('INFO', ['memory'])))?.[1])
  } finally {
    client.close()
  }
}
