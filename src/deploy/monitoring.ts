/** What Prometheus and Grafana need to watch Fabra, written by `fabra setup`: rules that wake somebody, and a dashboard that shows why. */
import type { DeployFile } from './platform.ts'
import { yamlText } from './text.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  /** How long it must hold. */
  readonly for: string
  readonly severity: 'page' | 'ticket'
  readonly summary: string
}

const RULES: readonly Rule[] = [
  {
    alert: 'FabraDown',
    expr: 'up{job="fabra"} == 0',
    for: '1m',
    severity: 'page',
    summary: '{{ $labels.instance }} does not answer Prometheus.',
  },
  {
    alert: 'FabraStoreDown',
    expr: 'fabra_store_up == 0',
    for: '1m',
    severity: 'page',
    summary: '{{ $labels.store }} does not answer {{ $labels.instance }}: last good values are served, writes are refused.',
  },
  {
    alert: 'FabraOnlineStoreDoubted',
    expr: 'max by (instance) (fabra_online_store_doubts) > 0',
    for: '5m',
    severity: 'ticket',
    summary: 'Redis may lack values, so history is asked beside it: reads are slower.',
  },
  {
    alert: 'FabraRedisNearlyFull',
    expr: 'max(fabra_online_store_memory_share) > 0.8',
    for: '1m',
    severity: 'page',
    summary: 'Redis uses more than four fifths of its maxmemory; when it is full it refuses writes, and history is asked beside it.',
  },
  {
    alert: 'FabraReadsFail',
    expr: 'sum(rate(fabra_read_requests_failed_total[5m])) / sum(rate(fabra_read_requests_total[5m])) > 0.01',
    for: '5m',
    severity: 'page',
    summary: 'More than a hundredth of the reads fail.',
  },
  {
    alert: 'FabraReadsSlow',
    expr: 'histogram_quantile(0.99, sum by (le) (rate(fabra_read_seconds_bucket[5m]))) > 0.1',
    for: '10m',
    severity: 'ticket',
    summary: 'A hundredth of the reads take longer than 100 ms.',
  },
  {
    alert: 'FabraFeatureStale',
    expr: shareOf('stale'),
    for: '10m',
    severity: 'ticket',
    summary: 'More than a tenth of the values served of {{ $labels.feature }} are stale.',
  },
  {
    alert: 'FabraFeatureFails',
    expr: shareOf('error'),
    for: '5m',
    severity: 'page',
    summary: 'More than a tenth of the values asked for of {{ $labels.feature }} are errors.',
  },
  {
    alert: 'FabraRefreshFails',
    expr: 'sum by (feature) (increase(fabra_refresh_runs_total{result="failed"}[15m])) > 2 unless sum by (feature) (increase(fabra_refresh_runs_total{result="done"}[15m])) > 0',
    for: '0m',
    severity: 'ticket',
    summary: 'Refreshes of {{ $labels.feature }} fail, and none has succeeded for a quarter of an hour.',
  },
  {
    alert: 'FabraHistoryBehind',
    expr: 'fabra_history_rows_waiting > 10000',
    for: '5m',
    severity: 'ticket',
    summary: '{{ $value }} rows wait for PostgreSQL to take them.',
  },
  {
    alert: 'FabraHistoryRefused',
    expr: 'increase(fabra_history_rows_set_aside_total[1h]) > 0',
    for: '0m',
    severity: 'ticket',
    summary: 'The store refuses rows of history for good; the log says which.',
  },
  {
    alert: 'FabraEventLoopLate',
    expr: 'fabra_event_loop_lag_seconds > 0.5',
    for: '5m',
    severity: 'ticket',
    summary: '{{ $labels.instance }} is late by {{ $value }} s: it has more to do than one core.',
  },
]

function shareOf(status: string): string {
  const rate = (labels: string) => `sum by (feature) (rate(fabra_feature_values_served_total${labels}[10m]))`
  return `${rate(`{status="${status}"}`)} / ${rate('')} > 0.1`
}

interface Panel {
  readonly title: string
  readonly unit: 'reqps' | 's' | 'percentunit' | 'short' | 'bytes' | 'ops'
  /** Expression → what its line is called. */
  readonly lines: Readonly<Record<string, string>>
}

