/** The columns of the catalogue: one row answers what is served, how old it is, whether it is right and what changed. */
import type { Distribution, Reason } from '../../../http/wire.ts'
import { href } from '../../core/address.ts'
import { type ColumnRow, type ListedFeature, shapeOf } from '../../core/catalogue.ts'
import { ageOf } from '../../core/now.ts'
import { figure, reasonWord } from '../../core/reasons.ts'
import { age, day, number, percent, rate, roughly } from '../../core/words.ts'
import { Histogram } from '../../parts/charts.tsx'
import { Mark } from '../../parts/mark.tsx'
import type { Column } from '../../parts/table.tsx'
import { AgeBar, intervalWord } from '../../parts/time.tsx'

export const COLUMNS: readonly Column<ColumnRow>[] = [
  { id: 'mark', head: <span class="hide">state</span>, cls: 'm1', cell: ({ feature }) => <Mark of={shapeOf(feature)} /> },
  {
    id: 'feature',
    head: 'feature',
    cls: 'mono',
    width: 'w-name',
    sorts: true,
    cell: ({ name, feature }) => (
      <a href={href(['features', name])} title={feature.description ?? name}>
        {name}
      </a>
    ),
  },
  { id: 'entity', head: 'entity', cls: 'p2', width: 'w10', sorts: true, cell: ({ feature }) => feature.entity },
  { id: 'values', head: 'values', width: 'w-values', cell: (row) => <Histogram of={row.distribution} /> },
  {
    id: 'min',
    head: 'min',
    cls: 'num soft p3',
    width: 'w8',
    sorts: true,
    cell: (row) => spill(row) ?? quantile(row, 'min'),
    cellCls: spilled,
  },
  { id: 'median', head: 'median', cls: 'num p2', width: 'w8', sorts: true, cell: (row) => quantile(row, 'p50') },
  { id: 'max', head: 'max', cls: 'num soft p4', width: 'w8', sorts: true, cell: (row) => quantile(row, 'max') },
  {
    id: 'bar',
    head: <span class="hide">age against its interval</span>,
    cls: 'p2',
    width: 'w10',
    cell: ({ feature }) => <Bar of={feature} />,
  },
  {
    id: 'age',
    head: 'age',
    cls: 'num',
    width: 'w10',
    sorts: true,
    cell: ({ feature }) => <RefreshAge of={feature} />,
    cellCls: ({ feature }) => (isLate(feature) ? 'is-stale' : ''),
  },
  { id: 'of', head: 'of', cls: 'num soft p1', width: 'w8', sorts: true, cell: ({ feature }) => ofWord(feature) },
  { id: 'reads', head: 'reads/s', cls: 'num p1', width: 'w8', sorts: true, cell: ({ feature }) => rate(feature.reads?.reads_per_second) },
  {
    id: 'null',
    head: 'null %',
    cls: 'num p3',
    width: 'w7',
    sorts: true,
    cell: (row) => percent(row.distribution?.null_share ?? row.feature.reads?.null_share),
  },
  { id: 'p99', head: 'p99 ms', cls: 'num p4', width: 'w7', sorts: true, cell: ({ feature }) => ms(feature.reads?.latency_ms.p99) },
  { id: 'changed', head: 'changed', cls: 'num soft p4', width: 'w9', sorts: true, cell: ({ feature }) => <VersionCell of={feature} /> },
  { id: 'look', head: 'worth a look', cls: 'soft p2', cell: ({ feature }) => <Look of={feature} /> },
]

/** What stands in the columns of min, median and max where values are words. */
function spill({ distribution, feature }: ColumnRow) {
  const text = wordsOf(distribution, feature)
  return text === null ? null : <span title={text}>{text}</span>
}

function spilled({ distribution, feature }: ColumnRow): string {
  return wordsOf(distribution, feature) === null ? '' : 'spill'
}

function wordsOf(of: Distribution | null, feature: ListedFeature): string | null {
  if (of?.true_share !== null && of?.true_share !== undefined) return `true ${percent(of.true_share)} %`
  if (of?.top && of.top.length > 0)
    return of.top
      .slice(0, 2)
      .map(({ value, share }) => `${value} ${Math.round(share * 100)} %`)
      .join(', ')
  if (feature.state === undefined || of?.quantiles) return null
  if (of && of.sample.seen > 0) return 'all null'
  // Of what fails there are reads, and no values.
  return (feature.reads?.reads ?? 0) > 0 ? 'no value served' : 'not read yet'
}

function quantile({ distribution }: ColumnRow, name: 'min' | 'p50' | 'max'): string {
  const value = distribution?.quantiles?.[name]
  if (value === undefined) return ''
  return distribution?.measure === 'time' ? day(value) : number(value)
}

function ms(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value >= 100 ? number(Math.round(value)) : value.toFixed(1)
}

export function isLate(feature: ListedFeature): boolean {
  return feature.state === 'stale' || feature.state === 'error'
}

function Bar({ of }: { of: ListedFeature }) {
  const { refreshed } = of
  if (!refreshed || of.refresh === 'realtime') return null
  return <AgeBar ms={ageOf(refreshed.at)} of={refreshed.interval_ms} />
}

export function RefreshAge({ of }: { of: ListedFeature }) {
  if (of.refresh === 'realtime') return <>0s</>
  const { refreshed } = of
  if (!refreshed) return <>–</>
  if (refreshed.at === null)
    return of.state === 'fresh' ? <span title="no run yet; computed when it was asked for">no run</span> : <>never</>
  return (
    <time dateTime={refreshed.at} title={refreshed.at}>
      {age(ageOf(refreshed.at))}
    </time>
  )
}

export function ofWord(feature: ListedFeature): string {
  if (feature.refresh === 'realtime') return 'request'
  const { refreshed } = feature
  if (!refreshed) return feature.refresh ?? 'pushed'
  if (refreshed.interval_ms === null) return feature.refresh ?? 'pushed'
  return intervalWord(refreshed.interval_ms, refreshed.is_learnt)
}

function VersionCell({ of }: { of: ListedFeature }) {
  if (!of.version_since) return <span class="mono">{of.version.slice(0, 6)}</span>
  return (
    <time dateTime={of.version_since} title={`${of.version} since ${of.version_since}`}>
      {of.version_number === null ? '' : `v${of.version_number} `}
      {roughly(ageOf(of.version_since))}
    </time>
  )
}

/** Where there is room for a few words, what was thrown is worth more than counts, and a figure beside the usual one more than a sentence. */
const COUNTS = /^\d+ of \d+ keys failed(?:, \d+ runs in a row)?: (?:key "(?:[^"\\]|\\.)*": )?/

function Look({ of }: { of: ListedFeature }) {
  const { refreshed, reason } = of
  if (reason) return <span title={reason.message}>{shortly(reason)}</span>
  if (!refreshed?.running) return null
  const { done, keys } = refreshed.running
  return <>run under way{keys > 0 ? `, ${Math.round((done / keys) * 100)} %` : ''}</>
}

function shortly(reason: Reason): string {
  const thrown = reason.message.replace(COUNTS, '')
  if (reason.code === 'failing' && thrown !== reason.message && !thrown.endsWith('the log has the reason.')) return thrown
  const usual = reason.usual ? `, usual ${figure(reason.usual, reason)}` : ''
  return `${reasonWord(reason)} ${figure(reason.now, reason)}${usual}`
}
