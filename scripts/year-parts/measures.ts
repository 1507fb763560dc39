import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { RedisClient, SQL } from 'bun'
import type { Storage } from '../../src/http/wire.ts'
import type { Replica } from './replica.ts'

const MIB = 1_048_576
const READS = 20
/** The machine counts processor time in hundredths of a second. */
const TICKS_A_SECOND = 100

export interface MeasuresOptions {
  readonly replica: Replica
  readonly folder: string
  readonly postgres: string | undefined
  readonly redis: string | undefined
  readonly keptDays: number
  readonly onProblem: (what: string) => void
}

interface Month {
  readonly history: number
  readonly data: number
  readonly wal: number
  readonly redis: number
  readonly rss: number
  readonly temporary: number
  readonly logs: number
  readonly cpuMs: number
  readonly storage: Storage
}

export class Measures {
  private readonly options: MeasuresOptions
  private readonly months: Month[] = []
  private logsBefore = 0

  constructor(options: MeasuresOptions) {
    this.options = options
  }

  head(): string {
    return 'month  history MiB  foretold  all data  WAL MiB  Redis MiB  RSS MiB  temporary MiB  logs KiB  CPU ms a read of 500 rows × 20'
  }

  async month(month: number, read: () => Promise<void>): Promise<string> {
    const { replica, folder, postgres, redis } = this.options
    const storage = await replica.ask<Storage>('/v1/storage')
    const cpuMs = await this.cpuOf(replica.pid, read)
    const data = join(folder, 'data')
    const sizes = postgres === undefined ? laptopSizes(data) : await postgresSizes(postgres)
    const rss = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${replica.pid}/status`, 'utf8'))?.[1]) * 1024
    const found: Month = {
      ...sizes,
      history: storage.tables.filter(({ kind }) => kind === 'history').reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
      redis: redis === undefined ? 0 : await redisBytes(redis),
      rss,
      temporary: folderBytes(replica.temporary),
      logs: replica.logBytes - this.logsBefore,
      cpuMs,
      storage,
    }
    this.logsBefore = replica.logBytes
    const foretold = this.foretold(month)
    this.months.push(found)
    const figures = [found.history, foretold, found.data, found.wal, found.redis, found.rss, found.temporary].map((n) => (n / MIB).toFixed(1))
    if (process.env['VERBOSE']) console.log(JSON.stringify(storage.stores), JSON.stringify(storage.tables), JSON.stringify(storage.features))
    return [String(month).padStart(5), ...figures, (found.logs / 1024).toFixed(0), cpuMs.toFixed(1)].map((s) => s.padStart(9)).join(' ')
  }

  private foretold(month: number): number {
    const before = this.months.at(-1)
    if (before === undefined) return 0
    return before.storage.features.reduce((sum, { bytes_a_day }) => sum + bytes_a_day * Math.min(month * 30, this.options.keptDays), 0)
  }

  private async cpuOf(pid: number, read: () => Promise<void>): Promise<number> {
    await read()
    const before = cpuTicks(pid)
    for (let n = 0; n < READS; n++) await read()
    return ((cpuTicks(pid) - before) / TICKS_A_SECOND / READS) * 1_000
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
