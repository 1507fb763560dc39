import type { Attention, Change, Changes, StoreState } from '../../../http/wire.ts'
import { href } from '../../core/address.ts'
import { CATALOGUE } from '../../core/catalogue.ts'
import { useData } from '../../core/data.ts'
import { type Glance, useGlance } from '../../core/glance.ts'
import { ageOf } from '../../core/now.ts'
import { figure, placeText, reasonWord } from '../../core/reasons.ts'
import { seesWords } from '../../core/session.ts'
import { number, plural, rate, roughly } from '../../core/words.ts'
import { Spark } from '../../parts/charts.tsx'
import { CopyAs } from '../../parts/copy.tsx'
import { Mark } from '../../parts/mark.tsx'
import { Note, OldNote, Waiting } from '../../parts/note.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import { Ago } from '../../parts/time.tsx'
import { LastRuns } from './last-runs.tsx'
import { Strip, technologyWord } from './strip.tsx'

export function Overview() {
  const overview = useGlance()
  const sees = seesWords()
  return (
    <>
      <h1 class="hide">Overview</h1>
      <OldNote on={overview} />
      <div class="flush">{overview.value ? <Strip of={overview.value.whole} /> : <Waiting on={overview} />}</div>
      <div class="cols c84">
        <section aria-labelledby="attention">
          <div class="sec">
            <h2 id="attention">Needs attention</h2>
            <span class="small">{overview.value && attentionWord(overview.value)}</span>
            <span class="acts">
              <CopyAs path={sees === null ? '/v1/overview' : CATALOGUE} cli={sees === null ? 'fabra runs --json' : 'fabra list --json'} />
            </span>
          </div>
          {overview.value?.whole?.stores.map((store) => (
            <StoreDown key={store.role} of={store} />
          ))}
          {overview.value && <NeedsAttention of={overview.value} />}
        </section>
        <Changed />
      </div>
      <LastRuns />
    </>
  )
}

function attentionWord({ attention, features }: Glance): string {
  const all = Object.values(features).reduce((sum, count) => sum + count, 0)
  return attention.length === 0 ? '' : `${new Set(attention.map(({ feature }) => feature)).size} of ${all}; by state, then by reads`
}

const attentionColumns = (trendHead: string): readonly Column<Attention>[] => [
  { id: 'mark', head: <span class="hide">state</span>, cls: 'm1', cell: ({ state }) => <Mark of={state} /> },
  {
    id: 'why',
    head: 'feature and why',
    cell: ({ feature, reason }) => (
      <>
        <a class="mono" href={href(['features', feature])}>
          {feature}
        </a>{' '}
        <b>{reasonWord(reason)}</b>
        <p>
          {reason.message} {reason.place && <span class="mono ink">{placeText(reason.place)}</span>}
        </p>
      </>
    ),
  },
  {
    id: 'trend',
    head: trendHead,
    cls: 'p2 trend',
    width: 'w12',
    cell: ({ trend, reason }) => trend && <Spark of={trend.values} label={`${reasonWord(reason)}, ${trendHead}`} />,
  },
  { id: 'now', head: 'now', cls: 'num', width: 'w11', cell: ({ reason }) => figure(reason.now, reason) },
  { id: 'usual', head: 'usual', cls: 'num soft p1', width: 'w9', cell: ({ reason }) => figure(reason.usual, reason) },
  { id: 'since', head: 'since', cls: 'num soft p1', width: 'w10', cell: ({ reason }) => <Ago of={reason.since} /> },
  { id: 'reads', head: 'reads/s', cls: 'num p2', width: 'w9', cell: ({ reads_per_second }) => rate(reads_per_second) },
]

function StoreDown({ of }: { of: StoreState }) {
  if (of.state === 'ok') return null
  return (
    <div class="note error flush8">
      <p>
        <Mark of="error" word="ill" /> <b>{technologyWord(of)}</b> is not well: {of.state}
      </p>
    </div>
  )
}

function NeedsAttention({ of: { attention: of, whole } }: { of: Glance }) {
  if (of.length === 0 && whole?.stores.some(({ state }) => state !== 'ok')) return null
  if (of.length === 0) return <Note title="Nothing.">All features are as fresh, as fast and as full as usual.</Note>
  const trend = of.find((one) => one.trend)?.trend
  const isHour = trend ? trend.step_ms * trend.values.length <= HOUR_MS : false
  return (
    <Table
      label="needs attention"
      cls="two"
      columns={attentionColumns(isHour ? 'last hour' : 'last 24 h')}
      rows={of}
      keyOf={({ feature, reason }) => `${feature} ${reason.code}`}
      hrefOf={({ feature }) => href(['features', feature])}
    />
  )
}

function Changed() {
  const changes = useData<Changes>('/v1/changes?limit=100')
  return (
    <section aria-labelledby="changed">
      <div class="sec">
        <h2 id="changed">Changed</h2>
        <span class="small">definitions, sources, pushes, keys</span>
      </div>
      {changes.value ? <ChangeList of={changes.value} /> : <Waiting on={changes} />}
    </section>
  )
}

function ChangeList({ of }: { of: Changes }) {
  if (of.changes.length === 0) return <Note title="Nothing has changed.">Known since {roughly(ageOf(of.known_since))} ago.</Note>
  return (
    <>
      <div class="log-head label">
        <span>ago</span>
        <span>what</span>
      </div>
      <ol class="log">
        {grouped(of.changes)
          .slice(0, MOST_CHANGES)
          .map(([first, ...others]) => (
            <li key={`${first.at} ${first.kind} ${first.subject}`}>
              <Ago of={first.at} short />
              <div>
                <Subject of={first} />
                {others.length > 0 && ` and ${number(others.length)} more`}{' '}
                {others.length > 0 ? first.message.replace(/^is /, 'are ') : first.message}
                <p>{others.length > 0 ? others.map(({ subject }) => subject).join(', ') : detail(first)}</p>
              </div>
            </li>
          ))}
      </ol>
    </>
  )
}

const MOST_CHANGES = 8
const HOUR_MS = 3_600_000
const AT_ONCE_MS = 5_000

/** What came at once and is of one kind stands in one line: a start with new definitions would fill the list. */
function grouped(changes: readonly Change[]): [Change, ...Change[]][] {
  const groups: [Change, ...Change[]][] = []
  for (const change of changes) {
    const last = groups.at(-1)
    const isSame =
      last &&
      last[0].kind === change.kind &&
      last[0].message === change.message &&
      Math.abs(Date.parse(last[0].at) - Date.parse(change.at)) < AT_ONCE_MS
    if (isSame) last.push(change)
    else groups.push([change])
  }
  return groups
}

function Subject({ of }: { of: Change }) {
  if (of.subject === null) return <b>a key</b>
  if (of.kind === 'start') return <>Fabra {of.subject}</>
  const name = <b class="mono">{of.subject}</b>
  if (of.kind === 'version' || of.kind === 'push') return <a href={href(['features', of.subject])}>{name}</a>
  return of.kind === 'source' ? <a href={href(['lineage'], { at: `source:${of.subject}` })}>{name}</a> : <>key {name}</>
}

function detail({ rows, place, message }: Change) {
  const parts = [rows === null || /\d/.test(message) ? null : plural(rows, 'row'), placeText(place)].filter((part) => part !== null)
  return parts.join(' · ')
}
