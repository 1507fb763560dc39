import type { FeatureStatistics, OverTime as Series } from '../../../http/wire.ts'
import { place, setQuery } from '../../core/address.ts'
import { age, number, rate, took } from '../../core/words.ts'
import { Note } from '../../parts/note.tsx'
import { Plot, type PlotProps, TimeAxis } from '../../parts/plot.tsx'

export const WINDOWS = ['1h', '24h', '7d', '30d'] as const

export function windowOf(query: URLSearchParams): string {
  const asked = query.get('window')
  return WINDOWS.find((one) => one === asked) ?? '1h'
}

export function WindowChoice() {
  const chosen = windowOf(place.value.query)
  return (
    <span class="right seg" role="group" aria-label="window">
      {WINDOWS.map((one) => (
        <button key={one} aria-pressed={one === chosen} onClick={() => setQuery({ window: one === '1h' ? null : one })}>
          {one}
        </button>
      ))}
    </span>
  )
}

export function OverTime({ of, column, isOld }: { of: FeatureStatistics; column: string; isOld: boolean }) {
  const { over_time: series } = of
  const spanMs = series.step_ms * series.reads_per_second.length
  const isEmpty = series.reads_per_second.every((value) => !value) && series.runs.length === 0
  return (
    <section class="flush">
      <div class="sec">
        <h2>Over time</h2>
        <WindowChoice />
      </div>
      {isEmpty ? (
        <Note title="Nothing was read and nothing ran in this window.">
          Read it once ("Try it"), and its values, ages and latency appear here.
        </Note>
      ) : (
        <div class={isOld ? 'old' : ''}>
          <Plots of={of} series={series} column={column} />
          <TimeAxis spanMs={spanMs} />
        </div>
      )}
    </section>
  )
}

function Plots({ of, series, column }: { of: FeatureStatistics; series: Series; column: string }) {
  const common = {
    from: Date.parse(series.from),
    stepMs: series.step_ms,
    rules: series.versions.map(({ at }) => Date.parse(at)),
    group: of.feature,
  } satisfies Partial<PlotProps>
  const values = series.columns.find(({ name }) => name === column)
  const hasValues = values && isKnown(values.p50)
  const limit = of.refreshed.interval_ms === null ? null : of.refreshed.interval_ms * 1.1
  const rules = series.versions.length > 0 ? ' │ a version' : ''
  const runs = runSeries(series)
  return (
    <>
      {hasValues && (
        <Plot
          {...common}
          label="Value"
          legend={`— median ▒ p10–p90${rules}`}
          line={values.p50}
          band={[values.p10, values.p90]}
          write={(v) => number(v)}
          height={112}
        />
      )}
      {isKnown(series.null_share) && (
        <Plot
          {...common}
          label="Null"
          line={scaled(series.null_share, 100)}
          write={(v) => `${number(Number(v.toFixed(1)))} %`}
          height={40}
          atLeast={1}
        />
      )}
      {isKnown(series.age_p99_ms) && (
        <Plot
          {...common}
          label="Age at serve"
          legend="— p99 ┄ fresh until"
          line={series.age_p99_ms}
          limit={limit}
          write={(v) => age(v)}
          height={72}
        />
      )}
      <Plot {...common} label="Latency" legend="— p99" line={series.latency_p99_ms} write={(v) => took(v)} height={40} />
      <Plot {...common} label="Reads" line={series.reads_per_second} write={(v) => `${rate(v)}/s`} height={40} />
      {series.runs.length > 0 && (
        <Plot {...common} label="Duration of a run" line={runs.took} isSparse write={(v) => took(v)} height={40} />
      )}
      {series.runs.some(({ failed }) => failed > 0) && (
        <Plot {...common} label="Failed keys" line={runs.failed} isErrors write={(v) => number(Math.round(v))} height={40} />
      )}
    </>
  )
}

function isKnown(values: readonly (number | null)[]): boolean {
  return values.some((value) => value !== null)
}

function scaled(values: readonly (number | null)[], by: number): (number | null)[] {
  return values.map((value) => (value === null ? null : value * by))
}

/** Runs by steps: the longest of each, and all keys that failed. */
function runSeries({ from, step_ms, runs, reads_per_second }: Series): { took: (number | null)[]; failed: (number | null)[] } {
  const steps = reads_per_second.length
  const longest = new Array<number | null>(steps).fill(null)
  const failed = new Array<number | null>(steps).fill(null)
  for (const run of runs) {
    const step = Math.min(steps - 1, Math.floor((Date.parse(run.at) - Date.parse(from)) / step_ms))
    if (step < 0) continue
    longest[step] = Math.max(longest[step] ?? 0, run.duration_ms)
    failed[step] = (failed[step] ?? 0) + run.failed
  }
  return { took: longest, failed }
}