const PANELS: readonly Panel[] = [
  { title: 'Reads', unit: 'reqps', lines: { 'sum(rate(fabra_read_requests_total[$__rate_interval]))': 'requests' } },
  {
    title: 'How long reads take',
    unit: 's',
    lines: Object.fromEntries(
      [0.5, 0.99].map((q) => [`histogram_quantile(${q}, sum by (le) (rate(fabra_read_seconds_bucket[$__rate_interval])))`, `p${q * 100}`]),
    ),
  },
  {
    title: 'Values served, by status',
    unit: 'ops',
    lines: { 'sum by (status) (rate(fabra_values_served_total[$__rate_interval]))': '{{status}}' },
  },
  {
    title: 'Reads that fail',
    unit: 'percentunit',
    lines: {
      'sum(rate(fabra_read_requests_failed_total[$__rate_interval])) / sum(rate(fabra_read_requests_total[$__rate_interval]))': 'share',
    },
  },
  {
    title: 'Stale values, by feature',
    unit: 'percentunit',
    lines: {
      'sum by (feature) (rate(fabra_feature_values_served_total{status="stale"}[$__rate_interval])) / sum by (feature) (rate(fabra_feature_values_served_total[$__rate_interval]))':
        '{{feature}}',
    },
  },
  {
    title: 'Age of values served (p99)',
    unit: 's',
    lines: { 'max by (feature) (fabra_feature_age_seconds{quantile="0.99"})': '{{feature}}' },
  },
  {
    title: 'Time since the last good refresh',
    unit: 's',
    lines: { 'time() - max by (feature) (fabra_refresh_last_success_timestamp_seconds)': '{{feature}}' },
  },
  {
    title: 'Refreshes that fail',
    unit: 'short',
    lines: { 'sum by (feature) (increase(fabra_refresh_runs_total{result="failed"}[$__rate_interval]))': '{{feature}}' },
  },
  { title: 'Stores that answer', unit: 'short', lines: { 'min by (store) (fabra_store_up)': '{{store}}' } },
  { title: 'History rows that wait', unit: 'short', lines: { 'sum(fabra_history_rows_waiting)': 'rows' } },
  { title: 'Event loop, longest delay', unit: 's', lines: { fabra_event_loop_lag_seconds: '{{instance}}' } },
  { title: 'Memory', unit: 'bytes', lines: { 'process_resident_memory_bytes{job="fabra"}': '{{instance}}' } },
]

const [WIDTH, HEIGHT] = [12, 8]

/** Files of the folder `monitoring`. */
export function monitoringFiles(): DeployFile[] {
  return [
    { path: 'monitoring/alerts.yaml', text: alertsText() },
    { path: 'monitoring/grafana-dashboard.json', text: `${JSON.stringify(dashboard(), null, 2)}\n` },
  ]
}

function alertsText(): string {
  const header = [
    'Alert rules for Prometheus, written by "fabra setup". Name this file under rule_files, and scrape /metrics as the job "fabra":',
    'with FABRA_METRICS_PORT set, from that port; otherwise with an API key of scope read under authorization.',
  ]
  const rules = RULES.map(({ alert, expr, for: lasting, severity, summary }) => ({
    alert,
    expr,
    for: lasting,
    labels: { severity },
    annotations: { summary },
  }))
  return yamlText(header, { groups: [{ name: 'fabra', rules }] })
}

function dashboard(): object {
  const datasource = { type: 'prometheus', uid: `\${datasource}` }
  return {
    title: 'Fabra',
    uid: 'fabra',
    tags: ['fabra'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: { list: [{ name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' }] },
    panels: PANELS.map(({ title, unit, lines }, i) => ({
      id: i + 1,
      title,
      type: 'timeseries',
      datasource,
      gridPos: { x: (i % 2) * WIDTH, y: Math.floor(i / 2) * HEIGHT, w: WIDTH, h: HEIGHT },
      fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
      targets: Object.entries(lines).map(([expr, legendFormat], n) => ({
        refId: String.fromCharCode(65 + n),
        datasource,
        expr,
        legendFormat,
      })),
    })),
  }
}
