/** What one process tells of itself to whoever watches. */
import { readdirSync } from 'node:fs'
import { isOk } from '../http/readiness.ts'
import type { EventLoopLag } from '../observability/event-loop-lag.ts'
import { histogramSamples, type Metric } from '../observability/metrics.ts'
import { BAND_EDGES_MS } from '../observability/read-figures.ts'
import type { ReadStatistics } from '../observability/read-statistics.ts'
import type { RunCounters } from '../refresh/run-counters.ts'
import { DOUBT_KINDS, type Doubts } from '../store/ports/doubts.ts'
import type { RecorderCounters } from '../store/recording/recorder.ts'
import { featureMetrics, refreshMetrics } from './feature-metrics.ts'

export interface Watched {
  readonly history: RecorderCounters
  readonly stores: Readonly<Record<string, string>>
  /** Of the online store; null: it is in this process. */
  readonly doubts: Doubts | null
  /** Share that the online store has taken of the memory that it may take; null: not known, or there is no limit. */
  readonly onlineMemory: number | null
  readonly reads: ReadStatistics | null
  readonly runs: RunCounters
  readonly lag: EventLoopLag
}

export function processMetrics({ history, stores, doubts, onlineMemory, reads, runs, lag }: Watched): Metric[] {
  const one = (name: string, type: Metric['type'], help: string, value: number): Metric => ({ name, type, help, samples: [{ value }] })
  const up = Object.entries(stores).map(([store, state]) => ({ labels: { store }, value: isOk(state) ? 1 : 0 }))
  const doubted = DOUBT_KINDS.map((kind) => ({ labels: { reason: kind }, value: doubts?.has(kind) ? 1 : 0 }))
  return [
    ...(doubts
      ? [
          {
            name: 'fabra_online_store_doubts',
            type: 'gauge' as const,
            help: 'Why history is asked beside the online store.',
            samples: doubted,
          },
        ]
      : []),
    ...(onlineMemory === null
      ? []
      : [one('fabra_online_store_memory_share', 'gauge', 'Share of its maxmemory that Redis uses.', onlineMemory)]),
    { name: 'fabra_store_up', type: 'gauge', help: 'Whether a store answers.', samples: up },
    one('fabra_history_rows_written_total', 'counter', 'History rows committed.', history.written),
    one('fabra_history_rows_unchanged_total', 'counter', 'Computed values that history held already.', history.suppressed),
    one('fabra_history_failures_total', 'counter', 'Commits of history that failed.', history.failures),
    one('fabra_history_rows_waiting', 'gauge', 'History rows that wait for their commit.', history.queued),
    one('fabra_history_rows_set_aside_total', 'counter', 'History rows that the store refused for good.', history.setAside),
    ...(reads ? readMetrics(reads) : []),
    ...refreshMetrics(runs),
    one('fabra_event_loop_lag_seconds', 'gauge', 'Longest delay of the event loop since it was asked last.', lag.takeMs() / 1_000),
    one('process_start_time_seconds', 'gauge', 'When this process began.', Math.round(performance.timeOrigin / 1_000)),
    ...openDescriptors().map((count) => one('process_open_fds', 'gauge', 'Files and connections that are open.', count)),
    one('process_resident_memory_bytes', 'gauge', 'Memory of this process.', process.memoryUsage.rss()),
    one(
      'process_heap_bytes',
      'gauge',
      'Of it, what its own JavaScript holds; that of users has threads or processes of its own.',
      process.memoryUsage().heapUsed,
    ),
    one('process_cpu_seconds_total', 'counter', 'Processor time of this process.', cpuSeconds()),
  ]
}

function readMetrics(reads: ReadStatistics): Metric[] {
  const { requests, failed, values, took } = reads.counters()
  const latency = reads.all.recentLatency()
  const states = Object.entries(values).map(([status, value]) => ({ labels: { status }, value }))
  const quantiles = [0.5, 0.99].flatMap((quantile) => {
    const ms = latency.quantile(quantile)
    return ms === null ? [] : [{ labels: { quantile: String(quantile) }, value: ms / 1_000 }]
  })
  return [
    { name: 'fabra_read_requests_total', type: 'counter', help: 'Requests that read features.', samples: [{ value: requests }] },
    {
      name: 'fabra_read_requests_failed_total',
      type: 'counter',
      help: 'Of them, those refused or failed as a whole.',
      samples: [{ value: failed }],
    },
    { name: 'fabra_values_served_total', type: 'counter', help: 'Features served, one for each row.', samples: states },
    {
      name: 'fabra_read_seconds',
      type: 'histogram',
      help: 'Requests that read features, by how long they took: estimated from those that were timed.',
      samples: histogramSamples(
        BAND_EDGES_MS.map((ms) => ms / 1_000),
        took.between(BAND_EDGES_MS),
        took.sumMs() / 1_000,
      ),
    },
    ...featureMetrics(reads.perFeature()),
    { name: 'fabra_read_seconds_recent', type: 'gauge', help: 'Quantiles of requests of the last minute or two.', samples: quantiles },
  ]
}

/** None where the system does not say. */
function openDescriptors(): number[] {
  try {
    return [readdirSync('/proc/self/fd').length]
  } catch {
    return []
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
