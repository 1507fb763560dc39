/** Figures of reads of all processes: of this one as they stand, and of the others as they tell of them. */
import type { CallerRates } from './callers.ts'
import { FiguresElsewhere, type FiguresView } from './figures-elsewhere.ts'
import { ALL, type FiguresRecord } from './figures-record.ts'
import type { FeatureShape, ReadStatistics } from './read-statistics.ts'
import { STEP_MS } from './step-series.ts'

/** What is asked by whoever looks. */
export interface ReadsView {
  readonly all: FiguresView
  readonly callers: { rates(): readonly CallerRates[] }
  /** Undefined: it was never read. */
  of(feature: string): FiguresView | undefined
  /** What was counted here goes to the features: before anybody looks. */
  fold(): void
  /** Requests of this process since its start, and every how many of them one is looked at. */
  readonly total: number
  readonly oneIn: number
}

export interface ReadsTogether extends ReadsView {
  /** How many processes the figures are of. */
  readonly processes: number
  /** A minute that is over in all processes, told of in order. @param records Of the others. */
  closeMinute(minute: number, records: readonly FiguresRecord[]): void
  /** What the others that live tell of the minutes after those. @param live How many there are, those that tell nothing among them. */
  setOpen(records: readonly FiguresRecord[], live: number): void
}

/** @param shapeOf Of a feature as it is served now; undefined: there is none of that name. */
export function createReadsTogether(
  own: ReadStatistics,
  shapeOf: (feature: string) => FeatureShape | undefined,
  firstMinute: number,
): ReadsTogether {
  const elsewhere = new Map<string, FiguresElsewhere>()
  let nextMinute = firstMinute
  let callers: readonly CallerRates[] = []
  let others = 0

  /** Undefined: what is told is of another version. */
  function figuresOf(feature: string, version: string): FiguresElsewhere | undefined {
    const known = elsewhere.get(feature)
    if (known?.version === version) return known
    const shape = feature === ALL ? undefined : shapeOf(feature)
    if (feature !== ALL && shape?.version !== version) return undefined
    const made = new FiguresElsewhere(version, shape ? own.figuresFor(shape) : own.all, nextMinute)
    elsewhere.set(feature, made)
    return made
  }

  /** What is told of one feature, by all. */
  function byFeature(records: readonly FiguresRecord[]) {
    const grouped = new Map<FiguresElsewhere, { minute: number; row: Float64Array; latency: readonly number[]; sinceMs: number }[]>()
    for (const { minute, sinceMs, rows } of records)
      for (const { feature, version, row, latency } of rows) {
        const figures = figuresOf(feature, version)
        if (figures) grouped.set(figures, [...(grouped.get(figures) ?? []), { minute, row, latency, sinceMs }])
      }
    return grouped
  }

  const view = (feature: string, figures: FiguresView | undefined): FiguresView | undefined => {
    const more = elsewhere.get(feature)
    const isOwn = more && (feature === ALL || shapeOf(feature)?.version === more.version)
    return isOwn ? more.together() : figures
  }

  return {
    get all() {
      return view(ALL, own.all) ?? own.all
    },
    get processes() {
      return 1 + others
    },
    get total() {
      return own.total
    },
    get oneIn() {
      return own.oneIn
    },
    callers: { rates: () => ratesTogether([...own.callers.rates(), ...callers]) },
    of: (feature) => view(feature, own.of(feature)),
    fold: () => own.fold(),
    closeMinute(minute, records) {
      const grouped = byFeature(records)
      for (const figures of elsewhere.values()) figures.close(minute, grouped.get(figures)?.map(({ row }) => row) ?? [])
      nextMinute = minute + 1
    },
    setOpen(records, live) {
      const grouped = byFeature(records)
      for (const [feature, figures] of elsewhere) {
        if (feature === ALL || shapeOf(feature)?.version === figures.version) figures.setOpen(grouped.get(figures) ?? [])
        else elsewhere.delete(feature)
      }
      callers = records.flatMap((record) => record.callers)
      others = live
    },
  }
}

export function minuteOf(ms: number): number {
  return Math.floor(ms / STEP_MS)
}

/** Most requests first. */
function ratesTogether(rates: readonly CallerRates[]): readonly CallerRates[] {
  const byName = new Map<string, CallerRates[]>()
  for (const one of rates) byName.set(one.name, [...(byName.get(one.name) ?? []), one])
  return Array.from(byName.values(), sumOf).sort((a, b) => b.requestsPerSecond - a.requestsPerSecond || (a.name < b.name ? -1 : 1))
}

/** Of one caller. Shares are weighted by requests; of quantiles the largest is told. */
function sumOf(rates: readonly CallerRates[]): CallerRates {
  const [first] = rates
  if (first && rates.length === 1) return first
  const targets = new Map<string, number>()
  for (const one of rates) for (const [target, rate] of one.targets) targets.set(target, (targets.get(target) ?? 0) + rate)
  const withShare = rates.filter(({ freshShare }) => freshShare !== null)
  const weight = withShare.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0)
  const fresh = withShare.reduce((sum, { freshShare, requestsPerSecond }) => sum + (freshShare ?? 0) * requestsPerSecond, 0)
  const slowest = rates.flatMap(({ p99Ms }) => p99Ms ?? [])
  return {
    name: first?.name ?? '',
    requestsPerSecond: rates.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0),
    p99Ms: slowest.length > 0 ? Math.max(...slowest) : null,
    freshShare: weight > 0 ? fresh / weight : null,
    targets,
  }
}
