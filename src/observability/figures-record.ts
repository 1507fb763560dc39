/** What one process tells the others of its figures: compact, of this minute or of one that is over. */
import type { CallerRates } from './callers.ts'
import type { ReadFigures } from './read-figures.ts'
import type { ReadStatistics } from './read-statistics.ts'

/** Stands for all requests, where a feature has its name. */
export const ALL = ''
/** More of them are not told of. */
const MOST_CALLERS = 50
const MOST_TARGETS = 50

export interface ToldRow {
  readonly feature: string
  readonly version: string
  readonly row: Float64Array
  /** Of a minute under way: of this one and the last. */
  readonly latency: readonly number[]
}

export interface FiguresRecord {
  readonly minute: number
  /** When the process began to count. */
  readonly sinceMs: number
  readonly rows: readonly ToldRow[]
  /** None of a minute that is over. */
  readonly callers: readonly CallerRates[]
}

/** Features looked at without a pause. */
const IN_TURNS = 16

/** Of the minute under way. Requests get their turn in between. */
export async function recordOfNow(statistics: ReadStatistics, nowMs: number): Promise<FiguresRecord> {
  statistics.fold()
  const callers = statistics.callers.rates().slice(0, MOST_CALLERS)
  return { ...(await record(statistics, Math.floor(nowMs / 60_000), (figures) => figures.underWay(), true)), callers }
}

export async function recordOfMinute(statistics: ReadStatistics, minute: number): Promise<FiguresRecord> {
  return { ...(await record(statistics, minute, (figures) => withReads(figures.minute(minute)), false)), callers: [] }
}

async function record(
  statistics: ReadStatistics,
  minute: number,
  rowOf: (figures: ReadFigures) => Float64Array | undefined,
  isOpen: boolean,
): Promise<Omit<FiguresRecord, 'callers'>> {
  const rows: ToldRow[] = []
  const all = { feature: ALL, version: ALL, figures: statistics.all }
  for (const [i, { feature, version, figures }] of [all, ...statistics.perFeature()].entries()) {
    if (i % IN_TURNS === IN_TURNS - 1) await new Promise((resolve) => setImmediate(resolve))
    const row = rowOf(figures)
    const latency = isOpen ? figures.recentLatency().toList() : []
    if (row) rows.push({ feature, version, row, latency })
    else if (latency.length > 0) rows.push({ feature, version, row: new Float64Array(figures.fields.length), latency })
  }
  return { minute, sinceMs: statistics.all.sinceMs, rows }
}

function withReads(row: Float64Array | undefined): Float64Array | undefined {
  return row?.some((figure) => figure > 0) ? row : undefined
}

/** As it is told: a text of printable characters. */
export function writeRecord({ minute, sinceMs, rows, callers }: FiguresRecord): string {
  const written = rows.map(({ feature, version, row, latency }) => [feature, version, Array.from(row, short), latency])
  const read = callers.map(({ name, requestsPerSecond, p99Ms, freshShare, targets }) => [
    ...[name, short(requestsPerSecond), p99Ms, freshShare],
    [...targets].slice(0, MOST_TARGETS).map(([target, rate]) => [target, short(rate)]),
  ])
  return Buffer.from(Bun.gzipSync(JSON.stringify([FORMAT, minute, sinceMs, written, read]), { level: 1 })).toString('base64')
}

const FORMAT = 1

/** Undefined: it is of another version of Fabra, or none. */
export function readRecord(text: string): FiguresRecord | undefined {
  try {
    const [format, minute, sinceMs, rows, callers] = JSON.parse(Buffer.from(Bun.gunzipSync(Buffer.from(text, 'base64'))).toString()) as Wire
    if (format !== FORMAT) return undefined
    return {
      minute,
      sinceMs,
      rows: rows.map(([feature, version, row, latency]) => ({
        feature,
        version,
        row: Float64Array.from(row, (one) => one ?? Number.NaN),
        latency,
      })),
      callers: callers.map(([name, requestsPerSecond, p99Ms, freshShare, targets]) => ({
        ...{ name, requestsPerSecond, p99Ms, freshShare },
        targets: new Map(targets),
      })),
    }
  } catch {
    return undefined
  }
}

type WireRow = [feature: string, version: string, row: (number | null)[], latency: number[]]
type WireCaller = [name: string, rate: number, p99: number | null, fresh: number | null, targets: [string, number][]]
type Wire = [format: number, minute: number, sinceMs: number, rows: WireRow[], callers: WireCaller[]]

/** Six digits say enough. Not known: null. */
function short(figure: number): number | null {
  return Number.isFinite(figure) ? Number(figure.toPrecision(6)) : null
}
