/** What is stored, how fast it grows and what settings would save: measured over the last day, and carried on for a year. */
import type { Micros } from '../clock.ts'
import type { Feature, Registry } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import type { FeatureSize, Saving, Storage, StoreSize } from '../http/wire.ts'
import type { OfflineFigures, OnlineFigures, OnlineSize, RecordedSize } from '../store/ports/storage-figures.ts'
import { ruleOf } from './old-history.ts'
import { type TableGrowthDependencies, tableGrowth } from './table-growth.ts'

const DAY: Micros = 86_400_000_000
const YEAR = 365 * DAY
/** Settings that are weighed. */
const KEEPS: readonly Micros[] = [30 * DAY, 90 * DAY, 400 * DAY]
/** Rows are compared with so many times at most. */
const MOST_AGES = 60
/** Whoever asks again gets what was found. */
const KEPT_MS = 30_000

export interface StorageDependencies {
  readonly offline: OfflineFigures
  readonly online: OnlineFigures | null
  readonly historyIn: string
  readonly registry: () => Registry
  /** Features of which `FABRA_HISTORY=auto` would record this share of the keys. */
  readonly couldSample: () => { readonly features: ReadonlySet<string>; readonly share: number }
  /** Of the server. */
  readonly keep: Micros | null
  readonly rows: Pick<TableGrowthDependencies, 'growth' | 'rowsKeep'>
  readonly now: () => Micros
}

/** Redis does not answer: the rest is told all the same. */
const NOT_KNOWN: OnlineSize = { bytes: null, maxBytes: null, keys: null, features: new Map() }

/** One look at a time, however many ask. @throws FabraError store_unavailable */
export function createStorageLook(dependencies: StorageDependencies): () => Promise<Storage> {
  let looking: Promise<Storage> | undefined
  let at = Number.NEGATIVE_INFINITY
  return () => {
    if (!looking || performance.now() - at > KEPT_MS) {
      at = performance.now()
      const begun = look(dependencies)
      looking = begun
      begun.catch(() => {
        if (looking === begun) looking = undefined
      })
    }
    return looking
  }
}

async function look({ offline, online, historyIn, registry, couldSample, keep, rows, now }: StorageDependencies): Promise<Storage> {
  const time = now()
  const { features, sources } = registry()
  const weighed = new Weighed(features, keep)
  const question = { now: time, ages: weighed.ages, sources: [...sources.keys()] }
  const tables = await offline.tables(question)
  const recorded = await offline.recorded(question)
  const latest = online && (await online.look().catch(() => NOT_KNOWN))
  const others = sum(tables, ({ kind, bytes }) => (kind === 'history' ? 0 : (bytes ?? 0)))
  const bytesADay = sum(recorded.features, ({ bytesLastDay }) => bytesLastDay)
  const inAYear = sum(recorded.features, (one) => weighed.inAYear(one, keep))
  const history = { rows_a_day: sum(recorded.features, ({ rowsLastDay }) => rowsLastDay), bytes_a_day: bytesADay, bytes_in_a_year: inAYear }
  const growth = await tableGrowth(tables, sources, time, history, { ...rows, settings: KEEPS })
  return {
    now: formatTime(time),
    stores: [
      {
        technology: historyIn,
        bytes: recorded.bytes + others,
        max_bytes: null,
        keys: null,
        bytes_a_day: bytesADay + growth.bytesADay,
        bytes_in_a_year: others + inAYear + growth.moreInAYear,
      },
      ...(latest ? [redisSize(latest)] : []),
    ],
    tables: [...growth.tables],
    features: featureSizes(recorded.features, { features, weighed, keep, latest }),
    savings: [
      ...savingBySampling(couldSample(), recorded.features, weighed, keep),
      ...KEEPS.map((setting) => savingOf(setting, recorded.features, weighed, keep)),
      ...growth.savings,
    ],
    is_estimate: recorded.isEstimate,
  }
}

/** How long things are kept with one setting or another, and what that makes of them. */
class Weighed {
  /** Ascending. */
  readonly ages: readonly Micros[]
  private readonly features: ReadonlyMap<string, Feature>

  constructor(features: ReadonlyMap<string, Feature>, keep: Micros | null) {
    this.features = features
    const kept = [...features.values()].flatMap((feature) =>
      [keep, ...KEEPS].flatMap((common) => {
        const rule = ruleOf(feature, common, 0)
        return rule ? [-rule.before] : []
      }),
    )
    const ages = new Set(kept.flatMap((one) => [one, Math.max(0, one - YEAR)]))
    this.ages = [...ages].sort((a, b) => a - b).slice(-MOST_AGES)
  }

