/** Runs of the last hour, one line for each feature; the length of a mark is the duration. */
import type { Run, Runs } from '../../../http/wire.ts'
import { href } from '../../core/address.ts'
import { type ListedFeature, shapeOf, useCatalogue } from '../../core/catalogue.ts'
import { useData } from '../../core/data.ts'
import { ageOf, now } from '../../core/now.ts'
import { age, interval, took } from '../../core/words.ts'
import { Mark, STATES } from '../../parts/mark.tsx'
import { Note, Waiting } from '../../parts/note.tsx'
import { RunTimeline } from '../../parts/run-timeline.tsx'
import { type Column, Table } from '../../parts/table.tsx'

const HOUR_MS = 3_600_000
const MOST_LINES = 24

interface Line {
  readonly feature: ListedFeature
  readonly runs: readonly Run[]
}

export function LastRuns() {
  const catalogue = useCatalogue()
  const runs = useData<Runs>('/v1/runs?limit=1000')
  const lines = linesOf(catalogue.value?.features ?? [], runs.value?.runs ?? [])
  const rest = lines.length - MOST_LINES
  return (
    <section aria-labelledby="runs">
      <div class="sec">
        <h2 id="runs">Runs</h2>
        <span class="small">of the last hour; a mark's length is its duration</span>
        <span class="right only-wide">
          <span class="key">
            <svg width={12} height={10} aria-hidden="true">
              <path class="fill" d="M0 2h12v6h-12z" />
            </svg>
            done
          </span>{' '}
          <span class="key">
            <Mark of="error" word="failed" /> failed
          </span>{' '}
          <span class="key">
            <svg width={14} height={10} aria-hidden="true">
              <path class="ln dash s-stale" d="M0 5h14" />
            </svg>
            overdue
          </span>
        </span>
      </div>
      {runs.value && catalogue.value ? <Lines of={lines.slice(0, MOST_LINES)} /> : <Waiting on={runs} />}
      {rest > 0 && (
        <p class="more">
          <a href={href(['runs'])}>{rest} more</a>
        </p>
      )}
    </section>
  )
}

function Lines({ of }: { of: readonly Line[] }) {
  if (of.length === 0) {
    return (
      <Note title="No feature is refreshed by a schedule.">
        A feature with refresh: "5m" runs here, for every key that was read within keep_warm.
      </Note>
    )
  }
  return (
    <Table
      label="runs of the last hour by feature"
      cls="by-feature"
      columns={COLUMNS}
      rows={of}
      keyOf={({ feature }) => feature.name}
      hrefOf={({ feature }) => href(['runs'], { feature: feature.name })}
    />
  )
}

const COLUMNS: readonly Column<Line>[] = [
  { id: 'mark', head: <span class="hide">state</span>, cls: 'm1', cell: ({ feature }) => <Mark of={shapeOf(feature)} /> },
  {
    id: 'feature',
    head: 'feature',
    cls: 'mono',
    width: 'w-name',
    cell: ({ feature }) => <a href={href(['runs'], { feature: feature.name })}>{feature.name}</a>,
  },
  {
    id: 'lane',
    cls: 'p1 lanes',
    head: (
      <span class="xs">
        <span>−60 m</span>
        <span>−45 m</span>
        <span>−30 m</span>
        <span>−15 m</span>
        <span>now</span>
      </span>
    ),
    cell: ({ feature, runs }) => <RunTimeline runs={runs} spanMs={HOUR_MS} dueSince={dueSince(feature)} />,
  },
  { id: 'last', head: 'last', cls: 'num', width: 'w10', cell: ({ feature, runs }) => lastWord(feature, runs) },
  { id: 'took', head: 'took', cls: 'num soft p1', width: 'w9', cell: ({ runs }) => tookWord(runs[0]) },
  { id: 'every', head: 'every', cls: 'num soft p1', width: 'w7', cell: ({ feature }) => interval(feature.refreshed?.interval_ms ?? null) },
]

function lastWord(feature: ListedFeature, [first]: readonly Run[]): string {
  const at = first?.started_at ?? feature.refreshed?.at
  return at ? age(ageOf(at)) : 'no run'
}

function tookWord(run: Run | undefined): string {
  if (!run) return ''
  if (run.state !== 'running') return took(run.duration_ms)
  return run.keys > 0 ? `${Math.round((run.done / run.keys) * 100)} %` : 'runs'
}

/** When it should have run at the latest; null: it is in time. */
function dueSince({ refreshed, state }: ListedFeature): number | null {
  if (!refreshed?.at || refreshed.interval_ms === null || refreshed.running || state === undefined) return null
  const due = Date.parse(refreshed.at) + refreshed.interval_ms * 1.1
  return due < now() ? due : null
}

/** Features with a schedule or a run, worst first, then what ran last. */
function linesOf(features: readonly ListedFeature[], runs: readonly Run[]): Line[] {
  const byFeature = Map.groupBy(runs, ({ feature }) => feature)
  const rank = ({ state }: ListedFeature) => (state ? STATES.indexOf(state) : STATES.length)
  return features
    .map((feature) => ({ feature, runs: byFeature.get(feature.name) ?? [] }))
    .filter(
      ({ feature, runs: of }) => of.length > 0 || (feature.kind !== 'pushed' && feature.refresh !== 'realtime' && feature.refresh !== null),
    )
    .sort((a, b) => rank(a.feature) - rank(b.feature) || (b.runs[0]?.started_at ?? '').localeCompare(a.runs[0]?.started_at ?? ''))
}
