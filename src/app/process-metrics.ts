/** What one process tells of itself to whoever watches. */
import { isOk } from '../http/readiness.ts'
import type { Metric } from '../observability/metrics.ts'
import { DOUBT_KINDS, type Doubts } from '../store/ports/doubts.ts'
import type { RecorderCounters } from '../store/recording/recorder.ts'

/** @param doubts Of the online store; null: it is in this process. */
export function processMetrics(history: RecorderCounters, stores: Readonly<Record<string, string>>, doubts: Doubts | null): Metric[] {
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
    { name: 'fabra_store_up', type: 'gauge', help: 'Whether a store answers.', samples: up },
    one('fabra_history_rows_written_total', 'counter', 'History rows committed.', history.written),
    one('fabra_history_rows_unchanged_total', 'counter', 'Computed values that history held already.', history.suppressed),
    one('fabra_history_failures_total', 'counter', 'Commits of history that failed.', history.failures),
    one('fabra_history_rows_waiting', 'gauge', 'History rows that wait for their commit.', history.queued),
    one('fabra_history_rows_set_aside_total', 'counter', 'History rows that the store refused for good.', history.setAside),
    one('process_resident_memory_bytes', 'gauge', 'Memory of this process.', process.memoryUsage.rss()),
    one('process_cpu_seconds_total', 'counter', 'Processor time of this process.', cpuSeconds()),
  ]
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
