/** What is told of each feature: its values as they are served, and its refreshes. Never of a key. */
import type { Metric } from '../observability/metrics.ts'
import { type ReadFigures, STATES, statesOf } from '../observability/read-figures.ts'
import type { RunCounters, RunTotals } from '../refresh/run-counters.ts'

const AGE_QUANTILES = [0.5, 0.99]

export function featureMetrics(read: readonly { readonly feature: string; readonly figures: ReadFigures }[]): Metric[] {
  const served = read.flatMap(({ feature, figures }) => {
    const totals = statesOf(figures.served)
    return STATES.flatMap((status) => (totals[status] > 0 ? [{ labels: { feature, status }, value: totals[status] }] : []))
  })
  const ages = read.flatMap(({ feature, figures }) =>
    AGE_QUANTILES.flatMap((quantile) => {
      const ms = figures.recentAge(quantile)
      return ms === null ? [] : [{ labels: { feature, quantile: String(quantile) }, value: ms / 1_000 }]
    }),
  )
  return [
    { name: 'fabra_feature_values_served_total', type: 'counter', help: 'Values served of a feature, by status.', samples: served },
    { name: 'fabra_feature_age_seconds', type: 'gauge', help: 'Quantiles of the ages of values served of late.', samples: ages },
  ]
}

/** Of refreshes that this process did. */
export function refreshMetrics({ totals }: RunCounters): Metric[] {
  const all = [...totals]
  const each = (of: (one: RunTotals) => number) => all.map(([feature, one]) => ({ labels: { feature }, value: of(one) }))
  const results = all.flatMap(([feature, { done, failed }]) => [
    { labels: { feature, result: 'done' }, value: done },
    { labels: { feature, result: 'failed' }, value: failed },
  ])
  const succeeded = all.flatMap(([feature, { succeededAtMs }]) =>
    succeededAtMs === null ? [] : [{ labels: { feature }, value: succeededAtMs / 1_000 }],
  )
  return [
    { name: 'fabra_refresh_runs_total', type: 'counter', help: 'Refreshes of a feature that are over.', samples: results },
    { name: 'fabra_refresh_seconds_total', type: 'counter', help: 'How long they took.', samples: each((one) => one.milliseconds / 1_000) },
    { name: 'fabra_refresh_keys_total', type: 'counter', help: 'Keys that they were to compute.', samples: each((one) => one.keys) },
    {
      name: 'fabra_refresh_keys_failed_total',
      type: 'counter',
      help: 'Of them, those that failed.',
      samples: each((one) => one.keysFailed),
    },
    {
      name: 'fabra_refresh_last_success_timestamp_seconds',
      type: 'gauge',
      help: 'End of the last refresh that did not fail.',
      samples: succeeded,
    },
  ]
}