  /** @param common What the server says. */
  keepOf({ feature, origin }: Pick<RecordedSize, 'feature' | 'origin'>, common: Micros | null): Micros | null {
    const defined = this.features.get(feature)
    const rule = defined ? ruleOf(defined, common, 0) : null
    return rule?.origins.includes(origin) ? -rule.before : null
  }

  /** Bytes of events longer ago; of an age that was not asked about no more than there are. */
  older(one: RecordedSize, age: Micros): number {
    const i = this.ages.findIndex((asked) => asked >= age)
    return i < 0 ? 0 : (one.bytesOlder[i] ?? 0)
  }

  inAYear(one: RecordedSize, common: Micros | null): number {
    const keep = this.keepOf(one, common)
    if (keep === null) return one.bytes + 365 * one.bytesLastDay
    const left = keep > YEAR ? one.bytes - this.older(one, keep - YEAR) : 0
    return left + Math.round((Math.min(keep, YEAR) / DAY) * one.bytesLastDay)
  }
}

interface Around {
  readonly features: ReadonlyMap<string, Feature>
  readonly weighed: Weighed
  readonly keep: Micros | null
  readonly latest: OnlineSize | null
}

function featureSizes(recorded: readonly RecordedSize[], { features, weighed, keep, latest }: Around): FeatureSize[] {
  const byName = Map.groupBy(recorded, ({ feature }) => feature)
  const names = new Set([...byName.keys(), ...(latest?.features.keys() ?? [])])
  const sizes = [...names].map((feature): FeatureSize => {
    const parts = byName.get(feature) ?? []
    const defined = features.get(feature)
    const kept = defined && weighed.keepOf({ feature, origin: defined.computation.kind === 'pushed' ? 'pushed' : 'computed' }, keep)
    return {
      feature,
      is_defined: defined !== undefined,
      rows: sum(parts, ({ rows }) => rows),
      bytes: sum(parts, ({ bytes }) => bytes),
      rows_a_day: sum(parts, ({ rowsLastDay }) => rowsLastDay),
      bytes_a_day: sum(parts, ({ bytesLastDay }) => bytesLastDay),
      bytes_in_a_year: sum(parts, (one) => weighed.inAYear(one, keep)),
      keep_ms: kept == null ? null : kept / 1_000,
      online_bytes: latest?.features.get(feature) ?? null,
    }
  })
  return sizes.sort((a, b) => b.bytes - a.bytes || (a.feature < b.feature ? -1 : 1))
}

/** Against what holds now. */
function savingOf(setting: Micros, recorded: readonly RecordedSize[], weighed: Weighed, keep: Micros | null): Saving {
  const leaving = (common: Micros | null) =>
    sum(recorded, (one) => {
      const kept = weighed.keepOf(one, common)
      return kept === null ? 0 : weighed.older(one, kept)
    })
  const inAYear = (common: Micros | null) => sum(recorded, (one) => weighed.inAYear(one, common))
  return {
    setting: `FABRA_HISTORY_KEEP=${setting / DAY}d`,
    bytes_now: Math.max(0, leaving(setting) - leaving(keep)),
    bytes_in_a_year: Math.max(0, inAYear(keep) - inAYear(setting)),
  }
}

/** What is there stays. Nothing where it would not save anything. */
function savingBySampling(
  { features, share }: ReturnType<StorageDependencies['couldSample']>,
  recorded: readonly RecordedSize[],
  weighed: Weighed,
  keep: Micros | null,
): Saving[] {
  if (features.size === 0) return []
  const growth = recorded
    .filter(({ feature, origin }) => origin === 'computed' && features.has(feature))
    .map((one) => (Math.min(weighed.keepOf(one, keep) ?? YEAR, YEAR) / DAY) * one.bytesLastDay)
  return [{ setting: 'FABRA_HISTORY=auto', bytes_now: 0, bytes_in_a_year: Math.round((1 - share) * sum(growth, (bytes) => bytes)) }]
}

function redisSize({ bytes, maxBytes, keys }: OnlineSize): StoreSize {
  return { technology: 'redis', bytes, max_bytes: maxBytes, keys, bytes_a_day: null, bytes_in_a_year: null }
}

function sum<T>(some: readonly T[], of: (one: T) => number): number {
  return some.reduce((all, one) => all + of(one), 0)
}
